"""The schema: what is accepted, what is refused, and how a person is told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fedsynth_common.errors import InputError
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.events import CountsEvent
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    DurationColumn,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
)
from fedsynth_common.schema.schema import MAX_ROWS_PER_PERSON

COLUMNS = (
    IdColumn(name="patient"),
    IntegerColumn(name="age", minimum=0, maximum=120, atoms=(0,), nullable=True),
    NumericColumn(name="charges", minimum=0.0, maximum=1e6, decimals=2, scale="log"),
    CategoricalColumn(name="ward", categories=("A", "B"), other=False, description="ward code"),
    BooleanColumn(name="died", true="yes", false="no"),
)


def schema(**fields):
    return Schema(**{"name": "hospital", "columns": COLUMNS, "target": "died", **fields})


def test_json_round_trip_keeps_everything():
    full = schema(person_key="patient", rows_per_person=3, origin="drafted from data")
    assert Schema.from_json(full.to_json()) == full
    assert Schema.from_json(full.to_json()).to_json() == full.to_json()


def test_json_has_one_line_per_column():
    lines = schema().to_json().splitlines()
    assert sum(line.startswith('  {"name": ') for line in lines) == len(COLUMNS)


def test_file_round_trip(tmp_path):
    path = tmp_path / "schema.json"
    schema().save(path)
    assert Schema.load(path) == schema()


def test_ids_are_not_modelled():
    s = schema()
    assert [c.name for c in s.modelled] == ["age", "charges", "ward", "died"]
    assert s.ids == ("patient",)
    assert s.target_index == 3
    assert schema(target=None).target_index is None


def test_columns_are_found_by_name():
    assert schema().column("ward").description == "ward code"
    with pytest.raises(InputError, match="no column 'bed'"):
        schema().column("bed")


def test_schema_and_columns_are_hashable_and_frozen():
    assert hash(schema()) == hash(schema())
    with pytest.raises(ValidationError):
        schema().name = "x"
    with pytest.raises(ValidationError):
        COLUMNS[1].minimum = 5


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"columns": (*COLUMNS, COLUMNS[1])}, "'age' is declared more than once"),
        ({"columns": (IdColumn(name="patient"),), "target": None}, "must not be an id"),
        ({"target": "patient"}, "'patient' is not one of the modelled"),
        ({"person_key": "age"}, "person_key 'age' is not a column of kind 'id'"),
        ({"rows_per_person": 2}, "needs a person_key"),
        ({"rows_per_person": 0, "person_key": "patient"}, "rows_per_person"),
        (
            {"rows_per_person": MAX_ROWS_PER_PERSON + 1, "person_key": "patient"},
            f"equal to {MAX_ROWS_PER_PERSON}",
        ),
        ({"colums": ()}, "colums"),
        ({"format_version": 2}, "format_version"),
    ],
)
def test_inconsistent_roles_are_refused(fields, fault):
    with pytest.raises(ValidationError, match=fault):
        schema(**fields)


def test_a_person_may_have_as_many_rows_as_the_accountant_takes():
    assert schema(person_key="patient", rows_per_person=MAX_ROWS_PER_PERSON)
    assert CountsEvent(scale=1.0, sensitivity=MAX_ROWS_PER_PERSON, blocks=1)
    with pytest.raises(PrivacyError, match="sensitivity"):
        CountsEvent(scale=1.0, sensitivity=MAX_ROWS_PER_PERSON + 1, blocks=1)
    fields = json.loads(schema(person_key="patient").to_json()) | {
        "rows_per_person": MAX_ROWS_PER_PERSON + 1
    }
    with pytest.raises(InputError, match=r"rows_per_person: expected a number of at most 1000"):
        Schema.from_json(json.dumps(fields))


@pytest.mark.parametrize(
    ("kind", "fields", "fault"),
    [
        (NumericColumn, {"minimum": 2.0, "maximum": 1.0}, "above maximum"),
        (NumericColumn, {"minimum": 0.0, "maximum": float("inf")}, "finite"),
        (NumericColumn, {"minimum": float("nan"), "maximum": 1.0}, "finite"),
        (NumericColumn, {"minimum": 0.001, "maximum": 1.0}, "at most 2 decimals"),
        (NumericColumn, {"minimum": 0.0, "maximum": 1.0, "atoms": (0.5, 0.5)}, "distinct"),
        (NumericColumn, {"minimum": 0.0, "maximum": 1e12, "decimals": 6}, "fewer decimals"),
        (IntegerColumn, {"minimum": 5, "maximum": 4}, "above maximum"),
        (IntegerColumn, {"minimum": 0, "maximum": 2**60}, "must be below"),
        (IntegerColumn, {"minimum": 0.5, "maximum": 4}, "minimum"),
        (CategoricalColumn, {"categories": ()}, "categories"),
        (CategoricalColumn, {"categories": ("a", "a")}, "distinct"),
        (CategoricalColumn, {"categories": ("a", "")}, "not empty"),
        (CategoricalColumn, {"categories": ("a", " b")}, "blanks"),
        (BooleanColumn, {"true": "x", "false": "x"}, "two different"),
        (IdColumn, {"minimum": 1}, "minimum"),
    ],
)
def test_faulty_columns_are_refused(kind, fields, fault):
    with pytest.raises(ValidationError, match=fault):
        kind(name="dose", **fields)


@pytest.mark.parametrize("name", ["", " age", "age\n", "a\x00"])
def test_faulty_names_are_refused(name):
    with pytest.raises(ValidationError):
        IdColumn(name=name)


def test_validators_name_the_column():
    with pytest.raises(ValidationError, match=r"column 'dose': minimum 2\.0 is above"):
        NumericColumn(name="dose", minimum=2.0, maximum=1.0)


def test_a_constant_range_is_allowed():
    assert IntegerColumn(name="x", minimum=3, maximum=3).minimum == 3


def edited(**changes):
    """The schema's JSON with fields of the column `age` changed (None removes)."""
    document = json.loads(schema().to_json())
    column = document["columns"][1]
    for field, value in changes.items():
        column.pop(field) if value is None else column.__setitem__(field, value)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"minimum": "zero"}, "column 'age': minimum: expected a whole number"),
        ({"minimum": None}, "column 'age': minimum: this required field is missing"),
        (
            {"minmum": 3},
            "column 'age': minmum: there is no such field; the known fields are name, description, "
            "missing_marks, stored_as, kind, minimum",
        ),
        ({"minimum": 500}, "column 'age': minimum 500 is above maximum 120"),
        (
            {"kind": "memo"},
            "column 'age': the field 'kind' must be one of 'numeric', 'integer'",
        ),
        ({"name": None}, "column number 2: name: this required field is missing"),
    ],
)
def test_a_faulty_file_is_explained_in_one_line(tmp_path, changes, line):
    path = tmp_path / "s.json"
    path.write_text(edited(**changes))
    with pytest.raises(InputError) as caught:
        Schema.load(path)
    assert str(caught.value).startswith(f"{path}: {line}")
    assert "\n" not in str(caught.value)


