"""Marginals of the records with discrete Gaussian noise.

One record lies in exactly one cell of each marginal, so adding or removing it moves one count of
each by one; a person with up to k rows moves the counts of each by at most k in L2 norm. Where persons
have histories, a marginal counts persons, events, or pairs of events of a person, and
`protocol.counting` says by how much a person moves each. Counts are exact integers until the noise is
added, and the noise is an exact discrete Gaussian, so no floating point stands between the count and
the guarantee (Canonne, Kamath & Steinke 2020).

The reply's length and the memory that it takes depend on the request alone, never on the number of
records. Values beyond int32 are clamped after the noise. A marginal that is listed twice is counted
and charged twice, with noise of its own.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from fedsynth_client.records.code_store import person_slices, release
from fedsynth_client.records.records import Records
from fedsynth_client.vault.counted_rows import CountedRows
from fedsynth_common.array_types import Int64Array, UInt16Array
from fedsynth_common.privacy.events import CountsEvent
from fedsynth_common.privacy.noise import noisy_counts
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.protocol.codec import pack_counts
from fedsynth_common.protocol.counting import Over, sensitivity
from fedsynth_common.schema import Schema
from fedsynth_common.schema.histories import MAX_EVENTS

_ROWS = 1 << 16  # rows looked at together, at most
_LOOKED_UP = 1 << 24  # groups looked up together (32 MiB): bounds memory, changes nothing else
_NOISED = 1 << 20  # counts that get their noise together: bounds memory, changes nothing else


@dataclass(frozen=True)
class Axis:
    """A column seen through a view with `width` groups; no view means the fine codes.

    `at` says at which event of a person it is read: 0 at the first or earlier one (or at the event
    or record itself), 1 at the last or later one.
    """

    column: int
    width: int
    view: int | None = None
    at: int = 0


@dataclass(frozen=True)
class Marginal:
    """One to three axes, the variance of the noise on each count, and what is counted."""

    axes: tuple[Axis, ...]
    variance: int
    over: Over = Over.RECORDS
    lag: int = 0

    @property
    def cells(self) -> int:
        """Number of counts."""
        return math.prod(axis.width for axis in self.axes)


@dataclass(frozen=True)
class Measurement:
    """A checked request: `marginals` over `views` (fine code -> group)."""

    views: tuple[UInt16Array, ...]
    marginals: tuple[Marginal, ...]

    def events(self, schema: Schema) -> tuple[CountsEvent, ...]:
        """What it costs: one event for all marginals of one variance and one sensitivity."""
        alike = Counter((m.variance, sensitivity(schema, m.over, m.lag)) for m in self.marginals)
        return tuple(
            CountsEvent(scale=math.sqrt(variance), sensitivity=moved, blocks=blocks)
            for (variance, moved), blocks in sorted(alike.items())
        )


def measure(records: Records, request: Measurement, randomness: Randomness) -> bytes:
    """Noisy counts of every marginal, packed in the request's order."""
    counts = np.zeros(sum(marginal.cells for marginal in request.marginals), np.int64)
    _count(counts, records.codes, request.views, request.marginals, records.person)
    start = 0
    for variance, same in groupby(request.marginals, key=lambda marginal: marginal.variance):
        end = start + sum(marginal.cells for marginal in same)
        for first in range(start, end, _NOISED):
            flat = counts[first : min(first + _NOISED, end)]
            flat[:] = noisy_counts(flat, math.sqrt(variance), randomness)
        start = end
    return pack_counts(counts)


def contingency(
    codes: UInt16Array,
    views: Sequence[UInt16Array],
    marginals: Sequence[Marginal],
    person: Int64Array | None = None,
) -> list[Int64Array]:
    """Exact counts of each marginal, flat in row-major order.

    Every record adds one to exactly one cell of each marginal over records. For the marginals over
    persons and events, `person` says whose event each row is; the rows of a person stand together,
    in order.

    >>> pair = Marginal((Axis(0, 2), Axis(1, 2)), variance=1)
    >>> contingency(np.array([[0, 1], [1, 1], [0, 1]], np.uint16), [], [pair])[0].tolist()
    [0, 2, 0, 1]
    >>> following = Marginal((Axis(0, 2), Axis(0, 2, at=1)), variance=1, over=Over.NEXT, lag=1)
    >>> codes, person = np.array([[0], [1], [0], [1], [1]], np.uint16), np.array([0, 0, 0, 1, 1])
    >>> contingency(codes, [], [following], person)[0].reshape(2, 2).tolist()
    [[0, 1], [1, 1]]
    """
    sizes = [marginal.cells for marginal in marginals]
    counts = np.zeros(sum(sizes), np.int64)
    _count(counts, codes, views, marginals, person)
    return np.split(counts, np.cumsum(sizes)[:-1])


def _count(
    counts: Int64Array,
    codes: UInt16Array,
    views: Sequence[UInt16Array],
    marginals: Sequence[Marginal],
    person: Int64Array | None,
) -> None:
    """Add every record to its cell of each marginal; `counts` holds them one after the other.

    The memory taken is the same for one record and for millions: as many rows at a time as follow from
    the request, in arrays that are filled at their full size before the first row is looked at.
    """
    axes = dict.fromkeys((axis.column, axis.view) for m in marginals for axis in m.axes)
    place = {axis: k for k, axis in enumerate(axes)}
    rows = max(MAX_EVENTS, min(_ROWS, _LOOKED_UP // len(place)))
    groups, index = np.full((len(place), rows), 0, np.uint16), np.full(rows, 0, np.int64)
    counted = {kind: CountedRows(*kind, rows) for kind in {(m.over, m.lag) for m in marginals}}
    if all(over in (Over.RECORDS, Over.EVENTS) for over, _ in counted):
        person = None  # it does not matter whose a row is
    for piece in person_slices(len(codes), person, rows):
        chunk, present = codes[piece], slice(piece.stop - piece.start)
        for (column, view), k in place.items():
            _look_up(chunk[:, column], view, views, index[present], groups[k, present])
        for counted_rows in counted.values():
            counted_rows.find(None if person is None else person[piece], len(chunk))
        start = 0
        for marginal in marginals:
            of_kind = counted[marginal.over, marginal.lag]
            seen = [
                of_kind.read(groups[place[axis.column, axis.view]], axis.at, k)
                for k, axis in enumerate(marginal.axes)
            ]
            cell = _cell_index(seen, marginal.axes, index[: of_kind.count])
            end = start + marginal.cells
            counts[start:end] += np.bincount(cell, minlength=end - start)
            start = end
        release(codes)


def _look_up(
    column: UInt16Array,
    view: int | None,
    views: Sequence[UInt16Array],
    index: Int64Array,
    groups: UInt16Array,
) -> None:
    """Write the group of each row into `groups`; `index` is room to compute in."""
    if view is None:
        groups[:] = column
    else:
        index[:] = column
        np.take(views[view], index, out=groups, mode="clip")  # another mode takes a copy


def _cell_index(
    groups: Sequence[UInt16Array], axes: Sequence[Axis], index: Int64Array
) -> Int64Array:
    """Write the cell of each row, in row-major order of the axes, into `index`."""
    index[:] = groups[0]
    for axis, more in zip(axes[1:], groups[1:], strict=True):
        index *= axis.width
        index += more
    return index
