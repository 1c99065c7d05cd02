"""What a draft makes of tables as people and programs write them: each kind of fault that was met."""

import random

import numpy as np
import pandas as pd
import pytest

from fedsynth_common.encoding import encode
from fedsynth_common.errors import InputError
from fedsynth_common.identifiers.findings import heading_names_a_person
from fedsynth_common.schema import Schema
from fedsynth_release.decoding import decode
from fedsynth_release.drafting.draft import draft
from fedsynth_release.drafting.wishes import Wishes

CHANCE = random.Random(7)
ROWS = 400


def cells(make):
    return [make(k) for k in range(ROWS)]


def made(values, name="c", **wishes):
    """The draft of a column beside another one; its own table encodes, and drawn cells encode too."""
    frame = pd.DataFrame(
        {name: pd.Series(values, dtype="str"), "side": ["l", "r"] * (len(values) // 2)}
    )
    found = draft(frame, "t", Wishes(**wishes))
    encoded = encode(frame, found.schema)
    drawn = decode(encoded.codes, found.schema, np.random.default_rng(0))
    np.testing.assert_array_equal(encode(drawn, found.schema).codes, encoded.codes)
    assert Schema.from_json(found.schema.to_json()) == found.schema
    return found, found.schema.columns[0], drawn


def day():
    return CHANCE.randint(2011, 2019), CHANCE.randint(1, 12), CHANCE.randint(1, 28)


@pytest.mark.parametrize("texts", [["up", "down"], ["7", "9"], ["a", "b", "c"], ["one"]])
def test_a_short_list_gets_no_other_value(texts):
    _, column, drawn = made(cells(lambda k: texts[k % len(texts)]))
    assert column.other is False
    assert set(drawn["c"].astype(str)) <= set(texts)


def test_a_listed_other_takes_the_rare_texts():
    words = ["Asian", "Other", *(f"r{chr(97 + k)}" for k in range(25))]
    values = cells(lambda k: words[k % 2]) + words[2:] + ["Asian"]
    found, column, _ = made(values)
    assert column.other
    assert "other" not in column.categories
    assert any("become 'Other'" in str(note) for note in found.notes)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("ref", lambda k: f"{CHANCE.getrandbits(32):08x}-0000-4000-8000-{k % 30:012x}"),
        ("Patient", lambda k: str(300 + k % 90)),
        ("MRN no", lambda k: f"H{k % 60}"),
        ("subject_id", lambda k: str(k % 100)),
        ("lab", lambda k: f"AB-{10000 + k % 50}"),
        ("LastName", lambda k: CHANCE.choice(["Berg", "Costa", "Diaz", "Eco", "Fuchs"])),
        ("contact", lambda k: f"+49 30 {CHANCE.randint(100, 999)} {CHANCE.randint(1000, 9999)}"),
        ("ZIP", lambda k: str(20000 + k % 40)),
        ("remark", lambda k: f"Seen by Maria Rossi in room {k}, call her back at noon please"),
    ],
)
def test_whoever_is_named_is_not_published(name, make):
    values = cells(make)
    found, column, drawn = made(values, name=name)
    assert column.kind in ("id", "text")
    assert name not in drawn
    assert any(note.column == name and note.weight == "warning" for note in found.notes)
    if column.pattern:  # a surrogate is longer than every text
        from fedsynth_common.schema.surrogates import Pattern

        assert len(Pattern.parse(column.pattern).places) > max(map(len, values))


def test_a_repeating_key_is_proposed_with_the_rows_of_a_person():
    found, _, _ = made(cells(lambda k: str(100 + k % 80)), name="patient")
    assert "80 values with 5 to 5 rows each" in str(found.warnings[0])


def test_a_measurement_with_distinct_whole_numbers_is_a_number():
    values = [str(v) for v in np.random.default_rng(1).permutation(90_000)[:ROWS]]
    assert made(values, name="coordinate")[1].kind == "integer"


