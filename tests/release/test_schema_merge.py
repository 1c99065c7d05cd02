"""`fedsynth schema merge`: reviewed drafts of several sites become one schema."""

import json
from pathlib import Path

import pandas as pd
import pytest
from small_histories import HISTORIES, history_schema_of
from typer.testing import CliRunner

from fedsynth_common.encoding.column_fit import ColumnFit
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    DateColumn,
    Difference,
    DurationColumn,
    FixedCombinations,
    IdColumn,
    Inequality,
    IntegerColumn,
    NumericColumn,
    RangeIf,
    Schema,
    When,
)
from fedsynth_common.schema.number_format import NumberFormat
from fedsynth_release.cli.schema import app
from fedsynth_release.drafting.draft import draft_schema
from fedsynth_release.schema_files.merging.merge import Decisions, merge

AGE = IntegerColumn(name="age", minimum=0, maximum=90)


def schema_of(*columns, **fields):
    return Schema(name="ward", columns=columns or (AGE,), **fields)


def merged(*schemas, **decisions):
    return merge(dict(zip("ABC", schemas, strict=False)), Decisions(**decisions))


def joined(*columns):
    """The merged column of drafts that have that one and an age."""
    result = merged(*(schema_of(AGE, column) for column in columns))
    assert result.schema is not None, result.conflicts
    return result.schema.columns[1]


def conflicts(*columns):
    result = merged(*(schema_of(AGE, column) for column in columns))
    assert result.schema is None
    return [str(one) for one in result.conflicts]


def run(*arguments):
    return CliRunner(mix_stderr=False).invoke(app, [str(a) for a in arguments])


# --- columns ----------------------------------------------------------------------------------------


def test_numbers_take_the_widest_bounds_and_all_atoms():
    one = NumericColumn(name="x", minimum=0.5, maximum=9.0, decimals=1, atoms=(0.0,), scale="log")
    two = NumericColumn(name="x", minimum=2.0, maximum=9.25, decimals=2, nullable=True)
    column = joined(one, two)
    assert (column.minimum, column.maximum, column.decimals) == (0.5, 9.25, 2)
    assert (column.atoms, column.scale, column.nullable) == ((0.0,), "log", True)
    whole = joined(IntegerColumn(name="x", minimum=1, maximum=5, stored_as=None), two)
    assert (whole.kind, whole.minimum, whole.decimals) == ("numeric", 1.0, 2)


@pytest.mark.parametrize(
    ("steps", "starts", "expected"),
    [
        ((10, 20), (0, 0), 10),
        ((10, 10), (0, 5), 5),
        ((10, None), (0, 0), None),
        ((2, 3), (0, 0), None),
    ],
)
def test_a_step_fits_the_values_of_all_drafts(steps, starts, expected):
    columns = [
        IntegerColumn(name="x", minimum=start, maximum=start + 60, step=step)
        for step, start in zip(steps, starts, strict=True)
    ]
    assert joined(*columns).step == expected


def test_dates_and_durations_take_the_widest_bounds():
    column = joined(
        DateColumn(name="d", minimum="2015-01-01", maximum="2019-12-31"),
        DateColumn(name="d", minimum="2014-01-01", maximum="2018-12-31", atoms=("1900-01-01",)),
    )
    assert (column.minimum, column.maximum) == ("2014-01-01", "2019-12-31")
    assert column.atoms == ("1900-01-01",)
    assert joined(
        DurationColumn(name="s", maximum=9), DurationColumn(name="s", minimum=-1, maximum=4)
    ) == DurationColumn(name="s", minimum=-1, maximum=9)


def test_categories_are_united_and_each_peculiarity_is_shown():
    result = merged(
        schema_of(CategoricalColumn(name="sex", categories=("F", "M"), other=False)),
        schema_of(CategoricalColumn(name="sex", categories=("f", "M", "unknown"), other=True)),
    )
    column = result.schema.columns[0]
    assert (column.categories, column.other) == (("F", "M", "f", "unknown"), True)
    told = [str(one) for one in result.review]
    assert any("only A lists 'F'" in text for text in told)
    assert any(
        "only B lists 'f', 'unknown'" in text and "public code list" in text for text in told
    )
    assert any("'F', 'f' differ in capitals" in text for text in told)


