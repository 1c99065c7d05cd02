"""What a stranger's table becomes in one line: a draft, a small study, rows, and faults in them.

The table is drafted and simulated as `fedsynth simulate TABLE` does it, with nothing said about it.
The rows that come out are then held against the real ones. Counted is what a newcomer would call
wrong at first sight: a column that is missing, a text that no real row has, a number far outside the
real range, a cell that its own column cannot read, and above all a name or number that is real.
"""

import time
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from fedsynth_common.encoding.values import scaled
from fedsynth_common.schema import BooleanColumn, CategoricalColumn, IdColumn, Schema, TextColumn
from fedsynth_common.schema.columns import OTHER, OrderedColumn
from fedsynth_common.tables.cells import as_text
from fedsynth_simulations.simulate import Simulation, simulate
from fedsynth_simulations.table_options import tables_of

SITES = 3
BEYOND = 0.05  # of the real range that a number may lie outside of it: bounds are rounded outwards
MUCH = 0.2  # of a column's cells; more of them as `other` say nothing


@dataclass(frozen=True)
class FirstSight:
    """What came out of one table. Shares are of all cells of the columns that they are about.

    Attributes:
        table: name of the file.
        rows: real rows.
        columns: real columns.
        missing: columns that the drawn table lacks.
        made_up: columns of identifiers, which get made-up cells.
        empty: columns that are not modelled and stay empty.
        unknown: share of texts that no real row has, `other` aside.
        outside: share of numbers, dates and lengths of time far outside the real range.
        unreadable: share of such cells that their own column cannot read.
        identifiers: share of made-up cells that are those of a real row.
        mostly_other: columns with more than 20 % `other`.
        seconds: from the file to the rows.
    """

    table: str
    rows: int
    columns: int
    missing: int
    made_up: int
    empty: int
    unknown: float
    outside: float
    unreadable: float
    identifiers: float
    mostly_other: int
    seconds: float


HEADINGS = tuple(field.name.replace("_", " ") for field in fields(FirstSight))


def first_sight(file: Path, epsilon: float) -> FirstSight:
    """Draft, simulate and judge one table; the run is a rehearsal and its figures are not private.

    Raises:
        InputError: a file that cannot be read as a table, or a table that no study can be made of.
    """
    start = time.monotonic()
    tables = tables_of(
        file, None, sites=SITES, partition="iid", site_column=None, target=None, holdout=0.0, seed=1
    )
    with TemporaryDirectory() as folder:
        simulation = Simulation(epsilon=epsilon, variant="marginals", seed=1, pooled=True)
        result = simulate(tables.sites, tables.schema, simulation, Path(folder))
        drawn = result.generator.sample(len(tables.pooled), seed=1)
    return judged(file.name, tables.pooled, drawn, tables.schema, time.monotonic() - start)


def judged(
    name: str, real: pd.DataFrame, drawn: pd.DataFrame, schema: Schema, seconds: float
) -> FirstSight:
    """Hold drawn rows against the real rows of the table that a schema was drafted from."""
    shares: dict[str, list[float]] = {"unknown": [], "outside": [], "unreadable": [], "real": []}
    other = empty = made_up = 0
    for column in schema.columns:
        if column.name not in drawn:
            continue
        one, two = real[column.name], drawn[column.name]
        if isinstance(column, IdColumn | TextColumn):
            held = two.notna().any()
            made_up, empty = made_up + int(held), empty + int(not held)
            shares["real"].append(_in_common(one, two))
        elif isinstance(column, CategoricalColumn | BooleanColumn):
            unknown, unlisted = _texts(one, two)
            shares["unknown"].append(unknown)
            other += unlisted > MUCH
        else:
            outside, unreadable = _amounts(one, two, column)
            shares["outside"].append(outside)
            shares["unreadable"].append(unreadable)
    mean = {key: float(np.mean(values)) if values else 0.0 for key, values in shares.items()}
    absent = len(set(real.columns) - set(drawn.columns))
    return FirstSight(
        table=name, rows=len(real), columns=real.shape[1], missing=absent, made_up=made_up,
        empty=empty, unknown=mean["unknown"], outside=mean["outside"], mostly_other=other,
        unreadable=mean["unreadable"], identifiers=mean["real"], seconds=seconds,
    )  # fmt: skip


def _in_common(real: pd.Series, drawn: pd.Series) -> float:
    """The share of drawn cells that a real row has too."""
    cells = as_text(drawn).dropna()
    return float(cells.isin(set(as_text(real).dropna())).mean()) if len(cells) else 0.0


def _texts(real: pd.Series, drawn: pd.Series) -> tuple[float, float]:
    """The shares of drawn texts that no real row has, and of `other` where no real row has it."""
    cells = as_text(drawn).dropna()
    if not len(cells):
        return 0.0, 0.0
    new = ~cells.isin(set(as_text(real).dropna()))
    other = new & (cells == OTHER)
    return float((new & ~other).mean()), float(other.mean())


def _amounts(real: pd.Series, drawn: pd.Series, column: OrderedColumn) -> tuple[float, float]:
    """The shares of drawn cells far outside the real range, and of those that cannot be read."""
    ticks = scaled(real, column).ticks
    if not np.isfinite(ticks).any():
        return 0.0, 0.0
    low, high = float(np.nanmin(ticks)), float(np.nanmax(ticks))
    beyond = max(1.0, BEYOND * (high - low))
    cells = scaled(drawn, column)
    outside = (cells.ticks < low - beyond) | (cells.ticks > high + beyond)
    return float(outside.mean()), cells.unreadable / len(drawn)
