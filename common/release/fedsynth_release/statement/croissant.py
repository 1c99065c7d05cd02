"""Writes croissant.json, which describes a published synthetic table to catalogues and loaders.

Croissant 1.1 (MLCommons, 2026) is JSON-LD over schema.org. It lists the file with its digest, and
one record set with a field for each column. Persons with events in two files are two record sets, and
the events' field of the person key refers to that of the persons. The RAI 1.0 terms tell a reader what
to know before using the table: how the records came about, the privacy guarantee and the limits. The
file must lie beside the table, because it contains the digest of the table.

Everything in it follows from the schema, the privacy statement and the file. Nothing is read from
real records. The publisher chooses the licence; without one the file says that none was stated.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_release.generator_files import sha256_of
from fedsynth_release.statement.privacy_statement import PrivacyStatement

CROISSANT = "croissant.json"
VERSIONS = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
NO_LICENCE = "no licence is stated; ask the publisher"
FORMATS = {
    ".parquet": "application/x-parquet",
    ".csv": "text/csv",
    ".csv.gz": "application/gzip",
}
_TYPES = {
    "integer": "sc:Integer",
    "numeric": "sc:Float",
    "date": "sc:Date",
    "datetime": "sc:DateTime",
}
_TERMS = (
    *("citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject"),
    *("fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath"),
    *("arrayShape", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
    *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)


def context() -> dict[str, Any]:
    """The JSON-LD context of Croissant 1.1."""
    return {
        "@language": "en",
        "@vocab": "https://schema.org/",
        **{term: f"cr:{term}" for term in _TERMS},
        "conformsTo": "dct:conformsTo",
        "cr": "http://mlcommons.org/croissant/",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "dct": "http://purl.org/dc/terms/",
        "description": {"@container": "@language"},
        "examples": {"@id": "cr:examples", "@type": "@json"},
        "name": {"@container": "@language"},
        "rai": "http://mlcommons.org/croissant/RAI/",
        "sc": "https://schema.org/",
    }


@dataclass(frozen=True)
class RecordSet:
    """A table that is described.

    Attributes:
        table: the file.
        columns: names of its columns, in order.
        name: what its rows are, in the plural.
        row: what a row is.
        key: the column that names its rows.
        refers_to: the column that names a row of the persons.
    """

    table: Path
    columns: list[str]
    name: str = "records"
    row: str = "one artificial record"
    key: str | None = None
    refers_to: str | None = None

    @property
    def file(self) -> str:
        """The id of its file object."""
        return "table" if self.key is None and self.refers_to is None else f"{self.name}-table"


def record_sets(
    table: Path, columns: list[str], schema: Schema, persons: tuple[Path, list[str]] | None = None
) -> list[RecordSet]:
    """What a drawn table consists of, with the table of persons if it was written on its own."""
    if schema.histories is None:
        return [RecordSet(table, columns)]
    row = "one event of an artificial person"
    if persons is None:
        return [RecordSet(table, columns, "events", row)]
    key = schema.person_key
    return [
        RecordSet(*persons, "persons", "one artificial person", key=key),
        RecordSet(table, columns, "events", row, refers_to=key),
    ]


def croissant(
    tables: Sequence[RecordSet],
    schema: Schema,
    statement: PrivacyStatement,
    licence: str = NO_LICENCE,
) -> dict[str, Any]:
    """The metadata of drawn tables.

    Raises:
        InputError: a file is of an unknown kind.
    """
    guarantee = _guarantee(statement)
    return {
        "@context": context(),
        "@type": "sc:Dataset",
        "conformsTo": VERSIONS,
        "name": f"Synthetic records of {schema.name}",
        "description": "Artificial records drawn from a generator that several sites trained "
        f"together without any record leaving a site (study {statement.study}). {guarantee}.",
        "license": licence,
        "url": f"urn:sha256:{statement.release_id}",
        "citeAs": f"Synthetic records of {schema.name}, study {statement.study}, "
        f"release {statement.release_id[:16]}",
        "version": "1.0.0",
        "datePublished": date.today().isoformat(),
        "creator": {
            "@type": "sc:Organization",
            "name": statement.contact or f"the sites of study {statement.study}",
        },
        "keywords": ["synthetic data", "differential privacy", "federated learning"],
        "rai:dataCollection": "The records were drawn from a generator. The table contains no record "
        "of a person.",
        "rai:personalSensitiveInformation": f"{guarantee}. If a person has records at several "
        f"sites: {statement.overlap}",
        "rai:dataLimitations": "; ".join((*statement.limits, *statement.caveats)),
        "rai:dataUseCases": "The records can be used to develop software, to explore the table, to "
        "teach, and to try out first models. Findings that matter have to be checked against real "
        "records.",
        "distribution": [_file_object(one) for one in tables],
        "recordSet": [_record_set(one, schema) for one in tables],
    }


def _record_set(one: RecordSet, schema: Schema) -> dict[str, Any]:
    key = {"key": {"@id": _field_id(one.name, one.key)}} if one.key else {}
    return {
        "@type": "cr:RecordSet",
        "@id": one.name,
        "name": one.name,
        "description": f"each row is {one.row}",
        **key,
        "field": [_field(name, one, schema) for name in one.columns],
    }


def _guarantee(statement: PrivacyStatement) -> str:
    if not statement.private:
        return "; ".join(statement.caveats)
    epsilon = statement.epsilon_if_people_are_at_one_site_only
    return f"({epsilon:.4f}, {statement.delta:g})-differential privacy for {statement.unit} at one site"


def _file_object(one: RecordSet) -> dict[str, Any]:
    table = one.table
    shape = FORMATS.get("".join(table.suffixes[-2:]).lower()) or FORMATS.get(table.suffix.lower())
    if shape is None:
        raise InputError(f"{table}: expected a table of the kind {', '.join(FORMATS)}")
    return {
        "@type": "cr:FileObject",
        "@id": one.file,
        "name": table.name,
        "contentUrl": quote(table.name),
        "contentSize": f"{table.stat().st_size} B",
        "encodingFormat": shape,
        "sha256": sha256_of(table),
    }


def _field_id(records: str, column: str) -> str:
    return f"{records}/{quote(column, safe='')}"


def _field(name: str, one: RecordSet, schema: Schema) -> dict[str, Any]:
    declared = next((column for column in schema.columns if column.name == name), None)
    kind = getattr(declared, "kind", "text")
    written_otherwise = getattr(declared, "format", None) is not None
    person = {"references": {"field": {"@id": _field_id("persons", name)}}}
    return {
        "@type": "cr:Field",
        "@id": _field_id(one.name, name),
        "name": name,
        "description": getattr(declared, "description", "") or f"{kind} column",
        "dataType": "sc:Text" if written_otherwise else _TYPES.get(kind, "sc:Text"),
        "source": {"fileObject": {"@id": one.file}, "extract": {"column": name}},
        **(person if name == one.refers_to else {}),
    }


def write_croissant(
    tables: Sequence[RecordSet],
    schema: Schema,
    statement: PrivacyStatement,
    licence: str = NO_LICENCE,
    force: bool = False,
) -> Path:
    """Write croissant.json beside the tables, which are in one folder, and return its path.

    Raises:
        InputError: a table is missing or of an unknown kind, or the file exists and `force` is not
            set.
    """
    path = tables[0].table.parent / CROISSANT
    for one in tables:
        if not one.table.is_file():
            raise InputError(f"{one.table}: no such table")
    if path.exists() and not force:
        raise InputError(f"{path}: exists; pass --force to replace it")
    fields = croissant(tables, schema, statement, licence)
    path.write_text(json.dumps(fields, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