def test_ordered_categories_keep_an_order_that_all_drafts_agree_to():
    one = CategoricalColumn(name="stage", categories=("I", "III"), ordered=True)
    two = CategoricalColumn(name="stage", categories=("I", "II", "III"), ordered=True)
    assert joined(one, two).categories == ("I", "II", "III")
    back = CategoricalColumn(name="stage", categories=("III", "I"), ordered=True)
    assert "contradict each other in the order" in conflicts(one, back)[0]
    assert not joined(one, CategoricalColumn(name="stage", categories=("I", "II"))).ordered


def test_groups_of_categories_must_agree():
    one = CategoricalColumn(name="dx", categories=("A1", "B1"), parents=("A", "B"))
    two = CategoricalColumn(name="dx", categories=("A2", "A1"), parents=("A", "A"))
    column = joined(one, two)
    assert dict(zip(column.categories, column.parents, strict=True)) == {
        "A1": "A",
        "B1": "B",
        "A2": "A",
    }
    torn = CategoricalColumn(name="dx", categories=("A1",), parents=("Z",))
    assert "into different groups" in conflicts(one, torn)[0]
    without = CategoricalColumn(name="dx", categories=("C1",))
    assert "'C1' have no group" in conflicts(one, without)[0]


NUMBER = NumericColumn(name="x", minimum=0.0, maximum=1.0)


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        (NUMBER, CategoricalColumn(name="x", categories=("0", "1")), "kinds differ"),
        (
            BooleanColumn(name="x", true="yes", false="no"),
            BooleanColumn(name="x", true="1", false="0"),
            "true differs",
        ),
        (
            DateColumn(name="x", minimum="2020-01-01", maximum="2021-01-01"),
            DateColumn(name="x", minimum="2020", maximum="2021", granularity="year"),
            "granularity differs",
        ),
        (NUMBER, NUMBER.model_copy(update={"format": NumberFormat(decimal=",")}), "different ways"),
        (
            DurationColumn(name="x", maximum=3),
            DurationColumn(name="x", maximum=3, unit="hour"),
            "unit differs",
        ),
        (
            CategoricalColumn(name="x", categories=("a", "nd")),
            CategoricalColumn(name="x", categories=("a",), missing_marks=("nd",), nullable=True),
            "'nd' are categories in some drafts and missing cells in others",
        ),
    ],
)
def test_what_cannot_be_joined_is_a_conflict_of_its_column(one, two, said):
    told = conflicts(one, two)
    assert any(text.startswith("column 'x': ") and said in text for text in told)


def test_limits_of_detection_are_united():
    small = NumberFormat(limits=("<5",))
    one = IntegerColumn(name="x", minimum=5, maximum=99, atoms=(4,), format=small)
    column = joined(one, IntegerColumn(name="x", minimum=0, maximum=99))
    assert column.format == small
    assert column.atoms == (4,)


# --- roles, rules, histories ------------------------------------------------------------------------


def test_a_column_that_a_site_lacks_must_be_dropped_or_added():
    other = NumericColumn(name="crp", minimum=0.0, maximum=9.0)
    one, two = schema_of(AGE, other, target="crp"), schema_of(AGE)
    assert "column 'crp': not in B" in str(merged(one, two).conflicts[0])
    left = merged(one, two, dropped=["crp"]).schema
    assert [column.name for column in left.columns] == ["age"]
    assert left.target is None


def test_a_conflict_is_decided_by_taking_one_draft():
    two = schema_of(AGE, CategoricalColumn(name="x", categories=("0", "1")))
    result = merged(schema_of(AGE, NUMBER), two, taken={"x": "B"})
    assert result.schema.column("x") == two.column("x")


def test_the_privacy_unit_must_be_the_same():
    key = IdColumn(name="nr")
    person = schema_of(AGE, key, person_key="nr")
    assert "person_key" in str(merged(person, schema_of(AGE, key)).conflicts[0])
    more = schema_of(AGE, key, person_key="nr", rows_per_person=3)
    assert merged(person, more).schema.rows_per_person == 3


ONSET = IntegerColumn(name="onset", minimum=0, maximum=90)
RULE = Inequality(name="ill since", low="onset", high="age", strict=True)


def test_a_rule_must_hold_at_every_site():
    one = schema_of(AGE, ONSET, rules=(RULE,))
    weaker = schema_of(AGE, ONSET, rules=(RULE.model_copy(update={"strict": False}),))
    assert merged(one, weaker).schema.rules == weaker.rules
    result = merged(one, schema_of(AGE, ONSET))
    assert result.schema.rules == ()
    assert "--keep-rule 'ill since'" in str(result.review[-1])
    assert merged(one, schema_of(AGE, ONSET), kept_rules=["ill since"]).schema.rules == (RULE,)
    assert merged(one, schema_of(AGE, ONSET), kept_rules=["no such"]).schema is None


