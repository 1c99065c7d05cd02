"""From the table on the command line of `fedsynth simulate` to the sites' tables and a schema."""

from dataclasses import dataclass, replace
from pathlib import Path

from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_REPAIRED
from fedsynth_common.schema import Schema
from fedsynth_common.tables import read_table
from fedsynth_release.cli.csv_dialect import dialect_of
from fedsynth_release.drafting.wishes import Wishes, wishes_of
from fedsynth_simulations.site_tables import Division, Tables, divided
from fedsynth_simulations.stream import ORDER, numbered, with_numbers


@dataclass(frozen=True)
class Reading:
    """How a table is written, and what somebody has said about it; None for what is left open.

    With `cohorts` the table is cut into as many parts by the order of its rows.
    """

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    date_order: str | None = None
    max_repaired: float = MAX_REPAIRED
    person_key: str | None = None
    order: str | None = None
    cohorts: int | None = None


def tables_of(
    table: Path,
    schema: Path | None,
    *,
    sites: int,
    partition: str,
    site_column: str | None,
    target: str | None,
    holdout: float,
    seed: int | None,
    reading: Reading | None = None,
) -> Tables:
    """Read a table, keep a hold-out and deal the other records out to sites.

    Args:
        table: file of the records.
        schema: file of a reviewed schema; None to draft one.
        sites: how many, without a site column.
        partition: how records are dealt out (`partition.py`).
        site_column: names each record's site.
        target: for models and for label skew; that of the schema where there is one.
        holdout: share of records kept from the sites.
        seed: of the hold-out and the partition.
        reading: how the table is written, and what a draft should know.

    Raises:
        InputError: an option that does not fit the table, or a table that does not fit the schema.
    """
    reading = reading or Reading()
    frame = read_table(table, dialect_of(table, reading.delimiter, reading.encoding))
    declared = None if schema is None else Schema.load(schema)
    if reading.cohorts is not None:
        frame = numbered(frame, reading.cohorts)
        declared = with_numbers(declared) if declared else None
    if declared is None and target is not None and target not in frame.columns:
        raise InputError(f"--target {target}: no such column in {table}")
    wishes = wishes_of(
        target,
        Wishes.max_categories,
        reading.date_order,
        reading.decimal,
        reading.person_key,
        reading.order,
    )
    division = Division(
        sites=sites, partition=partition, site_column=site_column, holdout=holdout, seed=seed
    )
    name = table.name.split(".")[0] or "table"
    tables = divided(frame, name, declared, division, wishes, reading.max_repaired)
    if reading.cohorts is None:
        return tables
    notes = tuple(note for note in tables.notes if note.column != ORDER)
    return replace(tables, schema=with_numbers(tables.schema), notes=notes)
