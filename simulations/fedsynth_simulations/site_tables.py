"""From one table, or a table of each site, to what a simulated study is about.

`fedsynth simulate` reads the table from a file (`table_options`); `fedsynth.fit` has it in memory.
Either way records are dealt out to sites here, and the schema is checked against them or drafted from
them. What decided which sites there are is told on, because it decides whether the result is private.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from fedsynth_common.encoding.column_fit import ColumnFit
from fedsynth_common.encoding.encoder import check_columns
from fedsynth_common.errors import InputError
from fedsynth_common.identifiers.findings import findings
from fedsynth_common.limits import MAX_REPAIRED
from fedsynth_common.schema import CategoricalColumn, Schema
from fedsynth_release.drafting.histories import draft_as_wished
from fedsynth_release.drafting.notes import Note
from fedsynth_release.drafting.wishes import Wishes


@dataclass(frozen=True)
class Tables:
    """What a simulated study is about.

    Attributes:
        sites: table of each site, by name.
        pooled: the same records in one table.
        held: records that were kept from all sites, if any were.
        schema: declared, or drafted from the records.
        public_sites: whether no record decided which sites there are and which site it is at: there
            is one site only, or a declared schema lists the sites as its site column, or the tables
            of the sites were given apart.
        notes: what the draft tells about its columns; or what `site check` would say of a declared
            schema.
    """

    sites: dict[str, pd.DataFrame]
    pooled: pd.DataFrame
    held: pd.DataFrame | None
    schema: Schema
    public_sites: bool
    notes: tuple[Note, ...] = ()

    @property
    def rehearsed(self) -> bool:
        """Whether records decided which site they are at, or that no site gets them."""
        return self.held is not None or not self.public_sites


@dataclass(frozen=True, kw_only=True)
class Division:
    """How records are dealt out to sites.

    Attributes:
        sites: how many, without a site column.
        partition: how records are dealt out (`partition.py`).
        site_column: names each record's site.
        holdout: share of records kept from the sites.
        seed: of the hold-out and the partition.
    """

    sites: int = 5
    partition: str = "iid"
    site_column: str | None = None
    holdout: float = 0.0
    seed: int | None = None


def divided(
    frame: pd.DataFrame,
    name: str,
    declared: Schema | None,
    division: Division,
    wishes: Wishes,
    max_repaired: float = MAX_REPAIRED,
) -> Tables:
    """Keep a hold-out of one table and deal the other records out to sites.

    Args:
        frame: the records.
        name: of a drafted schema.
        declared: a reviewed schema; None to draft one.
        division: how the records are dealt out.
        wishes: what a draft should know; its target is that of the schema, where there is one.
        max_repaired: the largest share of a column's cells that may not fit a declared schema.

    Raises:
        InputError: an option that does not fit the table, or a table that does not fit the schema.
    """
    if declared is not None:
        _agrees(declared, wishes)
        declared = _with_site_column(declared, division.site_column)
    elif wishes.target is not None and wishes.target not in frame.columns:
        raise InputError(f"--target {wishes.target}: no such column in the table")
    target = wishes.target if declared is None else declared.target
    key, histories = _persons(declared, wishes)
    train, held = _split(frame, division, key, histories)
    column = division.site_column
    published = declared is not None and declared.site_column == column
    deal = partial(_partition, division=division, publish=published, target=target)
    together = key if histories or key in train.columns else None
    frames = deal(train) if column is not None else _dealt(train, together, deal)
    known = (
        division.sites == 1 if column is None else set(frames) <= _listed_sites(declared, column)
    )
    whole = frame if column is None else frame.drop(columns=column)
    return _checked(frames, held, known, whole, name, declared, wishes, max_repaired)


def given_apart(
    frames: Mapping[str, pd.DataFrame],
    name: str,
    declared: Schema | None,
    wishes: Wishes,
    max_repaired: float = MAX_REPAIRED,
) -> Tables:
    """The tables of sites that were given one by one; the arguments are those of `divided`.

    Raises:
        InputError: a site's columns are not those of the others, or a table does not fit the schema.
    """
    first, columns = next((site, list(frame.columns)) for site, frame in frames.items())
    for site, frame in frames.items():
        if declared is None and set(frame.columns) != set(columns):
            odd = sorted(map(str, set(frame.columns) ^ set(columns)))
            fault = f"column {odd[0]!r} is at one of the sites {first!r} and {site!r} only"
            raise InputError(f"{fault}; the tables of all sites need the same columns")
    if declared is not None:
        _agrees(declared, wishes)
    whole = pd.concat(frames.values(), ignore_index=True)
    return _checked(dict(frames), None, True, whole, name, declared, wishes, max_repaired)


def _checked(
    frames: dict[str, pd.DataFrame],
    held: pd.DataFrame | None,
    known: bool,
    whole: pd.DataFrame,
    name: str,
    declared: Schema | None,
    wishes: Wishes,
    max_repaired: float,
) -> Tables:
    """The tables with a schema: the declared one, which they must fit, or one drafted from `whole`."""
    pooled = pd.concat(frames.values(), ignore_index=True)
    if declared is None:
        made = draft_as_wished(whole, name, wishes)
        return Tables(frames, pooled, held, made.schema, known, made.notes)
    check_columns(pooled, declared)
    _check_fit(frames, declared, max_repaired)
    return Tables(frames, pooled, held, declared, known, _identifiers(pooled, declared))


def _agrees(declared: Schema, wishes: Wishes) -> None:
    """Refuse a role that the declared schema gives to another column."""
    order = declared.histories.order if declared.histories else None
    roles = {
        "target": (wishes.target, declared.target),
        "person-key": (wishes.person_key, declared.person_key),
        "order": (wishes.order, order),
    }
    for option, (wished, there) in roles.items():
        if wished is not None and wished != there:
            raise InputError(f"--{option} {wished}: the schema declares {there!r}; change it there")


def _with_site_column(public: Schema, site_column: str | None) -> Schema:
    """The reviewed schema, without the site column unless it publishes that."""
    if site_column in (None, public.site_column):
        return public
    if site_column in (public.target, public.person_key):
        raise InputError(f"--site-column {site_column}: is the schema's target or person key")
    return public.without(site_column)


def _listed_sites(declared: Schema | None, site_column: str) -> set[str]:
    """The names of the sites that a declared schema lists, if it does so in this column."""
    if declared is None or declared.site_column != site_column:
        return set()
    column = declared.column(site_column)
    return set(column.categories) if isinstance(column, CategoricalColumn) else set()


def _persons(declared: Schema | None, wishes: Wishes) -> tuple[str | None, bool]:
    """The person key, and whether persons have histories."""
    if declared is None:
        return wishes.person_key, wishes.order is not None
    return declared.person_key, declared.histories is not None


def _split(
    frame: pd.DataFrame, division: Division, key: str | None, histories: bool
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Rows for the sites and rows kept from them, by person where there is a person key."""
    holdout = division.holdout
    if holdout == 0:
        return frame, None
    from fedsynth_release.evaluation.effort import MIN_ROWS
    from fedsynth_release.evaluation.split import split_rows

    try:
        train, test = split_rows(frame, holdout, _rng(division), key)
    except InputError as error:
        raise InputError(f"--holdout {holdout:g}: {error}") from None
    units, what = (len(train), len(test)), "records"
    if histories and key is not None:
        units, what = (train[key].nunique(), test[key].nunique()), "persons"
    if min(units) < MIN_ROWS:
        fault = f"leaves {units[1]} of {sum(units)} {what} to measure on"
        raise InputError(f"--holdout {holdout:g}: {fault}; expected at least {MIN_ROWS} per side")
    return train, test


def _dealt(
    train: pd.DataFrame,
    key: str | None,
    deal: Callable[[pd.DataFrame], dict[str, pd.DataFrame]],
) -> dict[str, pd.DataFrame]:
    """Records of the sites; each person with all rows at one, by the row that comes first."""
    if key is None:
        return deal(train)
    if key not in train.columns:
        raise InputError(f"the table has no column {key!r}, the schema's person key")
    return {
        site: train[train[key].isin(first[key])].reset_index(drop=True)
        for site, first in deal(train.drop_duplicates(key)).items()
    }


def _partition(
    train: pd.DataFrame, division: Division, publish: bool, target: str | None
) -> dict[str, pd.DataFrame]:
    from fedsynth_simulations.partition import partition

    return partition(
        train,
        division.sites,
        division.partition,
        _rng(division),
        target=target,
        site_column=division.site_column,
        publish=publish,
    )


def _rng(division: Division) -> np.random.Generator:
    return np.random.default_rng(0 if division.seed is None else division.seed)


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
