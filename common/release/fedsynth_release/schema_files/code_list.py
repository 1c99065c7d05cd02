"""Reads public code lists: `code,parent[,label]`, such as the chapters of a classification.

The codes become the categories of a column, and `parent` names the group of each. Codes that are too
rare to be told from noise are then modelled as their group and drawn inside it. A list of thousands
of codes therefore costs a study no more than its groups. A code without a parent is its own group.
"""

import csv
import io
from pathlib import Path

from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_SCHEMA_BYTES, read_limited
from fedsynth_common.schema.columns import MAX_CATEGORIES, CategoricalColumn
from fedsynth_common.schema.schema import Schema


def read_code_list(path: Path) -> dict[str, str]:
    """Parent by code, in the order of the file.

    Raises:
        InputError: not such a file; says which line.
    """
    try:
        text = read_limited(path, MAX_SCHEMA_BYTES).decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}: not a readable CSV file of codes ({type(error).__name__})"
        ) from None
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    if header[:2] != ["code", "parent"]:
        raise InputError(f"{path}: expected a header row code,parent or code,parent,label")
    parents: dict[str, str] = {}
    for number, row in enumerate(rows[1:], start=2):
        code = row[0].strip() if row else ""
        if not code or len(row) < 2 or code in parents:
            raise InputError(
                f"{path}: line {number}: expected a code not listed before, and a parent"
            )
        parents[code] = row[1].strip() or code
    if not 0 < len(parents) <= MAX_CATEGORIES:
        fault = f"{len(parents)} codes; expected 1 to {MAX_CATEGORIES}"
        raise InputError(f"{path}: {fault}: declare the groups as the categories instead")
    return parents


def with_codes(schema: Schema, name: str, parents: dict[str, str]) -> Schema:
    """The schema with the list as the categories of a column, which becomes categorical.

    Raises:
        InputError: no such modelled column.
    """
    places = [place for place, column in enumerate(schema.columns) if column.name == name]
    modelled = {column.name: column for column in schema.modelled}
    if name not in modelled:
        raise InputError(f"schema {schema.name!r}: no modelled column {name!r}")
    column = CategoricalColumn(
        name=name,
        description=modelled[name].description,
        categories=tuple(parents),
        parents=tuple(parents.values()),
        nullable=modelled[name].nullable,
    )
    columns = list(schema.columns)
    columns[places[0]] = column
    return Schema.model_validate({**schema.model_dump(), "columns": tuple(columns)}, strict=False)
