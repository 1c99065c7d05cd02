"""Draws twelve synthetic persons: what a reader should see first of a generator of histories.

Every person has a panel with a lane for each of up to four columns of events, along the order of events.
A number is a line of dots from the bottom of its lane (the smallest value drawn) to the top. Yes is a
full dot and no is a ring. A category is a square, darker for a later category of the schema's list.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from markupsafe import Markup

from fedsynth_common.array_types import Float64Array
from fedsynth_common.encoding.values import as_ordinal
from fedsynth_common.schema import BooleanColumn, CategoricalColumn, ModelledColumn, Schema
from fedsynth_release.generator import Generator
from fedsynth_release.report import svg

PERSONS, ACROSS, LANES = 12, 3, 4
_WIDE, _LANE, _NAME, _GAP = 300, 24, 96, 14
_SHADES = 9


@dataclass(frozen=True)
class PersonsView:
    """The drawing, the names of the columns in the table behind it, and the rows of that table."""

    plot: Markup
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def twelve_persons(generator: Generator) -> PersonsView | None:
    """Twelve drawn persons; None if the generator has no histories."""
    schema = generator.schema
    if schema.histories is None or schema.person_key is None:
        return None
    frame = generator.sample(PERSONS, seed=0)
    lanes = lanes_of(schema)
    order = next(c for c in schema.modelled if c.name == schema.histories.order)
    when = as_ordinal(frame[order.name], order)
    span = float(when.min()), float(when.max())
    person = pd.factorize(frame[schema.person_key])[0]
    parts: list[Markup] = []
    tall = 22 + _LANE * len(lanes) + _GAP
    for index in range(PERSONS):
        own = np.flatnonzero(person == index)
        corner = (index % ACROSS) * (_WIDE + _GAP), (index // ACROSS) * tall
        words = f"person {index + 1}: {_static(frame.iloc[own[0]], schema)}"
        parts.append(
            svg.text(corner[0], corner[1] + 12, svg.shortened(words, 46), "label", "start")
        )
        for lane, column in enumerate(lanes):
            top = corner[1] + 18 + lane * _LANE
            x = corner[0] + _NAME + 8 + (_WIDE - _NAME - 16) * _shares(when[own], *span)
            parts += _lane(column, frame[column.name], own, x, corner[0], top)
    size = ACROSS * (_WIDE + _GAP), PERSONS // ACROSS * tall
    names = schema.person_key, order.name, *(column.name for column in lanes)
    cells = frame[list(names)].astype("str").where(frame[list(names)].notna(), "–")
    rows = tuple(tuple(row) for row in cells.itertuples(index=False, name=None))
    title = "Twelve synthetic persons and their events, in order"
    return PersonsView(svg.drawing(title, *size, parts, "persons"), names, rows)


def lanes_of(schema: Schema) -> list[ModelledColumn]:
    """Up to four columns of events to draw: the target, then others in the order of the schema."""
    histories = schema.histories
    events = () if histories is None else histories.events
    restored = () if histories is None else (histories.order, *histories.grows)
    usable = [c for c in schema.modelled if c.name in events and c.name not in restored]
    usable.sort(key=lambda column: column.name != schema.target)
    return usable[:LANES]


def _static(row: pd.Series, schema: Schema) -> str:
    """The first few static categories of a person, in words."""
    events = schema.histories.events if schema.histories else ()
    static = (c for c in schema.modelled if c.name not in events and c.name != schema.site_column)
    named = [c for c in static if isinstance(c, CategoricalColumn)][:3]
    return ", ".join(str(row[c.name]) for c in named if pd.notna(row[c.name])) or "–"


def _shares(values: Float64Array, low: float, high: float) -> Float64Array:
    """Places between two ends, 0 to 1; all in the middle if the ends are equal."""
    if high <= low:
        return np.full(len(values), 0.5)
    return (values - low) / (high - low)


def _lane(
    column: ModelledColumn,
    cells: pd.Series,
    own: np.ndarray,
    x: Float64Array,
    left: float,
    top: float,
) -> list[Markup]:
    """One column of one person: its name, a line to stand on, and a mark for each event."""
    bottom = top + _LANE - 6
    parts = [
        svg.text(left + _NAME, bottom - 3, svg.shortened(column.name, 15), "tick", "end"),
        svg.line(left + _NAME + 4, bottom, left + _WIDE, bottom, "grid"),
    ]
    titles = [f"{column.name}: {'missing' if pd.isna(v) else v}" for v in cells.iloc[own]]
    if isinstance(column, BooleanColumn | CategoricalColumn):
        return parts + _levels(column, cells.iloc[own], x, bottom - 7, titles)
    values = as_ordinal(cells, column)
    low, high = (float(end(values)) for end in (np.nanmin, np.nanmax))
    y = bottom - (_LANE - 9) * _shares(values[own], low, high)
    known = np.flatnonzero(~np.isnan(y))
    for one, other in pairwise(known):
        parts.append(svg.line(x[one], y[one], x[other], y[other], "curve k0"))
    return parts + [svg.dot(x[k], y[k], "generator-dot", 2.6, titles[k]) for k in known]


def _levels(
    column: BooleanColumn | CategoricalColumn,
    cells: pd.Series,
    x: Float64Array,
    y: float,
    titles: list[str],
) -> list[Markup]:
    """Dots and rings for yes and no, squares for categories."""
    parts = []
    for at, value, title in zip(x, cells, titles, strict=True):
        if pd.isna(value):
            continue
        if isinstance(column, BooleanColumn):
            yes = str(value) == column.true
            parts.append(svg.dot(at, y, "generator-dot" if yes else "ring", 4, title))
        else:
            listed = column.categories.index(value) if value in column.categories else 0
            shade = 1 + round((_SHADES - 1) * listed / max(1, len(column.categories) - 1))
            parts.append(svg.box(at - 4, y - 4, 8, 8, f"h{shade}", title))
    return parts
