"""Proposes how a table of events becomes persons with histories. Like any draft it is NOT private.

A column is static if it never changes within a person. A number that never falls from one event of a
person to the next, where it is never missing, is proposed to grow. The cap on events cuts at most one
person in twenty, and no gap of the table is longer than the largest gap.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import ValidationError

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_common.encoding.values import as_ordinal, scaled
from fedsynth_common.errors import InputError
from fedsynth_common.schema.columns import ModelledColumn, OrderedColumn
from fedsynth_common.schema.histories import MAX_EVENTS, Histories
from fedsynth_common.schema.rules import columns_of
from fedsynth_common.schema.schema import Schema
from fedsynth_common.schema.ticks import decimals_of
from fedsynth_common.tables import factorise
from fedsynth_common.validated import first_fault
from fedsynth_release.drafting.draft import Draft, draft
from fedsynth_release.drafting.notes import Note
from fedsynth_release.drafting.wishes import Wishes

UNCUT = 0.95
"""Persons who keep all their events under a drafted cap, at least."""
LEAST_PAIRS = 50
"""Pairs of events that a column must not fall in before it is proposed to grow."""


@dataclass(frozen=True)
class EventOrder:
    """The rows of a table, person by person and in order.

    Attributes:
        rows: row numbers.
        sizes: the number of events of each person.
        later: for each of `rows`, whether it is not its person's first event.
    """

    rows: Int64Array
    sizes: Int64Array
    later: BoolArray

    @classmethod
    def of(cls, frame: pd.DataFrame, key: str, order: Float64Array) -> "EventOrder":
        """Sort a table by person and `order`; equal orders stay as they are in the table.

        Raises:
            InputError: rows without a person key.
        """
        person = factorise(frame[key])[0].astype(np.int64)
        if absent := int((person < 0).sum()):
            raise InputError(f"column {key!r}: {absent:,} rows have no person key; remove them")
        rows = np.lexsort((order, person))
        later = np.diff(person[rows], prepend=-1) == 0
        return cls(rows.astype(np.int64), np.bincount(person).astype(np.int64), later)

    def cut(self, most: int) -> int:
        """How many persons have more than `most` events."""
        return int((self.sizes > most).sum())


def draft_as_wished(frame: pd.DataFrame, name: str, wishes: Wishes) -> Draft:
    """A draft of a table in memory, with the part that persons play in it.

    With a person key alone a person may have several rows, of which at most one person in twenty
    loses any; with an order too the rows are events of histories.

    Raises:
        InputError: as `draft` and `with_histories`; an order without a person key.
    """
    key, order = wishes.person_key, wishes.order
    if order is not None and key is None:
        raise InputError(f"--order {order}: orders the events of persons; pass --person-key too")
    made = draft(frame, name, wishes)
    if key is None:
        return made
    if order is not None:
        return Draft(with_histories(made.schema, frame, key, order), made.notes)
    if key not in frame.columns:
        raise InputError(f"the person key {key!r} is not a column of the table")
    rows = _cap(EventOrder.of(frame, key, np.zeros(len(frame))))
    text = f"at most {rows} rows of a person are used, and the privacy of a person is protected"
    schema = made.schema.model_copy(update={"person_key": key, "rows_per_person": rows})
    return Draft(schema, (*made.notes, Note(key, text)))


def with_histories(schema: Schema, frame: pd.DataFrame, key: str, order: str) -> Schema:
    """A drafted schema whose rows are the events of persons.

    Args:
        schema: the draft of the table.
        frame: the table.
        key: the column that names the person.
        order: the column that orders a person's events.

    Raises:
        InputError: no such columns, or the order is missing in some rows or is no number or date.
    """
    for role, name in (("person key", key), ("order", order)):
        if name not in {column.name for column in schema.columns}:
            raise InputError(f"the {role} {name!r} is not a column of the table")
    when = schema.column(order)
    if not isinstance(when, OrderedColumn):
        raise InputError(
            f"column {order!r}: the order of events must be a number, date or duration"
        )
    ticks = scaled(frame[order], when).ticks
    if absent := int(np.isnan(ticks).sum()):
        fault = f"{absent:,} rows say no order of events; fill or remove them"
        raise InputError(f"column {order!r}: {fault}")
    events = EventOrder.of(frame, key, ticks)
    changing = [
        c.name for c in schema.modelled if c.name == order or _changes(frame[c.name], events)
    ]
    gaps = np.diff(ticks[events.rows], prepend=0.0)[events.later]
    unit = 10 ** decimals_of(when)
    grows = tuple(
        c.name for c in schema.modelled if c.name in changing and _grows(frame, c, order, events)
    )
    restored = {order, *grows}  # no rule can be kept about these
    try:
        return Schema(
            name=schema.name,
            columns=schema.columns,
            target=schema.target,
            origin=schema.origin,
            person_key=key,
            rules=tuple(r for r in schema.rules if not restored.intersection(columns_of(r))),
            histories=Histories(
                order=order,
                max_events=_cap(events),
                events=tuple(changing),
                largest_gap=_round_up(float(gaps.max(initial=1.0)) / unit),
                grows=grows,
            ),
        )
    except ValidationError as error:
        raise InputError(f"cannot draft histories: {first_fault(error, Schema)}") from None


def _changes(cells: pd.Series, events: EventOrder) -> bool:
    codes = factorise(cells)[0][events.rows]
    return bool((np.diff(codes, prepend=0) != 0)[events.later].any())


def _grows(frame: pd.DataFrame, column: ModelledColumn, order: str, events: EventOrder) -> bool:
    if not isinstance(column, OrderedColumn) or column.nullable or column.name == order:
        return False
    steps = np.diff(as_ordinal(frame[column.name], column)[events.rows], prepend=0.0)[events.later]
    return len(steps) >= LEAST_PAIRS and bool((steps >= 0).all())


def _cap(events: EventOrder) -> int:
    """The fewest events that cut at most one person in twenty."""
    return int(min(MAX_EVENTS, np.quantile(events.sizes, UNCUT, method="inverted_cdf")))


def _round_up(gap: float) -> int:
    """The next number of one significant digit, or of two below 20.

    >>> _round_up(1), _round_up(13), _round_up(341)
    (1, 13, 400)
    """
    whole = max(1, int(np.ceil(gap)))
    power = 1 if whole < 20 else 10 ** (len(str(whole)) - 1)
    return -(-whole // power) * power