@pytest.mark.parametrize(
    ("pattern", "make"),
    [
        ("%m/%d/%Y", lambda: "{1:02}/{2:02}/{0}".format(*day())),
        ("%d.%m.%Y", lambda: "{2:02}.{1:02}.{0}".format(*day())),
        ("%-d/%-m/%Y", lambda: "{2}/{1}/{0}".format(*day())),
        ("%Y%m%d", lambda: "{}{:02}{:02}".format(*day())),
        ("%m-%d-%y", lambda: "{1:02}-{2:02}-{3:02}".format(*(d := day()), d[0] % 100)),
        ("%d %b %Y", lambda: f"{CHANCE.randint(10, 28)} {CHANCE.choice(['Feb', 'Oct'])} 2017"),
        ("%Y-%m-%d %H:%M:%S", lambda: "{}-{:02}-{:02} 00:00:00".format(*day())),
        (None, lambda: "{}-{:02}-{:02}".format(*day())),
    ],
)
def test_dates_keep_their_format(pattern, make):
    values = cells(lambda k: make())
    _, column, drawn = made(values)
    assert (column.kind, column.format) == ("date", pattern)
    lengths = {len(text) for text in drawn["c"]}
    assert lengths <= {len(text) for text in values}


def test_an_order_in_doubt_is_asked_about_and_can_be_given():
    values = cells(lambda k: f"{1 + k % 12:02}/{1 + k % 11:02}/2015")
    found, column, _ = made(values)
    assert "--date-order" in str(found.warnings[0])
    order = "dmy" if column.format == "%m/%d/%Y" else "mdy"
    told, other, _ = made(values, date_order=order)
    assert other.format != column.format
    assert not told.warnings


def test_times_epochs_and_clocks():
    values = cells(lambda k: "{}-{:02}-{:02}T10:{:02}".format(*day(), k % 60))
    assert made(values)[1].granularity == "minute"
    seconds = cells(lambda k: str(1_500_000_000 + 1009 * k))
    assert made(seconds, name="created_at")[1].format == "epoch_s"
    assert made(seconds, name="balance")[1].kind in ("integer", "id")
    _, column, drawn = made(cells(lambda k: f"{k % 24:02}:{k % 60:02}"))
    assert (column.kind, column.format) == ("duration", "clock")
    assert drawn["c"].str.fullmatch(r"\d\d:\d\d").all()


def test_open_ends_are_atoms_and_do_not_widen_the_bounds():
    values = cells(lambda k: "9999-12-31" if k % 4 else "{}-{:02}-{:02}".format(*day()))
    _, column, drawn = made(values)
    assert (column.maximum, column.atoms) == ("2019-12-31", ("9999-12-31",))
    assert set(drawn["c"].str[:4]) <= {"9999", *map(str, range(2011, 2020))}


