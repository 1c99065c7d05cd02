"""`fedsynth schema diff|import|codes|json-schema`, and the checks that read a table."""

import json
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
from typer.testing import CliRunner

from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    CategoricalColumn,
    DateColumn,
    DatetimeColumn,
    DurationColumn,
    IdColumn,
    Inequality,
    IntegerColumn,
    NumericColumn,
    Schema,
    TextColumn,
    When,
)
from fedsynth_release.cli.schema import app
from fedsynth_release.drafting.draft import draft_schema
from fedsynth_release.schema_files.json_schema import json_schema

SCHEMA = Schema(
    name="ward",
    columns=(
        IntegerColumn(name="age", minimum=0, maximum=99),
        IntegerColumn(name="onset", minimum=0, maximum=99, nullable=True),
        CategoricalColumn(name="diagnosis", categories=("a", "b"), nullable=True),
    ),
    rules=(Inequality(name="ill since", low="onset", high="age"),),
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    SCHEMA.save("schema.json")
    return tmp_path


def run(*arguments):
    return CliRunner(mix_stderr=False).invoke(
        app, [str(argument) for argument in arguments], catch_exceptions=False
    )


# --- diff -------------------------------------------------------------------------------------------


def test_equal_schemas_have_no_difference():
    result = run("diff", "schema.json", "schema.json")
    assert (result.exit_code, result.stdout) == (0, "the schemas are equal\n")
    assert json.loads(run("diff", "schema.json", "schema.json", "--json").stdout) == []


def test_each_difference_is_named_and_the_exit_code_says_so():
    age, onset, diagnosis = SCHEMA.columns
    older = age.model_copy(update={"maximum": 120})
    other = Schema(
        name="ward",
        columns=(
            diagnosis,
            older,
            onset,
            DateColumn(name="seen", minimum="2020-01-01", maximum="2021-01-01"),
        ),
        target="diagnosis",
        rules=(SCHEMA.rules[0].model_copy(update={"strict": True}),),
    )
    other.save("other.json")
    result = run("diff", "schema.json", "other.json")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "target: only in the second: 'diagnosis'",
        "column 'age': maximum: 99 -> 120",
        "column 'seen': only in the second: date",
        "order of columns: ['age', 'onset', 'diagnosis'] -> ['diagnosis', 'age', 'onset']",
        "rule 'ill since': strict: False -> True",
        "5 difference(s)",
    ]
    found = json.loads(run("diff", "schema.json", "other.json", "--json").stdout)
    assert found[1] == {"place": "column 'age': maximum", "before": 99, "after": 120}


# --- import -----------------------------------------------------------------------------------------

FRICTIONLESS = {
    "primaryKey": "nr",
    "fields": [
        {"name": "nr", "type": "integer"},
        {
            "name": "age",
            "type": "integer",
            "constraints": {"minimum": 0, "maximum": 120, "required": True},
        },
        {"name": "crp", "type": "number", "constraints": {"minimum": 0, "maximum": 500}},
        {
            "name": "in",
            "type": "date",
            "constraints": {"minimum": "2015-01-01", "maximum": "2020-12-31"},
        },
        {
            "name": "at",
            "type": "datetime",
            "format": "%d.%m.%Y %H:%M",
            "constraints": {"minimum": "2015-01-01T00:00", "maximum": "2020-12-31T23:59"},
        },
        {"name": "birth", "type": "year", "constraints": {"minimum": 1900, "maximum": 2020}},
        {"name": "stay", "type": "duration", "constraints": {"maximum": 90}},
        {"name": "sex", "type": "string", "constraints": {"enum": ["F", "M"]}},
        {"name": "smoker", "type": "boolean", "trueValues": ["yes"], "falseValues": ["no"]},
        {"name": "photo", "type": "any"},
    ],
}


