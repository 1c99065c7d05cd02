"""Drafting: every rule on a small column, and the six real tables unedited."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedsynth_common.encoding import encode
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
)
from fedsynth_common.tables import read_table
from fedsynth_release.decoding import decode
from fedsynth_release.drafting.draft import draft, draft_schema

DATA = Path(__file__).parents[4] / "shared" / "data"
TARGETS = {
    "adult": "income",
    "support2": "hospdead",
    "diabetes130": "readmitted",
    "heart_disease": "num",
    "credit_default_taiwan": "default payment next month",
    "oulad_clean": "final_result",
}


def drafted(values, name="c", **keywords):
    """The drafted column, next to one that makes the table valid."""
    texts = pd.Series(values, dtype="str")
    frame = pd.DataFrame(
        {name: texts, "sex": ["f", "m"] * (len(texts) // 2) + ["f"] * (len(texts) % 2)}
    )
    schema = draft_schema(frame, "t", **keywords)
    assert schema.origin == "drafted from data"
    encode(frame, schema)  # every draft encodes its own table
    return schema.columns[0]


def numbers(values):
    return [str(value) for value in values]


def test_two_values_are_boolean_only_if_they_mean_yes_and_no():
    column = drafted(["Yes", "No"] * 5 + [None])
    assert column == BooleanColumn(name="c", true="Yes", false="No", nullable=True)
    assert drafted(["N", "Y"]) == BooleanColumn(name="c", true="Y", false="N")
    zero_one = CategoricalColumn(name="c", categories=("0", "1"), other=False, stored_as="integer")
    assert drafted(["1", "0"]) == zero_one
    assert drafted(["m", "f"]) == CategoricalColumn(name="c", categories=("f", "m"), other=False)


def test_the_target_is_categorical():
    column = drafted(numbers([0, 1, 2, 3] * 4), target="c")
    assert column == CategoricalColumn(
        name="c", categories=("0", "1", "2", "3"), other=False, stored_as="integer"
    )
    assert drafted(["yes", "no"] * 4, target="c") == CategoricalColumn(
        name="c", categories=("no", "yes"), other=False
    )
    assert isinstance(drafted(numbers(range(100)), target="c"), IntegerColumn)


def test_keys_are_ids():
    people = [f"p{k}" for k in range(100)]
    assert drafted(people).kind == "id"
    assert drafted(numbers(range(5000, 5100))).kind == "id"
    assert drafted(numbers(np.random.default_rng(0).permutation(90_000)[:100])).kind == "integer"
    assert drafted(numbers(np.arange(100) // 1.5), name="patient_nbr").kind == "id"
    assert drafted(numbers([3, 1, 2, 2] * 30), name="ward_id").kind == "categorical"


def test_amounts_that_rarely_repeat_are_not_ids():
    rng = np.random.default_rng(0)
    assert drafted(numbers(rng.random(100).round(4))).kind == "numeric"
    assert drafted(numbers([*rng.integers(0, 10**6, 99), 0, 0])).kind == "integer"


def test_bounds_are_rounded_outwards():
    column = drafted(numbers([*range(17, 91)] * 2))
    assert column == IntegerColumn(name="c", minimum=15, maximum=90)
    column = drafted(numbers(np.round(np.linspace(6.83, 7.77, 95), 2)))
    assert (column.minimum, column.maximum, column.decimals) == (6.8, 7.8, 2)


def test_a_few_values_far_from_all_others_do_not_set_a_bound():
    body = np.random.default_rng(0).normal(3.0, 0.9, 900).clip(0.5, 6).round(1)
    column = drafted(numbers([*body, 29.0, 30.0]))
    assert column.scale == "linear"
    assert body.max() <= column.maximum <= 6
    column = drafted(numbers([*body, -40.0]))
    assert column.minimum >= 0
    assert column.maximum <= 6
    column = drafted(numbers([*body, *[29.0] * 5]))  # five records are no exception
    assert column.maximum == 29.0
    tail = np.random.default_rng(0).lognormal(3, 2, 900).round(1)  # long tails keep their end
    assert drafted(numbers([*tail, 10 * tail.max()])).maximum >= 10 * tail.max()


def test_what_is_set_to_a_bound_is_told_without_the_value():
    frame = pd.DataFrame({"c": [*np.linspace(1, 5, 99).round(1), 29.3]})
    told = [note for note in draft(frame, "t").notes if "far above" in note.text]
    assert [note.column for note in told] == ["c"]
    assert told[0].text.startswith("1 value lies far above 5")
    assert "29" not in told[0].text


def test_few_whole_numbers_keep_exact_bounds_or_are_codes():
    assert drafted(numbers([1, 2, 3, 5] * 5)) == IntegerColumn(name="c", minimum=1, maximum=5)
    assert drafted(numbers([1, 2, 99] * 5)).kind == "categorical"


def test_heavy_tails_are_logarithmic():
    rng = np.random.default_rng(0)
    tail = np.round(rng.lognormal(8, 2, 500), 2)
    column = drafted(numbers([*tail, *tail]))
    assert isinstance(column, NumericColumn)
    assert (column.scale, column.minimum) == ("log", 0.0)
    assert drafted(numbers([*(-tail), *tail])).scale == "log"  # debts and credits
    assert drafted(numbers([*range(-500, 500)] * 2)).scale == "linear"


def test_a_frequent_value_that_shares_its_leaf_is_an_atom():
    rng = np.random.default_rng(0)
    values = [*rng.integers(-90_000, 90_000, 900), *[1234] * 100]
    assert drafted(numbers(values)).atoms == (1234,)
    values = [*rng.integers(-90_000, 90_000, 900), *[1234] * 19]
    assert drafted(numbers(values)).atoms == ()  # too few records to name
    values = [*rng.integers(0, 100, 900), *[40] * 100]
    assert drafted(numbers(values)).atoms == ()  # one leaf per number isolates it already


def test_spurious_decimals_are_cut():
    values = numbers([*np.linspace(0, 3e6, 300).round(4) + 0.1234, 1, 1])
    assert drafted(values).decimals == 2


def test_leading_zeros_are_codes_and_marks_are_missing():
    assert drafted([f"{k:03}" for k in range(30)] * 6).kind == "categorical"
    column = drafted([*numbers(range(50)) * 2, "?", "NA"])
    assert (column.kind, column.nullable) == ("integer", True)


def test_rare_categories_are_left_to_other():
    texts = [letter for k, letter in enumerate("edcba") for _ in range(5 * 3**k)]
    column = drafted(texts, max_categories=3)
    assert column == CategoricalColumn(name="c", categories=("a", "b", "c"))
    assert not drafted(texts, max_categories=1, target="c").other


def test_an_empty_column_stays_empty():
    column = drafted([None, None])
    assert (column.kind, column.provider) == ("text", "empty")


def test_huge_numbers_do_not_overflow():
    assert drafted(numbers([10**k for k in range(10, 40)] * 6)).kind == "categorical"


def test_what_cannot_be_drafted():
    frame = pd.DataFrame({"a": ["x", "y"]})
    with pytest.raises(InputError, match="target 'b'"):
        draft_schema(frame, "t", target="b")
    with pytest.raises(InputError, match="without rows"):
        draft_schema(frame.iloc[:0], "t")
    with pytest.raises(InputError, match="at least 1"):
        draft_schema(frame, "t", max_categories=0)
    with pytest.raises(InputError, match="blanks around"):
        draft_schema(frame.rename(columns={"a": " a"}), "t")


def test_typed_frames_draft_like_their_text():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "n": rng.integers(0, 100, 300),
            "x": rng.random(300).round(2),
            "b": rng.random(300) < 0.5,
            "f": np.where(rng.random(300) < 0.1, np.nan, rng.integers(0, 5, 300)),
        }
    )
    texts = pd.DataFrame({"f": frame["f"].map(lambda v: None if v != v else str(int(v)))})
    texts = frame.drop(columns="f").astype("str").assign(b=frame["b"].map(str), f=texts["f"])
    typed, textual = draft_schema(frame, "t"), draft_schema(texts, "t")
    assert [c.kind for c in typed.columns] == ["integer", "numeric", "boolean", "integer"]
    assert typed.columns[:2] == textual.columns[:2]
    assert typed.columns[3] == textual.columns[3]


cells = st.one_of(
    st.none(),
    st.text(max_size=4),
    st.integers(-(10**18), 10**18).map(str),
    st.floats(allow_nan=False).map(str),
    st.sampled_from(["yes", "no", "?", "other", "1e5", "007"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(cells, min_size=1, max_size=40))
def test_any_column_drafts_and_encodes_its_own_table(values):
    frame = pd.DataFrame({"c": pd.Series(values, dtype="str"), "k": ["a"] * len(values)})
    schema = draft_schema(frame, "t")
    encode(frame, schema)
    assert Schema.from_json(schema.to_json()) == schema


@pytest.mark.parametrize("name", TARGETS)
def test_real_tables_draft_encode_and_decode(name):
    path = DATA / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip(f"needs the real tables in {DATA.name}/ beside the project")
    frame = read_table(path)
    schema = draft_schema(frame, name, target=TARGETS[name])
    encoded = encode(frame, schema)
    repairs = encoded.repairs.values()
    assert all(counts.clamped < 5 and not counts.unparsable for counts in repairs)  # far values
    decoded = decode(encoded.codes, schema, np.random.default_rng(0))
    np.testing.assert_array_equal(encode(decoded, schema).codes, encoded.codes)
    assert schema.column(TARGETS[name]).kind == "categorical"


def test_adult_is_drafted_as_a_person_would():
    path = DATA / "adult.csv.gz"
    if not path.exists():
        pytest.skip(f"needs the real tables in {DATA.name}/ beside the project")
    schema = draft_schema(read_table(path), "adult", target="income")
    kinds = {c.name: c.kind for c in schema.columns}
    integers = {"age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"}
    assert {name for name, kind in kinds.items() if kind == "integer"} == integers
    assert {kind for name, kind in kinds.items() if name not in integers} == {"categorical"}
    assert [c.name for c in schema.modelled if c.nullable] == [
        "workclass",
        "occupation",
        "native-country",
    ]


def test_a_repeated_person_id_is_an_id_and_not_data():
    frame = pd.DataFrame(
        {"person_id": [str(1000 + i // 4) for i in range(2000)], "x": ["a", "b"] * 1000}
    )
    assert draft_schema(frame, "t").ids == ("person_id",)
