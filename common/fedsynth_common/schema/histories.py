"""Persons with histories: which columns belong to a person, which to an event, and in what order.

A table with histories has one row an event and a person key. Static columns belong to the person, the
others to an event. A study does not model such a table as it stands but in another form, whose columns
are listed here: the order of the events becomes the time since the previous one, and a column that only
grows (an age) becomes its value at the first event and its increase since the previous event. A
sampler that adds up what is never negative cannot break the order of dates, and no age ever falls.

Everything here is public and follows from the schema alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from fedsynth_common.schema.column_base import MAX_TICKS, Name
from fedsynth_common.schema.columns import (
    IntegerColumn,
    ModelledColumn,
    NumericColumn,
    OrderedColumn,
)
from fedsynth_common.schema.domain import domain_of

MAX_EVENTS = 100
NUMBER_OF_EVENTS = "number of events"


class Histories(BaseModel):
    """What makes a table one of histories.

    Attributes:
        order: the column by which the events of a person are ordered (a number, date or duration).
        max_events: L, the most events of a person that a site uses.
        events: the columns that belong to events, `order` among them; all others are static.
        largest_gap: a public bound of the time from one event to the next, in units of `order` (its
            granularity, if it is a date).
        grows: event columns that never fall within a person.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    order: Name
    max_events: Annotated[int, Field(ge=1, le=MAX_EVENTS)]
    events: Annotated[tuple[Name, ...], Field(min_length=1, max_length=2000)]
    largest_gap: Annotated[int, Field(ge=1, lt=MAX_TICKS)]
    grows: Annotated[tuple[Name, ...], Field(max_length=100)] = ()

    def without(self, name: str) -> "Histories":
        """The same without a column that is not the order."""
        left = (tuple(n for n in names if n != name) for names in (self.events, self.grows))
        return self.model_copy(update=dict(zip(("events", "grows"), left, strict=True)))


@dataclass(frozen=True)
class HistoryLayout:
    """Where things are among the model columns: the static ones come first, the event columns last.

    Attributes:
        max_events: L, the most events of a person.
        columns: the model columns, in the order of the codes.
        sources: for each model column the declared column that it comes from; None for the number
            of events.
        static: places of the static columns.
        events: places of the event columns.
        first_order: place of the value of `order` at the first event.
        length: place of the number of events (1..L).
        gap: place of the time since the previous event, missing at the first event.
        grows: for each column that grows, the places of its value at the first event and of its
            increase since the previous event, which is missing at the first event.
    """

    max_events: int
    columns: tuple[ModelledColumn, ...]
    sources: tuple[str | None, ...]
    static: tuple[int, ...]
    events: tuple[int, ...]
    first_order: int
    length: int
    gap: int
    grows: tuple[tuple[int, int], ...]

    @property
    def since_previous(self) -> tuple[int, ...]:
        """Places of the columns that are missing at the first event and at no other."""
        return (self.gap, *(increase for _, increase in self.grows))


def history_layout(histories: Histories, declared: Sequence[ModelledColumn]) -> HistoryLayout:
    """The model columns of a table whose modelled columns are `declared`.

    Raises:
        ValueError: the histories do not fit the columns; names the column and what was expected.
    """
    _check(histories, declared)
    first, since = [], {}
    for name in (histories.order, *histories.grows):
        column = next(column for column in declared if column.name == name)
        largest = histories.largest_gap if name == histories.order else None
        first.append(column.model_copy(update={"name": f"{name} at first event"}))
        since[name] = _since_previous(column, largest)
    count = IntegerColumn(name=NUMBER_OF_EVENTS, minimum=1, maximum=histories.max_events)
    kept = [column for column in declared if column.name not in histories.events]
    events = [since.get(c.name, c) for c in declared if c.name in histories.events]
    of_event = [column.name for column in declared if column.name in histories.events]
    columns = (*kept, first[0], count, *first[1:], *events)
    static = len(columns) - len(events)
    _check_names(columns)
    sources = (*(c.name for c in kept), histories.order, None, *histories.grows, *of_event)
    return HistoryLayout(
        max_events=histories.max_events,
        columns=columns,
        sources=sources,
        static=tuple(range(static)),
        events=tuple(range(static, len(columns))),
        first_order=len(kept),
        length=len(kept) + 1,
        gap=static + of_event.index(histories.order),
        grows=tuple(
            (len(kept) + 2 + k, static + of_event.index(name))
            for k, name in enumerate(histories.grows)
        ),
    )


def _since_previous(column: ModelledColumn, largest: int | None) -> ModelledColumn:
    """The time since the previous event, or an increase: from 0 to a public bound, or missing."""
    name = f"{column.name} since previous event"
    domain = domain_of(column)
    span = int(domain.ticks[-1]) - 1 - int(domain.ticks[0])
    if isinstance(column, NumericColumn):
        most = span / 10.0**column.decimals if largest is None else float(largest)
        return NumericColumn(
            name=name,
            minimum=0.0,
            maximum=round(most, column.decimals),
            decimals=column.decimals,
            scale="log",
            nullable=True,
        )
    most = span if largest is None else largest
    return IntegerColumn(name=name, minimum=0, maximum=int(most), scale="log", nullable=True)


def _check(histories: Histories, declared: Sequence[ModelledColumn]) -> None:
    known = {column.name: column for column in declared}
    for field, names in (("events", histories.events), ("grows", histories.grows)):
        if len(set(names)) != len(names):
            raise ValueError(f"histories.{field}: a column is listed more than once")
        if unknown := [name for name in names if name not in known]:
            fault = f"column {unknown[0]!r} is not one of the modelled columns"
            raise ValueError(f"histories.{field}: {fault}")
    if histories.order not in histories.events or histories.order in histories.grows:
        fault = f"list column {histories.order!r}, the order, among events and not among grows"
        raise ValueError(f"histories.order: {fault}")
    if outside := [name for name in histories.grows if name not in histories.events]:
        raise ValueError(f"histories.grows: column {outside[0]!r} is not among events")
    for name in (histories.order, *histories.grows):
        column = known[name]
        if not isinstance(column, OrderedColumn) or column.nullable:
            fault = "must be a number, date or duration that is never missing"
            raise ValueError(f"histories: column {name!r} {fault}; declare nullable = false")


def _check_names(columns: Sequence[ModelledColumn]) -> None:
    names = [column.name for column in columns]
    if taken := [name for name in names if names.count(name) > 1]:
        fault = f"a column is called {taken[0]!r}, a name that histories need; rename it"
        raise ValueError(f"histories: {fault}")