def test_a_frictionless_schema_with_constraints_is_declared():
    (package := {"resources": [{"name": "r", "schema": FRICTIONLESS}]})
    for document in (FRICTIONLESS, package):
        with open("f.json", "w", encoding="utf-8") as file:
            json.dump(document, file)
        result = run("import", "f.json", "--from", "frictionless", "--out", "out.json", "--force")
        assert result.exit_code == 0
        made = Schema.load("out.json")
        kinds = "id integer numeric date datetime date duration categorical boolean text"
        assert [column.kind for column in made.columns] == kinds.split()
        assert made.origin == "declared"
        assert made.column("birth").granularity == "year"
        assert made.column("at").format == "%d.%m.%Y %H:%M"
        assert (made.column("smoker").true, made.column("age").nullable) == ("yes", False)
        assert made.column("sex").categories == ("F", "M")


def sdv(columns):
    tables = {"tables": {"visits": {"primary_key": "nr", "columns": columns}}}
    with open("m.json", "w", encoding="utf-8") as file:
        json.dump(tables, file)


SDV = {
    "nr": {"sdtype": "id"},
    "age": {"sdtype": "numerical", "computer_representation": "Int64"},
    "in": {"sdtype": "datetime", "datetime_format": "%d.%m.%Y"},
    "ward": {"sdtype": "categorical"},
    "name": {"sdtype": "name", "pii": True},
}


def test_sdv_metadata_needs_a_table_for_what_it_does_not_say():
    sdv(SDV)
    with pytest.raises(
        InputError, match="m.json: column 'age': .*minimum and maximum; pass --table"
    ):
        run("import", "m.json", "--from", "sdv", "--out", "out.json")
    frame = pd.DataFrame(
        {
            "nr": [f"n{i}" for i in range(60)],
            "age": [str(20 + i % 50) for i in range(60)],
            "in": [f"{1 + i % 28:02d}.03.2019" for i in range(60)],
            "ward": ["a" if i % 3 else "b" for i in range(60)],
            "name": [f"person {i}" for i in range(60)],
        }
    )
    frame.to_csv("t.csv", index=False)
    result = run("import", "m.json", "--from", "sdv", "--table", "t.csv", "--out", "out.json")
    assert result.exit_code == 0
    made = Schema.load("out.json")
    assert (made.name, made.origin) == ("visits", "drafted from data")
    assert Path("out.json").stat().st_mode & 0o777 == 0o600
    assert [c.kind for c in made.columns] == ["id", "integer", "date", "categorical", "text"]
    assert made.column("in").format == "%d.%m.%Y"
    assert made.column("in").maximum == "2019-12-31"


def test_a_table_without_its_heading_row_is_not_quoted(folder):
    sdv({"a": {"sdtype": "numerical"}})
    (folder / "t.csv").write_text("S3CRET,S3CRET\n1,2\n")
    with pytest.raises(InputError, match="heading row is missing") as refused:
        run("import", "m.json", "--from", "sdv", "--table", "t.csv", "--out", "out.json")
    assert "S3CRET" not in str(refused.value)


@pytest.mark.parametrize(
    "document", ["[]", "{}", '{"tables": {"a": {}, "b": {}}}', "3", '{"fields": 1}']
)
@pytest.mark.parametrize("origin", ["sdv", "frictionless"])
def test_another_file_is_refused(folder, document, origin):
    (folder / "x.json").write_text(document)
    with pytest.raises(InputError, match="x.json: "):
        run("import", "x.json", "--from", origin, "--out", "out.json")


def test_nothing_is_overwritten_silently():
    sdv({})
    for command in (
        ("import", "m.json", "--from", "sdv", "--out", "schema.json"),
        ("codes", "schema.json", "diagnosis", "--from", "m.json", "--out", "schema.json"),
        ("json-schema", "--out", "schema.json"),
    ):
        with pytest.raises(InputError, match="already exists"):
            run(*command)


# --- codes ------------------------------------------------------------------------------------------


