"""Whether a table is fit to be served, and that nothing said about it quotes a cell."""

import datetime
import decimal

import pandas as pd
import pytest
from small_site import make_policy

from fedsynth_client.preflight.preflight import preflight
from fedsynth_client.records.guarded_reading import read_records, without_values
from fedsynth_client.records.sources import FrameSource
from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    IdColumn,
    Inequality,
    IntegerColumn,
    NumericColumn,
    Schema,
    Unique,
)

CANARY = "ZZCANARY"
SCHEMA = Schema(
    name="clinic",
    columns=(
        IdColumn(name="patient"),
        CategoricalColumn(name="ward", categories=("a", "b")),
        BooleanColumn(name="smoker"),
        IntegerColumn(name="age", minimum=0, maximum=99),
        NumericColumn(name="pulse", minimum=0.0, maximum=300.0, nullable=True),
    ),
)
PERSONS = SCHEMA.model_copy(update={"person_key": "patient", "rows_per_person": 2})


def table(rows=40, **changes):
    columns = {
        "patient": [f"{CANARY}{n // 2}" for n in range(rows)],
        "ward": ["a", "b"] * (rows // 2) + ["a"] * (rows % 2),
        "smoker": ["true"] * rows,
        "age": [str(n % 90) for n in range(rows)],
        "pulse": ["70.5"] * rows,
    }
    kept = {name: cells for name, cells in (columns | changes).items() if cells is not None}
    return pd.DataFrame(kept, dtype="str")


def checked(frame=None, schema=SCHEMA, waived=(), **policy):
    return preflight(table() if frame is None else frame, schema, make_policy(**policy), waived)


def told(result):
    return " ".join([*result.problems, *result.notes, repr(result.columns)])


def test_a_fit_table():
    result = checked()
    assert (result.problems, result.notes, result.units) == ((), (), 40)
    assert [report.width for report in result.columns] == [3, 2, 100, 257]
    result.require_fit()


def test_repairs_are_counted_per_column():
    pulse = [CANARY, "70.555", *["70"] * 38]
    result = checked(
        table(age=["200"] * 3 + ["5"] * 37, pulse=pulse, ward=[CANARY] * 2 + ["a"] * 38)
    )
    repairs = {report.column.name: report.repairs for report in result.columns}
    assert repairs["age"].clamped == 3
    assert (repairs["pulse"].unparsable, repairs["pulse"].rounded) == (1, 1)
    assert repairs["ward"].unknown == 2
    assert result.problems == ()
    assert [note.split(":")[0] for note in result.notes] == ["column 'age'"]  # above 5 %
    assert CANARY not in told(result)


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (table(age=None), "column 'age': of the schema, but not in the table"),
        (table(**{CANARY: ["x"] * 40}), "columns number 6"),
        (table(age=[CANARY] * 40), "column 'age': 40 cells are not a number"),
        (table(age=[None] * 40), "column 'age': 40 cells are missing"),
        (table(smoker=[CANARY] * 40), "column 'smoker': 40 cells are not listed"),
        (table(ward=[f"{CANARY}@example.org"] * 40), "looks like e-mail addresses in the table"),
        (table(ward=[f"{CANARY}{n}" for n in range(40)]), "a text of its own"),
    ],
)
def test_problems_are_told_without_a_cell(frame, problem):
    result = checked(frame)
    assert problem in told(result)
    assert CANARY not in told(result)
    with pytest.raises(FedsynthError, match="not fit") as refused:
        result.require_fit()
    assert CANARY not in str(refused.value)
    assert refused.value.exit_code == 1


def test_a_table_without_its_heading_row_shows_nobody():
    frame = table()
    frame.columns = pd.Index([f"{CANARY}{n}" for n in range(5)])
    result = checked(frame)
    assert "columns number 1, 2, 3, 4, 5" in told(result)
    assert len(result.problems) == 5
    assert CANARY not in told(result)


@pytest.mark.parametrize("rows", [1, 39])
def test_too_few_records(rows):
    result = checked(table(rows), min_records=40)
    assert [p for p in result.problems if "min_records" in p] == [
        f"{rows} records: the policy's min_records wants at least 40"
    ]
    assert checked(table(40), min_records=40).problems == ()


def test_persons_are_counted_where_there_is_a_person_key():
    assert checked(schema=PERSONS, min_records=20).units == 20
    short = checked(schema=PERSONS, min_records=21)
    assert short.problems == ("20 persons: the policy's min_records wants at least 21",)
    lacking = checked(table(patient=None), schema=PERSONS)
    assert "column 'patient'" in lacking.problems[0]
    holes = checked(table(patient=[None, *["p"] * 39]), schema=PERSONS)
    assert "1 rows have no person key" in holes.problems[0]


def test_a_waiver_silences_its_column_alone():
    frame = table(ward=["a@b.org"] * 8 + ["a"] * 32)
    assert len(checked(frame, waived=["age"]).problems) == 1
    result = checked(frame, waived=["ward"])
    assert result.problems == ()
    assert "waived, looks like e-mail addresses" in told(result)
    assert "the waiver can go" in told(checked(waived=["ward"]))


