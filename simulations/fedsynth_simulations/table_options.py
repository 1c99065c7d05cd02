"""From the table on the command line of `fedsynth simulate` to the sites' tables and a schema."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from fedsynth_common.encoding.column_fit import ColumnFit
from fedsynth_common.encoding.encoder import check_columns
from fedsynth_common.errors import InputError
from fedsynth_common.identifiers.findings import findings
from fedsynth_common.limits import MAX_REPAIRED
from fedsynth_common.schema import CategoricalColumn, Schema
from fedsynth_common.tables import read_table
from fedsynth_release.cli.csv_dialect import dialect_of
from fedsynth_release.drafting.draft import draft
from fedsynth_release.drafting.notes import Note
from fedsynth_release.drafting.wishes import Wishes, wishes_of


@dataclass(frozen=True)
class Reading:
    """How a table is written, and what somebody has said about it; None for what is left open."""

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    date_order: str | None = None
    max_repaired: float = MAX_REPAIRED


@dataclass(frozen=True)
class Tables:
    """What a simulated study is about.

    Attributes:
        sites: table of each site, by name.
        pooled: the same records in one table.
        held: records that were kept from all sites, if any were.
        schema: declared, or drafted from the records.
        public_sites: whether no record decided which sites there are and which site it is at: there
            is one site only, or a declared schema lists the sites as its site column.
        notes: what the draft tells about its columns; or what `site check` would say of a declared
            schema.
    """

    sites: dict[str, pd.DataFrame]
    pooled: pd.DataFrame
    held: pd.DataFrame | None
    schema: Schema
    public_sites: bool
    notes: tuple[Note, ...] = ()


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
    declared = None if schema is None else _declared(schema, target, site_column)
    if declared is not None:
        target = declared.target
    elif target is not None and target not in frame.columns:
        raise InputError(f"--target {target}: no such column in {table}")
    train, held = _split(frame, holdout, seed, declared)
    published = declared is not None and declared.site_column == site_column
    deal = partial(
        _partition,
        sites=sites,
        spec=partition,
        site_column=site_column,
        publish=published,
        target=target,
        seed=seed,
    )
    frames = deal(train) if site_column is not None else _dealt(train, declared, deal)
    pooled = pd.concat(frames.values(), ignore_index=True)
    known = (
        sites == 1 if site_column is None else set(frames) <= _listed_sites(declared, site_column)
    )
    if declared is not None:
        check_columns(pooled, declared)
        _check_fit(frames, declared, reading.max_repaired)
        notes = _identifiers(pooled, declared)
        return Tables(frames, pooled, held, declared, known, notes)
    whole = frame if site_column is None else frame.drop(columns=site_column)
    wishes = wishes_of(target, Wishes.max_categories, reading.date_order, reading.decimal)
    made = draft(whole, table.name.split(".")[0] or "table", wishes)
    return Tables(frames, pooled, held, made.schema, known, made.notes)


def _listed_sites(declared: Schema | None, site_column: str) -> set[str]:
    """The names of the sites that a declared schema lists, if it does so in this column."""
    if declared is None or declared.site_column != site_column:
        return set()
    column = declared.column(site_column)
    return set(column.categories) if isinstance(column, CategoricalColumn) else set()


def _split(
    frame: pd.DataFrame, holdout: float, seed: int | None, declared: Schema | None
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Rows for the sites and rows kept from them, by person where the schema names one."""
    if holdout == 0:
        return frame, None
    from fedsynth_release.evaluation.effort import MIN_ROWS
    from fedsynth_release.evaluation.split import split_rows

    rng = np.random.default_rng(0 if seed is None else seed)
    try:
        train, test = split_rows(frame, holdout, rng, declared.person_key if declared else None)
    except InputError as error:
        raise InputError(f"--holdout {holdout:g}: {error}") from None
    units, what = (len(train), len(test)), "records"
    if declared is not None and declared.histories is not None and declared.person_key is not None:
        key = declared.person_key
        units, what = (train[key].nunique(), test[key].nunique()), "persons"
    if min(units) < MIN_ROWS:
        fault = f"leaves {units[1]} of {sum(units)} {what} to measure on"
        raise InputError(f"--holdout {holdout:g}: {fault}; expected at least {MIN_ROWS} per side")
    return train, test


def _dealt(
    train: pd.DataFrame,
    declared: Schema | None,
    deal: Callable[[pd.DataFrame], dict[str, pd.DataFrame]],
) -> dict[str, pd.DataFrame]:
    """Records of the sites; of histories each person with all events, by the row that comes first."""
    key = None if declared is None or declared.histories is None else declared.person_key
    if key is None:
        return deal(train)
    if key not in train.columns:
        raise InputError(f"the table has no column {key!r}, the schema's person key")
    return {
        site: train[train[key].isin(first[key])].reset_index(drop=True)
        for site, first in deal(train.drop_duplicates(key)).items()
    }


def _partition(
    train: pd.DataFrame,
    sites: int,
    spec: str,
    site_column: str | None,
    publish: bool,
    target: str | None,
    seed: int | None,
) -> dict[str, pd.DataFrame]:
    from fedsynth_simulations.partition import partition

    rng = np.random.default_rng(0 if seed is None else seed)
    return partition(
        train, sites, spec, rng, target=target, site_column=site_column, publish=publish
    )


def _declared(path: Path, target: str | None, site_column: str | None) -> Schema:
    """The reviewed schema, without the site column unless it publishes that."""
    public = Schema.load(path)
    if target is not None and target != public.target:
        raise InputError(
            f"--target {target}: the schema declares {public.target!r}; change it there"
        )
    if site_column in (None, public.site_column):
        return public
    if site_column in (public.target, public.person_key):
        raise InputError(f"--site-column {site_column}: is the schema's target or person key")
    return public.without(site_column)


def _check_fit(frames: Mapping[str, pd.DataFrame], schema: Schema, max_repaired: float) -> None:
    """Refuse what `site check` would refuse at one of the sites."""
    problems = []
    for site, frame in frames.items():
        for column in schema.modelled:
            fit = ColumnFit(column)
            fit.add(frame[column.name])
            problem = fit.problem(len(frame), max_repaired)
            problems += [f"site {site}: {problem}"] if problem else []
    if problems:
        raise InputError("\n".join(problems))


def _identifiers(pooled: pd.DataFrame, schema: Schema) -> tuple[Note, ...]:
    """Columns of a declared schema that `site check` would ask to remove or to waive."""
    remedy = "a site must declare it an id, or have somebody look at it and waive it"
    return tuple(
        Note(column.name, f"looks like {finding}; {remedy}", "warning")
        for column in schema.modelled
        for finding in findings(column, pooled[column.name])
    )