def test_a_code_list_becomes_categories_with_groups(folder):
    (folder / "codes.csv").write_text(
        "code,parent,label\nA1,A,one\nA2,A,two\nB1,B,three\nC,,four\n"
    )
    result = run("codes", "schema.json", "diagnosis", "--from", "codes.csv", "--out", "coded.json")
    assert "4 codes in 3 groups" in result.stdout
    column = Schema.load("coded.json").column("diagnosis")
    assert column.categories == ("A1", "A2", "B1", "C")
    assert column.parents == ("A", "A", "B", "C")
    assert column.nullable


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "header row"),
        ("name,parent\n", "header row"),
        ("code,parent\n", "0 codes"),
        ("code,parent\nA1,A\nA1,A\n", "line 3"),
        ("code,parent\n,A\n", "line 2"),
    ],
)
def test_a_faulty_code_list_is_refused(folder, text, fault):
    (folder / "codes.csv").write_text(text)
    with pytest.raises(InputError, match=fault):
        run("codes", "schema.json", "diagnosis", "--from", "codes.csv", "--out", "coded.json")
    with pytest.raises(InputError, match="no modelled column 'x'|codes.csv"):
        run("codes", "schema.json", "x", "--from", "codes.csv", "--out", "coded.json")


# --- JSON Schema ------------------------------------------------------------------------------------


def test_our_files_are_valid_under_the_printed_json_schema():
    printed = json.loads(run("json-schema").stdout)
    assert printed == json_schema()
    validator = jsonschema.Draft202012Validator(printed)
    validator.check_schema(printed)
    document = json.loads(SCHEMA.to_json())
    validator.validate(document)
    document["columns"][0]["minimun"] = 1
    assert not validator.is_valid(document)


# --- tables -----------------------------------------------------------------------------------------


def test_check_counts_the_records_that_break_a_rule(folder):
    (folder / "t.csv").write_text("age,onset,diagnosis\n50,40,a\n50,60,b\n30,31,a\n30,,b\n")
    result = run("check", "t.csv", "--schema", "schema.json")
    assert result.exit_code == 0
    assert "ill since" in result.stdout
    assert result.stdout.rstrip().endswith("fits the schema, but breaks rules")
    assert "2" in result.stdout.split("ill since")[1].splitlines()[0]


@pytest.mark.parametrize("text", ["Smith,41,Smith\n1,2,3\n", "Smith,41,measles\nJones,22,flu\n"])
def test_check_quotes_nothing_of_a_file_without_its_headings(folder, text):
    (folder / "t.csv").write_text(text)
    with pytest.raises(InputError, match="heading row") as caught:
        run("check", "t.csv", "--schema", "schema.json")
    assert not any(word in str(caught.value) for word in ("Smith", "41", "measles", "Jones"))


def test_a_draft_sees_dates_and_times():
    frame = pd.DataFrame(
        {
            "day": ["2019-02-03", "2021-05-06", None] * 20,
            "time": ["2019-02-03 10:15", "2019-12-06T23:59", "2020-01-01T00:00"] * 20,
            "word": ["2019-02-03", "tomorrow", "today"] * 20,
        }
    )
    day, time, word = draft_schema(frame, "t").columns
    assert isinstance(day, DateColumn)
    assert (day.minimum, day.maximum, day.nullable) == ("2019-01-01", "2021-12-31", True)
    assert isinstance(time, DatetimeColumn)
    assert (time.minimum, time.maximum) == ("2019-01-01T00:00", "2020-12-31T23:59")
    assert isinstance(word, CategoricalColumn)


def test_the_kinds_of_this_version_are_a_closed_list():
    kinds = {DateColumn, DatetimeColumn, DurationColumn, IdColumn, IntegerColumn, NumericColumn}
    names = {kind.model_fields["kind"].default for kind in kinds | {TextColumn, CategoricalColumn}}
    listed = json_schema()["properties"]["columns"]["items"]["discriminator"]["mapping"]
    assert names | {"boolean"} == set(listed)
    assert When(column="x", missing=True).missing