def test_every_fault_gets_its_line():
    with pytest.raises(InputError) as caught:
        Schema.from_json(edited(minimum="x", nullable="y"))
    assert [line.split(":")[2].strip() for line in str(caught.value).splitlines()] == [
        "minimum",
        "nullable",
    ]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"columns": 3, "name": "x"}'])
def test_what_is_no_schema_is_an_input_error(text):
    with pytest.raises(InputError, match="schema: "):
        Schema.from_json(text)


def test_missing_and_undecodable_files_are_input_errors(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: cannot be read"):
        Schema.load(tmp_path / "none.json")
    (tmp_path / "latin.json").write_bytes(b'{"name": "\xe9"}')
    with pytest.raises(InputError, match="not UTF-8"):
        Schema.load(tmp_path / "latin.json")


def test_a_byte_order_mark_is_no_fault(tmp_path):
    path = tmp_path / "bom.json"
    path.write_bytes(b"\xef\xbb\xbf" + schema().to_json().encode())
    assert Schema.load(path) == schema()


texts = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=8)


@given(st.lists(texts, min_size=1, max_size=10, unique=True), texts)
def test_any_text_survives_the_file(categories, name):
    s = Schema(name=name, columns=(CategoricalColumn(name=name, categories=tuple(categories)),))
    assert Schema.from_json(s.to_json()) == s


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (IntegerColumn, {"atoms": (2**63,)}),
        (IntegerColumn, {"step": 10**60}),
        (DurationColumn, {"atoms": (-(2**70),)}),
    ],
)
def test_a_number_beyond_what_a_tick_can_be_is_refused(kind, change):
    with pytest.raises(ValidationError, match="must be below"):
        kind(**({"name": "n", "minimum": 0, "maximum": 9} | change))


def test_a_rule_without_a_condition_is_written_and_read():
    columns = tuple(IntegerColumn(name=name, minimum=0, maximum=9) for name in "ab")
    rule = {
        "name": "r",
        "rule": "difference",
        "column": "b",
        "minus": "a",
        "minimum": 0,
        "maximum": 0,
    }
    fields = {"name": "t", "columns": columns, "rules": [rule]}
    schema = Schema.model_validate(fields, strict=False)
    assert "null" not in schema.to_json().split('"rules"')[1]
    assert Schema.from_json(schema.to_json()) == schema
