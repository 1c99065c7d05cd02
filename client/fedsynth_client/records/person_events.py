"""The events of persons: put in order, bounded in number, and turned into the model's columns.

A person's events are ordered by the schema's `order`, and by their place in the table where it is equal.
Of a person with more than L events (`max_events`) a stretch of L consecutive ones is kept. Where it
starts is drawn uniformly and independently of every other person. All columns of a kept event follow
from the kept events of the same person:

- a static column has the value of the person's first kept event,
- the order becomes the time since the previous kept event, at most `largest_gap`,
- a column that grows becomes its increase over the largest value so far, which is never negative.

So adding or removing a person changes nothing about what is kept of the others.

The rows of a table that does not fit into memory stay in the store's file. In memory are 8 bytes a row
for the order and 16 for the person while the table is read, and about 60 more while it is sorted.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from fedsynth_client.records.code_store import CHUNK, CodeStore, person_slices, release, take
from fedsynth_common.array_types import BoolArray, Int64Array, UInt16Array
from fedsynth_common.encoding.encoder import codes_of_ticks, whole_ticks
from fedsynth_common.schema import Histories, OrderedColumn, Schema, domain_of, layout_of
from fedsynth_common.schema.domain import FineDomain

_WORDS = 4  # of 16 bits: what a tick takes in a row of codes


@dataclass(kw_only=True)
class HistoryCounts:
    """What a table of histories is like, for the site's own steward. Private.

    Attributes:
        persons: persons in the table.
        events: events in the table.
        cut: persons with more than `max_events` events.
        left_out: events that are not used because of that.
        most: the most events of one person.
        long_gaps: times between kept events that are longer than `largest_gap` and shortened to it.
        falls: for each column that grows, kept events at which it falls.
        changing: for each static column, persons of whom it changes between kept events.
    """

    persons: int
    events: int
    cut: int
    left_out: int
    most: int
    long_gaps: int = 0
    falls: dict[str, int] = field(default_factory=dict)
    changing: dict[str, int] = field(default_factory=dict)


class PersonEvents:
    """Takes encoded chunks of events in any order, and gives the events of persons in theirs."""

    def __init__(self, schema: Schema, histories: Histories) -> None:
        self._schema, self._layout = schema, layout_of(schema)
        declared = {column.name: column for column in schema.modelled}
        self._most = histories.max_events
        self._place = {name: k for k, name in enumerate(declared)}
        timed = [declared[name] for name in (histories.order, *histories.grows)]
        self._timed = [column for column in timed if isinstance(column, OrderedColumn)]
        self._order: list[Int64Array] = []

    @property
    def columns(self) -> int:
        """Codes in a row of the store: those of the declared columns, then the ticks of times."""
        return len(self._place) + _WORDS * len(self._timed)

    def add(self, frame: pd.DataFrame, codes: UInt16Array) -> UInt16Array:
        """The rows to store of a chunk: its codes, and the ticks of the order and of what grows."""
        ticks = np.empty((len(frame), len(self._timed)), np.int64)
        for k, column in enumerate(self._timed):
            ticks[:, k] = whole_ticks(frame[column.name], column, domain_of(column))[0]
        self._order.append(ticks[:, 0].copy())
        return np.hstack([codes, ticks.view(np.uint16)])

    def sort(self, person: Int64Array) -> "SortedEvents":
        """The order of all rows, once `person` says whose each of them is."""
        order = np.concatenate([np.empty(0, np.int64), *self._order])
        self._order = []
        rows = np.lexsort((order, person))  # stable: equal times stay in the order of the table
        return SortedEvents(rows.astype(np.int64, copy=False), np.bincount(person), self._most)

    def finish(
        self, stored: UInt16Array, rows: Int64Array, person: Int64Array, store: CodeStore
    ) -> HistoryCounts:
        """Append the model's codes of the kept `rows`, whose persons are given, to `store`."""
        found = HistoryCounts(persons=0, events=0, cut=0, left_out=0, most=0)
        for piece in person_slices(len(rows), person, CHUNK):
            store.append(self._encoded(take(stored, rows[piece]), person[piece], found))
        release(stored)
        return found

    def _encoded(
        self, stored: UInt16Array, person: Int64Array, found: HistoryCounts
    ) -> UInt16Array:
        """The model's codes of whole persons, whose events stand together and in order."""
        layout, width = self._layout, len(self._place)
        ticks = np.ascontiguousarray(stored[:, width:]).view(np.int64)
        starts = np.flatnonzero(np.diff(person, prepend=-1))
        sizes = np.diff(np.append(starts, len(person)))
        first = np.repeat(starts, sizes)  # of each event, the first event of its person
        later = first != np.arange(len(person))
        codes = np.empty((len(person), len(layout.columns)), np.uint16)
        for place, name in enumerate(layout.sources):
            if name is not None:
                own = stored[:, self._place[name]]
                codes[:, place] = own[first] if place in layout.static else own
        for place in layout.static[: layout.first_order]:
            self._note_changes(place, stored, codes, starts, found)
        lengths = codes_of_ticks(sizes, domain_of(layout.columns[layout.length]))
        codes[:, layout.length] = np.repeat(lengths, sizes)
        self._add_gaps(codes, ticks[:, 0], later, found)
        for k, (_, place) in enumerate(layout.grows, 1):
            largest = ticks[:, k].copy()
            for event in range(1, int(sizes.max(initial=0))):
                at = starts[sizes > event] + event
                largest[at] = np.maximum(largest[at], largest[at - 1])
            fallen = int((largest != ticks[:, k]).sum())
            name = self._timed[k].name
            found.falls[name] = found.falls.get(name, 0) + fallen
            codes[:, place] = _since_previous(largest, later, domain_of(layout.columns[place]))
        return codes

    def _note_changes(
        self,
        place: int,
        stored: UInt16Array,
        codes: UInt16Array,
        starts: Int64Array,
        found: HistoryCounts,
    ) -> None:
        name = self._layout.columns[place].name
        changes = stored[:, self._place[name]] != codes[:, place]
        persons = int(np.logical_or.reduceat(changes, starts).sum()) if len(starts) else 0
        found.changing[name] = found.changing.get(name, 0) + persons

    def _add_gaps(
        self, codes: UInt16Array, order: Int64Array, later: BoolArray, found: HistoryCounts
    ) -> None:
        domain = domain_of(self._layout.columns[self._layout.gap])
        gaps = np.diff(order, prepend=order[:1])
        found.long_gaps += int((later & (gaps > int(domain.ticks[-1]) - 1)).sum())
        codes[:, self._layout.gap] = _since_previous(order, later, domain)