def test_bounds_and_lists_of_rules_become_those_of_all_sites():
    sexes = CategoricalColumn(name="sex", categories=("F", "M"))
    pairs = [("F", "F"), ("M", "F")]
    schemas = [
        schema_of(
            AGE,
            ONSET,
            sexes,
            sexes.model_copy(update={"name": "born"}),
            rules=(
                Difference(name="d", column="age", minus="onset", minimum=low, maximum=high),
                FixedCombinations(name="c", columns=("sex", "born"), combinations=(pair,)),
                RangeIf(
                    name="r",
                    when=When(column="sex", values=("F",)),
                    then=When(column="age", minimum=low),
                ),
            ),
        )
        for low, high, pair in ((0, 5, pairs[0]), (2, 9, pairs[1]))
    ]
    difference, combinations, ranged = merged(*schemas).schema.rules
    assert (difference.minimum, difference.maximum) == (0, 9)
    assert combinations.combinations == (*pairs,)
    assert ranged.then.minimum == 0


def test_histories_take_the_largest_caps_and_grow_where_all_say_so():
    other = history_schema_of(max_events=7, largest_gap=9, events=("day", "age", "ward", "sex"))
    result = merged(HISTORIES, other.model_copy(deep=True))
    histories = result.schema.histories
    assert (histories.max_events, histories.largest_gap) == (7, 9)
    assert histories.events == ("day", "age", "ward", "sex")
    assert histories.grows == ("age",)
    assert result.schema.rows_per_person == 7
    still = history_schema_of(grows=())
    assert merged(HISTORIES, still).schema.histories.grows == ()
    flat = Schema(name="visits", columns=HISTORIES.columns, person_key="id")
    assert "histories: B declares none" in str(merged(HISTORIES, flat).conflicts[0])


# --- what the merged schema is good for -------------------------------------------------------------


def test_every_site_s_table_fits_the_merged_schema():
    tables = [
        pd.DataFrame({"age": ["20", "31", "58"] * 20, "ward": ["a", "b", "b"] * 20}),
        pd.DataFrame({"age": ["4", "77", None] * 20, "ward": ["c", "b", "c"] * 20}),
    ]
    drafts = [draft_schema(table, "t") for table in tables]
    schema = merged(*drafts, unreviewed=True).schema
    assert schema.origin == "drafted from data"
    for table in tables:
        for column in schema.modelled:
            fit = ColumnFit(column)
            fit.add(table[column.name])
            assert fit.problem(len(table), 0.0) == ""


@pytest.mark.privacy
def test_a_draft_that_nobody_has_reviewed_is_refused():
    draft = schema_of(origin="drafted from data")
    with pytest.raises(InputError, match=r"B: it still says .* nobody at the site has reviewed it"):
        merged(schema_of(), draft)
    assert merged(schema_of(), schema_of()).schema.origin == "declared"


# --- the command ------------------------------------------------------------------------------------


def test_the_command_writes_lists_and_refuses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    schema_of(AGE, NUMBER).save("north.json")
    schema_of(AGE, CategoricalColumn(name="x", categories=("0", "1"))).save("south=1.json")
    result = run("merge", "north.json", "south=1.json")
    assert result.exit_code == 1
    assert "conflict: column 'x': its kinds differ (numeric in north.json" in result.stderr
    assert not Path("schema.json").exists()
    listed = json.loads(run("merge", "north.json", "south=1.json", "--json").stdout)
    assert (listed["written"], listed["conflicts"][0]["place"]) == (None, "column 'x'")
    decided = run("merge", "north.json", "south=1.json", "--take", "x=north.json")
    assert (decided.exit_code, Schema.load("schema.json").column("x").kind) == (0, "numeric")
    again = run("merge", "north.json", "south=1.json", "--drop", "x")
    assert "already exists" in str(again.exception)
    for arguments, said in (
        (("north.json",), "at least two"),
        (("north.json", "north.json"), "given twice"),
        (("north.json", "south=1.json", "--drop", "nothing"), "no draft has a column"),
        (("north.json", "south=1.json", "--take", "x"), "expected COLUMN=DRAFT"),
        (("north.json", "south=1.json", "--take", "x=east.json"), "give one of"),
    ):
        refused = run("merge", *arguments, "--out", "new.json")
        assert said in str(refused.exception)