@pytest.mark.parametrize("name", ["wrad", "patient"])
def test_a_waiver_for_no_modelled_column_is_a_problem(name):
    assert "no modelled column" in checked(waived=[name]).problems[0]


def test_a_waiver_does_not_excuse_a_column_that_cannot_be_encoded():
    assert "not a number" in checked(table(age=[CANARY] * 40), waived=["age"]).problems[0]


def test_categories_of_the_schema_are_looked_at():
    columns = list(SCHEMA.columns)
    columns[1] = CategoricalColumn(name="ward", categories=("a", "b", f"{CANARY}@example.org"))
    result = checked(schema=SCHEMA.model_copy(update={"columns": tuple(columns)}))
    assert "categories of the schema" in result.problems[0]
    assert CANARY not in " ".join(result.problems)


def test_a_drafted_schema_is_noted():
    drafted = SCHEMA.model_copy(update={"origin": "drafted from data"})
    assert "not private" in checked(schema=drafted).notes[0]


@pytest.mark.parametrize(
    "cells",
    [
        [datetime.datetime(2020, 1, 1)] * 40,
        [decimal.Decimal("1.5")] * 40,
        [CANARY.encode()] * 40,
        [[CANARY]] * 40,
        [{CANARY: 1}] * 40,
        [True, None] * 20,
        [pd.Timedelta(days=1)] * 40,
    ],
)
@pytest.mark.parametrize("name", ["ward", "age", "pulse", "smoker"])
def test_columns_of_unusual_types_quote_nothing(name, cells):
    frame = table()
    frame[name] = pd.Series(cells)
    try:
        said = told(checked(frame))
    except FedsynthError as error:
        said = str(error)
    assert CANARY not in said


def test_what_is_unforeseen_is_told_without_its_text():
    with pytest.raises(FedsynthError) as refused, without_values("reading"):
        int(CANARY)
    assert CANARY not in str(refused.value)
    assert "ValueError in " in str(refused.value)
    assert refused.value.__suppress_context__
    with pytest.raises(InputError, match="mine"), without_values("reading"):
        raise InputError("mine")


def test_a_repeated_heading_is_told_without_its_name(tmp_path):
    (tmp_path / "t.csv").write_text(f"{CANARY},{CANARY}\n1,2\n")
    with pytest.raises(InputError, match="the same heading") as refused:
        read_records(tmp_path / "t.csv")
    assert CANARY not in str(refused.value)


def test_records_that_break_a_rule_are_counted_over_all_chunks():
    rule = Inequality(name="young at heart", low="age", high="pulse")
    schema = SCHEMA.model_copy(update={"rules": (rule,)})
    frame = table(age=["90"] * 15 + ["30"] * 25)
    for rows in (40, 7):
        result = preflight(FrameSource(frame, rows=rows), schema, make_policy())
        assert result.problems == ()
        assert result.notes == (
            "rule 'young at heart': 15 records break it, synthetic ones never will",
        )


# --- over chunks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 7, 40, 1000])
def test_a_cell_that_must_be_unique_is_looked_for_in_the_whole_table(rows):
    """Each of 20 patients has two records, 20 apart: no chunk of seven holds both."""
    columns = (IdColumn(name="patient", pattern="[0-9]{9}", unique=True), *SCHEMA.columns[1:])
    rule = Unique(name="once", column="patient")
    schema = Schema(name="clinic", columns=columns, rules=(rule,))
    patients = [f"{CANARY}{n % 20}" for n in range(40)]
    found = checked(FrameSource(table(patient=patients), rows=rows), schema)
    assert found.notes == ("rule 'once': 20 records break it, synthetic ones never will",)
    some = [None, *patients[:19], *[None] * 20]
    assert checked(FrameSource(table(patient=some), rows=rows), schema).notes == ()
    assert checked(FrameSource(table(patient=None), rows=rows), schema).notes == ()


# --- the site's own name -------------------------------------------------------------------------

HOSPITAL = CategoricalColumn(name="hospital", categories=("north", "south"))
NAMED = Schema(
    name="clinic", columns=(HOSPITAL, *SCHEMA.columns), site_column="hospital", target="ward"
)


@pytest.mark.parametrize("rows", [7, 1000])
def test_a_site_fills_in_its_name_as_if_the_table_held_it(rows):
    filled = checked(FrameSource(table(), rows=rows), NAMED, site="south")
    held = checked(table(hospital=["south"] * 40), NAMED, site="south")
    assert filled.problems == held.problems == ()
    assert filled.digest == held.digest
    assert filled.digest != checked(table(), NAMED, site="north").digest
    assert filled.notes == (
        "column 'hospital': not in the table, filled with this site's name, 'south'",
    )
    assert held.notes == ()


@pytest.mark.parametrize(
    ("site", "fault"),
    [(None, "state this site's name in the policy"), ("west", "'west', is not one")],
)
def test_a_name_that_the_schema_does_not_list_is_refused(site, fault):
    (problem,) = checked(schema=NAMED, site=site).problems
    assert problem.startswith("column 'hospital': names the site and is not in the table")
    assert fault in problem


def test_a_table_that_names_its_site_is_taken_at_its_word():
    assert checked(table(hospital=["north"] * 40), NAMED, site="west").problems == ()
