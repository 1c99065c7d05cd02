"""Reads schemas of other programs: Frictionless table schemas and SDV metadata.

Frictionless states what a schema needs in constraints (`minimum`, `maximum`, `enum`, `required`). The
metadata of SDV has kinds of columns, but neither bounds nor categories. If a table is given, what the
file leaves open is taken from a draft of that table, and the result then says `drafted from data`. If
no table is given, an error names the column. Nothing is guessed, because an invented bound would
silently clamp records.

Sources: specs.frictionlessdata.io/table-schema (version 1); SDV metadata V2, V1 and SINGLE_TABLE_V1.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from pydantic import ValidationError

from fedsynth_common.errors import InputError
from fedsynth_common.schema.columns import IdColumn
from fedsynth_common.schema.schema import Schema
from fedsynth_common.tables import factorise
from fedsynth_common.validated import first_fault
from fedsynth_release.drafting.draft import draft_schema
from fedsynth_release.drafting.moments import draft_moment

Fields = dict[str, Any]
_FRICTIONLESS = {
    "integer": "integer",
    "number": "numeric",
    "boolean": "boolean",
    "date": "date",
    "year": "date",
    "yearmonth": "date",
    "datetime": "datetime",
    "duration": "duration",
    "string": "categorical",
}
_SDV = {
    "numerical": "numeric",
    "categorical": "categorical",
    "ordinal": "categorical",
    "boolean": "boolean",
    "datetime": "datetime",
    "id": "id",
}
_NEEDED = {
    "numeric": ("minimum", "maximum"),
    "integer": ("minimum", "maximum"),
    "date": ("minimum", "maximum"),
    "datetime": ("minimum", "maximum"),
    "duration": ("maximum",),
    "categorical": ("categories",),
}


def from_frictionless(document: Any, name: str, table: pd.DataFrame | None = None) -> Schema:
    """A Frictionless table schema, or the first resource of a data package.

    Raises:
        InputError: not such a document, or one that leaves open what `table` does not show either.
    """
    if isinstance(document, dict) and document.get("resources"):
        document = document["resources"][0].get("schema")
    fields = document.get("fields") if isinstance(document, dict) else None
    if not isinstance(fields, list) or not all(isinstance(f, dict) and "name" in f for f in fields):
        raise InputError("expected a Frictionless table schema: an object with a list of fields")
    key = document.get("primaryKey", [])
    keys = {key} if isinstance(key, str) else set(key)
    columns = [_frictionless(field, field["name"] in keys) for field in fields]
    return _schema(name, columns, table)


def _frictionless(field: Fields, key: bool) -> Fields:
    limits = field.get("constraints") or {}
    kind = _FRICTIONLESS.get(field.get("type", "string"), "text")
    unique = key or bool(limits.get("unique"))
    fields: Fields = {"name": field["name"], "description": field.get("description", "")}
    if unique or kind == "text":
        return fields | {"kind": "id" if unique else "text"}
    fields |= {"kind": kind, "nullable": not limits.get("required", False)}
    if limits.get("enum") and kind != "boolean":
        values = tuple(str(value) for value in limits["enum"])
        return fields | {"kind": "categorical", "categories": values, "other": False}
    if kind == "boolean":
        for ours, theirs in (("true", "trueValues"), ("false", "falseValues")):
            if field.get(theirs):
                fields[ours] = str(field[theirs][0])
        return fields
    for bound in ("minimum", "maximum"):
        if bound in limits and kind != "categorical":
            fields[bound] = limits[bound]
    if field.get("type") in ("year", "yearmonth"):
        fields["granularity"] = {"year": "year", "yearmonth": "month"}[field["type"]]
        fields |= {b: str(fields[b]) for b in ("minimum", "maximum") if b in fields}
    if kind in ("date", "datetime") and str(field.get("format", "default")).startswith("%"):
        fields["format"] = field["format"]
    if kind == "duration":
        fields["format"] = "iso8601"
    return fields


def from_sdv(document: Any, name: str, table: pd.DataFrame | None = None) -> Schema:
    """SDV metadata of one table, or the only table of metadata of several.

    Raises:
        InputError: not such a document, several tables, or what `table` does not show either.
    """
    if isinstance(document, dict) and isinstance(document.get("tables"), dict):
        tables = document["tables"]
        if len(tables) != 1:
            fault = f"it describes {len(tables)} tables; a study has one: {', '.join(tables)}"
            raise InputError(f"SDV metadata: {fault}")
        name, document = next(iter(tables.items()))
    columns = document.get("columns") if isinstance(document, dict) else None
    if not isinstance(columns, dict):
        raise InputError("expected SDV metadata: an object with columns, or with one table")
    return _schema(name, [_sdv(label, fields) for label, fields in columns.items()], table)


def _sdv(name: str, fields: Fields) -> Fields:
    kind = _SDV.get(fields.get("sdtype", ""), "text")
    column: Fields = {"name": name, "kind": kind}
    if fields.get("pii") and kind == "categorical":
        return {"name": name, "kind": "text"}
    representation = str(fields.get("computer_representation", ""))
    if kind == "numeric" and representation.startswith(("Int", "UInt")):
        column["kind"] = "integer"
    if kind == "datetime" and (pattern := fields.get("datetime_format")):
        column["format"] = pattern
        if not any(mark in pattern for mark in ("%H", "%I", "%X", "%T", "%c")):
            column["kind"] = "date"
    return column


def _schema(name: str, columns: list[Fields], table: pd.DataFrame | None) -> Schema:
    drafted = {} if table is None else _drafted(table, name, columns)
    whole, used = [], False
    for fields in columns:
        open_ = [field for field in _NEEDED.get(fields["kind"], ()) if field not in fields]
        if open_:
            fields, used = _filled(fields, open_, drafted), True
        whole.append(fields)
    origin = "drafted from data" if used else "declared"
    try:
        return Schema.model_validate(
            {"name": name, "columns": whole, "origin": origin}, strict=False
        )
    except ValidationError as error:
        fault = first_fault(error, Schema)
        raise InputError(f"cannot be a schema of fedsynth: {fault}") from None


def _drafted(table: pd.DataFrame, name: str, columns: list[Fields]) -> dict[str, Any]:
    """A draft of every column; dates by the format that the file names."""
    drafted: dict[str, Any] = {c.name: c for c in draft_schema(table, name).columns}
    for fields in columns:
        if fields["kind"] in ("date", "datetime") and fields["name"] in table:
            cells, texts = factorise(pd.Series(table[fields["name"]]))
            missing = bool((cells < 0).any())
            moment = draft_moment(fields["name"], texts, missing, fields.get("format"))
            drafted[fields["name"]] = moment or drafted[fields["name"]]
    return drafted


def _filled(fields: Fields, open_: list[str], drafted: Mapping[str, Any]) -> Fields:
    """The column with what its file leaves open taken from the draft.

    Raises:
        InputError: there is no draft, or it sees another kind of column.
    """
    name = fields["name"]
    if name not in drafted:
        fault = f"column {name!r}: the file does not say its {' and '.join(open_)}"
        raise InputError(
            f"{fault}; pass --table to draft them from a table, or add them to the file"
        )
    column = drafted[name]
    if isinstance(column, IdColumn):
        return {"name": name, "kind": "id", "description": fields.get("description", "")}
    seen: Fields = column.model_dump()
    if column.kind != fields["kind"]:  # the table knows better than a file without bounds
        return seen | {"description": fields.get("description", "")}
    return seen | fields
