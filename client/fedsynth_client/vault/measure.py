"""Counts marginals of the records and adds discrete Gaussian noise.

Each record lies in exactly one cell of each marginal, so adding or removing it changes one count of
each marginal by one. A person with up to k rows changes the counts of each marginal by at most k in L2
norm. Where persons have histories, a marginal counts persons, events, or pairs of events of a person,
and `protocol.counting` says by how much a person changes each. The counts are exact integers until the
noise is added, and the noise is an exact discrete Gaussian (Canonne, Kamath & Steinke 2020). So no
rounding of floating-point numbers can weaken the guarantee.

The length of the reply and the memory that is used depend on the request alone, and not on the number
of records. A marginal that is listed twice is counted and charged twice, each time with its own noise.
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
from fedsynth_common.privacy.secure_noise import made_variance, share_variance
from fedsynth_common.protocol.counting import Over, sensitivity
from fedsynth_common.schema import Schema
from fedsynth_common.schema.histories import MAX_EVENTS

_ROWS = 1 << 16  # most rows that are counted at a time
# The next two bound memory and nothing else.
_LOOKED_UP = 1 << 24  # most groups that are looked up at a time (32 MiB)
_NOISED = 1 << 20  # most counts that get their noise at a time


@dataclass(frozen=True)
class Axis:
    """A column, grouped by a view with `width` groups; without a view, its fine codes.

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
    weight: int = 1

    @property
    def kind(self) -> tuple[Over, int, int]:
        """What is counted: over what, at which lag and with which weight."""
        return self.over, self.lag, self.weight

    @property
    def cells(self) -> int:
        """Number of counts."""
        return math.prod(axis.width for axis in self.axes)


@dataclass(frozen=True)
class Measurement:
    """A checked request: `marginals` over `views` (fine code -> group)."""

    views: tuple[UInt16Array, ...]
    marginals: tuple[Marginal, ...]

    @property
    def cells(self) -> int:
        """Number of counts of all marginals."""
        return sum(marginal.cells for marginal in self.marginals)

    def events(self, schema: Schema, shares: int = 1) -> tuple[CountsEvent, ...]:
        """What it costs: one event for all marginals of one variance and one sensitivity.

        Args:
            schema: the site's.
            shares: of how many sites the noise is made (`Plan.shares_of`).
        """
        alike = Counter(
            (made_variance(m.variance, shares), sensitivity(schema, *m.kind))
            for m in self.marginals
        )
        return tuple(
            CountsEvent(scale=math.sqrt(made), sensitivity=moved, blocks=blocks, shares=shares)
            for (made, moved), blocks in sorted(alike.items())
        )


def noisy_counts_of(
    records: Records,
    request: Measurement,
    randomness: Randomness,
    shares: int = 1,
    most: int | None = None,
) -> Int64Array:
    """Noisy counts of every marginal, one after the other in the request's order.

    Args:
        records: the site's.
        request: what is counted, with the variances of the noise that all shares make together.
        randomness: where the noise comes from.
        shares: of how many sites the noise is made; this one adds one share of it.
        most: a public bound on each count before the noise. To bound numbers one by one brings no
            two tables further apart, so what a person moves stays within what is charged.
    """
    counts = np.zeros(request.cells, np.int64)
    _count(counts, records.codes, request.views, request.marginals, records.person, records.chosen)
    if most is not None:
        np.minimum(counts, most, out=counts)
    start = 0
    for variance, same in groupby(request.marginals, key=lambda marginal: marginal.variance):
        end = start + sum(marginal.cells for marginal in same)
        scale = math.sqrt(share_variance(variance, shares))
        for first in range(start, end, _NOISED):
            flat = counts[first : min(first + _NOISED, end)]
            flat[:] = noisy_counts(flat, scale, randomness)
        start = end
    return counts


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
    chosen: Int64Array | None = None,
) -> None:
    """Add every record, or the `chosen` rows, to the cells of each marginal.

    `counts` holds the marginals one after the other. It takes the same memory for one record and for
    millions. The number of rows that are counted at a time follows from the request, and the arrays are
    filled at their full size before the first row.
    """
    axes = dict.fromkeys((axis.column, axis.view) for m in marginals for axis in m.axes)
    place = {axis: k for k, axis in enumerate(axes)}
    rows = max(MAX_EVENTS, min(_ROWS, _LOOKED_UP // len(place)))
    groups, index = np.full((len(place), rows), 0, np.uint16), np.full(rows, 0, np.int64)
    counted = {kind: CountedRows(*kind, rows) for kind in {m.kind for m in marginals}}
    if not any(of_kind.needs_persons for of_kind in counted.values()):
        person = None  # it does not matter whose a row is
    room = None if chosen is None else np.full((rows, codes.shape[1]), 0, np.uint16)
    for piece in person_slices(len(codes if chosen is None else chosen), person, rows):
        present = slice(piece.stop - piece.start)
        chunk = codes[piece]
        if chosen is not None and room is not None:
            chunk = np.take(codes, chosen[piece], axis=0, out=room[present], mode="clip")
        for (column, view), k in place.items():
            _look_up(chunk[:, column], view, views, index[present], groups[k, present])
        for counted_rows in counted.values():
            counted_rows.find(None if person is None else person[piece], len(chunk))
        start = 0
        for marginal in marginals:
            of_kind = counted[marginal.kind]
            seen = [
                of_kind.read(groups[place[axis.column, axis.view]], axis.at, k)
                for k, axis in enumerate(marginal.axes)
            ]
            cell = _cell_index(seen, marginal.axes, index[: of_kind.count])
            end = start + marginal.cells
            counts[start:end] += of_kind.totals(cell, end - start)
            start = end
        release(codes)


def _look_up(
    column: UInt16Array,
    view: int | None,
    views: Sequence[UInt16Array],
    index: Int64Array,
    groups: UInt16Array,
) -> None:
    """Write the group of each row into `groups`; `index` is memory to compute in."""
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