@pytest.mark.parametrize("mark", ["NA", "NULL", "n/a", "-", "?", "."])
def test_marks_of_missing_cells_are_declared(mark):
    numbers = cells(lambda k: mark if k % 3 == 0 else str(k))
    dates = cells(lambda k: mark if k % 3 == 0 else "{}-{:02}-{:02}".format(*day()))
    words = cells(lambda k: mark if k % 3 == 0 else CHANCE.choice(["yes", "no"]))
    for values, kind in ((numbers, "integer"), (dates, "date"), (words, "boolean")):
        _, column, drawn = made(values)
        assert (column.kind, column.missing_marks) == (kind, (mark,))
        assert drawn["c"].isna().sum() == -(-ROWS // 3)


def test_a_word_for_unknown_is_a_category_among_categories():
    _, column, _ = made(cells(lambda k: ["current", "never", "unknown"][k % 3]))
    assert "unknown" in column.categories


@pytest.mark.parametrize(
    ("odd", "kind", "limits"),
    [("<3", "integer", ("<3",)), ("500+", "integer", ("500+",)), (">=480", "integer", (">=480",)),
     ("inf", "integer", ()), ("haemolytic", "integer", ()), ("44,000", "integer", ())],
)  # fmt: skip
def test_one_odd_cell_does_not_make_categories(odd, kind, limits):
    found, column, drawn = made([odd, *cells(lambda k: str(3 + k)), "8"])
    assert column.kind == kind
    assert (column.format.limits if column.format else ()) == limits
    if limits:
        assert drawn["c"][0] == odd
    elif odd.isalpha():
        assert "1 cells are no numbers" in str(found.warnings[0])
        assert odd not in str(found.notes)


@pytest.mark.parametrize(
    ("make", "written"),
    [
        (lambda k: f"${k * 37.5:,.2f}", r"\$[\d,]+\.\d\d"),
        (lambda k: f"{k * 37.5:.2f}".replace(".", ","), r"\d+,\d\d"),
        (lambda k: f"{k * 371:,d} kg".replace(",", "."), r"[\d.]+ kg"),
        (lambda k: f"{k % 101}%", r"\d+%"),
    ],
)
def test_amounts_as_people_write_them_come_back_so(make, written):
    _, column, drawn = made(cells(make))
    assert column.kind in ("integer", "numeric")
    assert drawn["c"].str.fullmatch(written).all()


def test_decimals_follow_nearly_all_cells():
    assert made([*cells(lambda k: str(k % 90)), "3.1415", "9"])[1].kind == "integer"
    assert made([*cells(lambda k: f"{k / 10:.1f}"), "3.1415", "9"])[1].decimals == 1


def test_codes_are_no_amounts():
    education = made(cells(lambda k: str(1 + k % 6)), name="EDUCATION")[1]
    assert (education.kind, education.stored_as) == ("categorical", "integer")
    products = [10007 + 4001 * k * k for k in range(21)]
    wide = [str(products[k % 21]) for k in range(2 * ROWS)]
    assert made(wide, name="article")[1].kind in ("categorical", "integer")
    assert made(cells(lambda k: f"{k % 40:03}"))[1].categories[0] == "000"
    icd = cells(lambda k: ["V57", "250.01", "414", "E88", "V10", "V58", "E13"][k % 7])
    assert made([*icd, *map(str, range(4000))])[1].kind != "numeric"


@pytest.mark.parametrize(("name", "kind"), [("paid", "integer"), ("visitID", "id"), ("x_id", "id")])
def test_a_heading_that_only_ends_like_an_id_is_none(name, kind):
    column = made(cells(lambda k: str(CHANCE.randint(0, 100_000))), name)[1]
    assert column.kind == kind


def test_a_running_number_without_a_heading_is_left_out():
    frame = pd.DataFrame(
        {"Unnamed: 0": range(50), "side": ["l", "r"] * 25, "Unnamed: 2": [None] * 50}
    )
    found = draft(frame, "t")
    assert [column.kind for column in found.schema.columns] == ["id", "categorical", "text"]
    assert not found.schema.surrogates
    assert len(found.warnings) == 2


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ([None] * ROWS, "nothing"),
        (["x"] * ROWS, "same value"),
        (cells("t{}".format), "another text"),
    ],
)
def test_a_hopeless_target_is_refused(values, fault):
    with pytest.raises(InputError, match=fault):
        made(values, target="c")


def test_every_column_that_is_not_modelled_says_why():
    frame = pd.DataFrame(
        {"ssn": [f"{k:09}" for k in range(ROWS)], "none": [None] * ROWS, "side": ["l", "r"] * 200}
    )
    found = draft(frame, "t")
    assert {note.column for note in found.warnings} == {"ssn", "none"}
    assert all(column.description for column in found.schema.unmodelled)


def test_types_of_a_frame_come_back():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "flag": rng.random(ROWS) < 0.5,
            "y": rng.integers(0, 2, ROWS),
            "n": rng.integers(0, 500, ROWS),
            "kind": pd.Categorical(rng.choice(["a", "b"], ROWS)),
            "stay": pd.to_timedelta(rng.integers(0, 90, ROWS), unit="D").astype("timedelta64[us]"),
            "at": pd.to_datetime(1_600_000_000 + rng.integers(0, 10**7, ROWS), unit="s")
            .tz_localize("UTC").tz_convert("Europe/Rome").astype("datetime64[us, Europe/Rome]"),
        }
    )  # fmt: skip
    schema = draft(frame, "t", Wishes(target="y")).schema
    drawn = decode(encode(frame, schema).codes, schema, rng)
    assert drawn.dtypes.astype(str).to_dict() == frame.dtypes.astype(str).to_dict()


def test_a_table_in_pieces_is_drafted_like_a_whole_one():
    frame = pd.DataFrame({"a": cells(str), "b": cells(lambda k: str(k % 3))})
    whole = draft(frame, "t")
    pieces = draft(lambda: (frame.iloc[k : k + 90] for k in range(0, ROWS, 90)), "t")
    assert pieces == whole


def test_a_wrong_type_gets_a_sentence():
    with pytest.raises(InputError, match="expected a pandas DataFrame, got str"):
        draft("patients.csv", "t")


