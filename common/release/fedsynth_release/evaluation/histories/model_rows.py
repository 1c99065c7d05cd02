"""A table of histories as an evaluation compares it, event by event.

The rows are sorted by person and order. Of a person with more than `max_events` events a stretch of
that many is used, as at a site, and drawn with a fixed seed. A static column has the value of the
person's first event.

There are two views of the same events. An analyst sees the **compared** columns: those of the schema,
and the number of events. A study models the **model** columns (`schema.histories`), in which dates and
ages of events are replaced by the changes between events.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_common.encoding.values import as_ordinal
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    ModelledColumn,
    Schema,
    history_schema,
    layout_of,
)
from fedsynth_common.schema.histories import NUMBER_OF_EVENTS
from fedsynth_common.schema.ticks import decimals_of
from fedsynth_release.drafting.histories import EventOrder
from fedsynth_release.evaluation.discretise import cell_column


@dataclass(frozen=True, eq=False)
class HistoryRows:
    """The events of persons, each person's events together and in order.

    Attributes:
        schema: the user's.
        frame: one row an event, with the compared columns and the model columns; those of a person
            are repeated.
        person: whose each event is, 0 to persons - 1.
        place: the number of the event within its person, from 0 on.
    """

    schema: Schema
    frame: pd.DataFrame
    person: Int64Array
    place: Int64Array

    @classmethod
    def of(cls, frame: pd.DataFrame, schema: Schema, seed: int = 0) -> Self:
        """Sort, bound and convert a table of the user's columns.

        Raises:
            InputError: a column of the schema is missing, or an event has no person or no order.
        """
        histories = schema.histories
        if histories is None or schema.person_key is None:
            raise InputError(f"schema {schema.name!r} has no histories")
        order = _numbers(frame, schema, histories.order)
        if np.isnan(order).any():
            fault = f"{int(np.isnan(order).sum()):,} events have no order that can be read"
            raise InputError(f"column {histories.order!r}: {fault}; fill or remove them")
        cell_column(frame, schema.person_key)
        events = EventOrder.of(frame, schema.person_key, order)
        rows, person = _bounded(events, histories.max_events, np.random.default_rng(seed))
        later = np.diff(person, prepend=-1) == 0
        first = np.maximum.accumulate(np.where(later, 0, np.arange(len(rows))))
        cells: dict[str, object] = {NUMBER_OF_EVENTS: np.bincount(person)[person]}
        for column in schema.modelled:
            own = cell_column(frame, column.name).array
            of_event = column.name in histories.events
            cells[column.name] = own.take(rows if of_event else rows[first])
        kept = pd.DataFrame(cells)
        changes = _changes(kept, schema, first, later)
        return cls(schema, kept.assign(**changes), person, np.arange(len(person)) - first)

    @property
    def compared(self) -> Schema:
        """The schema of the compared columns: static ones, the number of events, those of events."""
        layout = layout_of(self.schema)
        events = layout.columns[layout.length], *event_columns(self.schema)
        named = {column.name for column in events}
        static = (column for column in self.schema.modelled if column.name not in named)
        return Schema(name=self.schema.name, columns=(*static, *events), target=self.schema.target)

    @property
    def model(self) -> Schema:
        """The schema of the model columns."""
        return history_schema(self.schema)

    @property
    def persons(self) -> int:
        """The number of persons."""
        return int((self.place == 0).sum())

    @property
    def first(self) -> Int64Array:
        """The row of each person's first event."""
        return np.flatnonzero(self.place == 0)

    def pairs(self, lag: int) -> tuple[Int64Array, Int64Array]:
        """The rows of all pairs of events of a person that are `lag` apart: earlier, later."""
        later = np.flatnonzero(self.place >= lag)
        return later - lag, later


def _numbers(frame: pd.DataFrame, schema: Schema, name: str) -> Float64Array:
    column = next(column for column in schema.modelled if column.name == name)
    return as_ordinal(cell_column(frame, name), column)


def event_columns(schema: Schema) -> tuple[ModelledColumn, ...]:
    """The user's columns that belong to events."""
    events = schema.histories.events if schema.histories else ()
    return tuple(column for column in schema.modelled if column.name in events)


def _changes(
    kept: pd.DataFrame, schema: Schema, first: Int64Array, later: BoolArray
) -> dict[str, Float64Array | pd.api.extensions.ExtensionArray]:
    """The model columns that a table does not have: what is first, and the changes since."""
    layout, histories = layout_of(schema), schema.histories
    assert histories is not None  # noqa: S101 - a schema with a layout has histories
    made: dict[str, Float64Array | pd.api.extensions.ExtensionArray] = {}
    for place, source in enumerate(layout.sources):
        name = layout.columns[place].name
        if source is not None and place in layout.static and source != name:
            made[name] = kept[source].array.take(first)
    gaps = _steps(_numbers(kept, schema, histories.order), later)
    made[layout.columns[layout.gap].name] = np.clip(gaps, 0, histories.largest_gap)
    for name, (_, place) in zip(histories.grows, layout.grows, strict=True):
        values, column = pd.Series(_numbers(kept, schema, name)), layout.columns[place]
        largest: Float64Array = np.asarray(values.groupby(first).cummax(), dtype=np.float64)
        decimals = decimals_of(column)
        made[column.name] = _steps(largest, later).round(decimals)
    return made


def _steps(values: Float64Array, later: BoolArray) -> Float64Array:
    """Differences to the row before; NaN at a person's first event."""
    return np.where(later, np.diff(values, prepend=values[:1]), np.nan)


def _bounded(
    events: EventOrder, most: int, rng: np.random.Generator
) -> tuple[Int64Array, Int64Array]:
    """The row numbers that are used, and the person of each."""
    person = np.repeat(np.arange(len(events.sizes)), events.sizes)
    skipped = (rng.random(len(events.sizes)) * (np.maximum(events.sizes - most, 0) + 1)).astype(int)
    starts = np.cumsum(events.sizes) - events.sizes
    place = np.arange(len(person)) - starts[person] - skipped[person]
    used = (place >= 0) & (place < most)
    return events.rows[used], person[used].astype(np.int64)
