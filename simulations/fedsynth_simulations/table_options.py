"""From the table on the command line of `fedsynth simulate` to the sites' tables and a schema."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fedsynth_common.drafting.draft import draft_schema
from fedsynth_common.encoding.encoder import check_columns
from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_common.tables import read_table


@dataclass(frozen=True)
class Tables:
    """What a simulated study is about.

    Attributes:
        sites: table of each site, by name.
        pooled: the same records in one table.
        held: records that were kept from all sites, if any were.
        schema: declared, or drafted from the pooled records.
    """

    sites: dict[str, pd.DataFrame]
    pooled: pd.DataFrame
    held: pd.DataFrame | None
    schema: Schema


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

    Raises:
        InputError: an option that does not fit the table, or a table that does not fit the schema.
    """
    frame = read_table(table)
    declared = None if schema is None else _declared(schema, target, site_column)
    if declared is not None:
        target = declared.target
    elif target is not None and target not in frame.columns:
        raise InputError(f"--target {target}: no such column in {table}")
    train, held = _split(frame, holdout, seed, declared)
    published = declared is not None and declared.site_column == site_column
    frames = _partition(train, sites, partition, site_column, published, target, seed)
    pooled = pd.concat(frames.values(), ignore_index=True)
    public = declared or _drafted(pooled, table, target)
    check_columns(pooled, public)
    return Tables(frames, pooled, held, public)


def _split(
    frame: pd.DataFrame, holdout: float, seed: int | None, declared: Schema | None
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Rows for the sites and rows kept from them, by person where the schema names one."""
    if holdout == 0:
        return frame, None
    from fedsynth_release.evaluation.evaluate_table import MIN_ROWS
    from fedsynth_release.evaluation.split import split_rows

    rng = np.random.default_rng(0 if seed is None else seed)
    try:
        train, test = split_rows(frame, holdout, rng, declared.person_key if declared else None)
    except InputError as error:
        raise InputError(f"--holdout {holdout:g}: {error}") from None
    if min(len(train), len(test)) < MIN_ROWS:
        fault = f"leaves {len(test)} of {len(frame)} records to measure on"
        raise InputError(f"--holdout {holdout:g}: {fault}; expected at least {MIN_ROWS} per side")
    return train, test


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


def _drafted(pooled: pd.DataFrame, table: Path, target: str | None) -> Schema:
    """A schema drafted from the data, which voids the guarantee."""
    return draft_schema(pooled, table.name.split(".")[0] or "table", target=target)