def test_rules_that_hold_in_every_row_are_proposed():
    days = cells(lambda k: np.datetime64("2015-01-01") + CHANCE.randint(0, 900))
    codes = cells(lambda k: "ABCD"[k % 4])
    frame = pd.DataFrame(
        {
            "begun": [str(day) for day in days],
            "ended": [str(day + CHANCE.randint(0, 9)) for day in days],
            "code": codes,
            "label": [{"A": "ant", "B": "bee", "C": "cat", "D": "dog"}[code] for code in codes],
            "other": cells(lambda k: str(CHANCE.randint(0, 900))),
        }
    )
    pair, order = draft(frame, "t").schema.rules
    assert (pair.columns, len(pair.combinations)) == (("code", "label"), 4)
    assert (order.low, order.high) == ("begun", "ended")
    frame.loc[ROWS - 1, "ended"] = "2014-12-31"  # one row breaks it
    assert [rule.rule for rule in draft(frame, "t").schema.rules] == ["fixed_combinations"]


def rules_of(frame):
    return {rule.name: rule for rule in draft(frame.astype("str"), "t").schema.rules}


def test_a_code_with_one_label_is_proposed_and_a_chance_one_is_not():
    rng = np.random.default_rng(0)
    ward = rng.choice(["A1", "A2", "B1", "B2"], 400)
    frame = pd.DataFrame({"ward": ward, "house": [text[0] for text in ward]})
    frame["intensive"] = np.where(frame.ward == "B2", "yes", "no")
    frame["other"] = rng.choice(["x", "y"], 400)
    frame["constant"] = "always"
    rules = rules_of(frame)
    assert set(rules) == {"ward and house", "ward and intensive"}
    held = set(rules["ward and intensive"].combinations)
    assert held == {("A1", "no"), ("A2", "no"), ("B1", "no"), ("B2", "yes")}


def test_a_bound_that_several_records_share_is_kept():
    days = [str(1 + i % 31) for i in range(310)]
    _, column, _ = made(days)
    assert (column.minimum, column.maximum) == (1, 31)
    _, column, _ = made([*days, "41", "43"])  # one record alone would be pointed at
    assert (column.minimum, column.maximum) == (1, 45)
    _, column, _ = made([*days, "117", "116"])  # far from all others
    assert (column.minimum, column.maximum) == (1, 31)


def test_a_short_list_of_amounts_is_all_atoms():
    offered = [f"{4 + 0.37 * i * i:.2f}" for i in range(40)]
    _, column, _ = made(offered * 30)
    assert {f"{atom:.2f}" for atom in column.atoms} == set(offered)


def test_whole_hours_stay_whole_hours():
    hours = pd.date_range("2019-01-01", periods=500, freq="h").strftime("%Y-%m-%dT%H:%M:%SZ")
    _, column, drawn = made(list(hours))
    assert column.granularity == "hour"
    assert {text[13:] for text in drawn["c"]} == {":00:00Z"}


@pytest.mark.parametrize(
    ("heading", "texts", "asked"),
    [
        ("phone_service", ["Yes", "No"], False),
        ("number_customer_service_calls", ["1", "2", "3", "4"], False),
        ("customer_number", [str(1000 + 7 * i) for i in range(60)], True),
        ("phone", [f"0{30 + i} 555 01" for i in range(60)], True),
    ],
)
def test_only_a_column_with_place_for_a_person_is_asked_about(heading, texts, asked):
    _, column, _ = made(texts * (240 // len(texts)), heading)
    assert (column.kind in ("id", "text") or heading_names_a_person(column)) == asked


@pytest.mark.parametrize(("code", "apart"), [("999", True), ("-1", True), ("96", False)])
def test_a_code_for_missing_is_proposed_and_does_not_widen_the_bounds(code, apart):
    ages = [str(18 + i % 75) for i in range(380)]
    found, column, drawn = made([*ages, *[code] * 20])
    told = [note.text for note in found.notes if "missing_marks" in note.text]
    assert bool(told) == (int(code) in column.atoms) == apart
    if apart:
        assert f"{code} stands far from all other values in 20 cells" in told[0]
        assert (column.minimum, column.maximum) == (18, 92)
        values = drawn["c"].astype(int)
        assert values.isin([*range(18, 93), int(code)]).all()


def test_a_code_in_a_sample_does_not_hide_the_other_bound():
    many = np.random.default_rng(0).permutation(np.linspace(20, 80, 40_000).round(4))
    texts = [str(value) for value in many]
    _, column, _ = made([*texts, *["9999"] * 400, "14.0001", "15"])
    assert column.atoms == (9999.0,)  # it is among the values that are kept
    assert (column.minimum, column.maximum) == (10.0, 80.0)