@dataclass(frozen=True)
class SortedEvents:
    """The rows of a table by person and order.

    Attributes:
        rows: row numbers, person by person, each person's events in order.
        sizes: the number of events of each person.
        most: L, the most events of a person that are kept.
    """

    rows: Int64Array
    sizes: Int64Array
    most: int

    def kept(self, generator: np.random.Generator) -> tuple[Int64Array, Int64Array]:
        """The row numbers that are kept, and the person of each.

        Each person's stretch starts at a place that is drawn for this person alone.
        """
        surplus = np.maximum(self.sizes - self.most, 0)
        skipped = (generator.random(len(self.sizes)) * (surplus + 1)).astype(np.int64)
        sizes = self.sizes - surplus
        person = np.repeat(np.arange(len(sizes)), sizes)
        if not surplus.any():
            return self.rows, person
        begin = np.cumsum(self.sizes) - self.sizes + skipped - (np.cumsum(sizes) - sizes)
        return self.rows[np.arange(len(person)) + begin[person]], person

    def counts(self) -> HistoryCounts:
        """What the order alone tells."""
        surplus = np.maximum(self.sizes - self.most, 0)
        return HistoryCounts(
            persons=len(self.sizes),
            events=len(self.rows),
            cut=int((surplus > 0).sum()),
            left_out=int(surplus.sum()),
            most=int(self.sizes.max(initial=0)),
        )


def _since_previous(ticks: Int64Array, later: BoolArray, domain: FineDomain) -> UInt16Array:
    """Codes of the differences to the row before, missing where `later` is false."""
    low, high = int(domain.ticks[0]), int(domain.ticks[-1]) - 1
    codes = codes_of_ticks(np.clip(np.diff(ticks, prepend=ticks[:1]), low, high), domain)
    missing = domain.width - 1  # the last cell of a domain, if there is one
    return np.where(later, codes, missing).astype(np.uint16)
