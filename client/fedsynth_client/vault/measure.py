"""Marginals of the records with discrete Gaussian noise.

One record lies in exactly one cell of each marginal, so adding or removing it moves one count of
each by one; a person with up to k rows moves the counts of each by at most k in L2 norm. Counts are
exact integers until the noise is added, and the noise is an exact discrete Gaussian, so no floating
point stands between the count and the guarantee (Canonne, Kamath & Steinke 2020).

The reply's length and the memory that it takes depend on the request alone, never on the number of
records. Values beyond int32 are clamped after the noise. A marginal that is listed twice is counted
and charged twice, with noise of its own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from fedsynth_client.records.code_store import chunks
from fedsynth_client.records.records import Records
from fedsynth_common.array_types import Int64Array, UInt16Array
from fedsynth_common.privacy.events import CountsEvent
from fedsynth_common.privacy.noise import noisy_counts
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.privacy.secure_noise import made_variance
from fedsynth_common.protocol.codec import pack_counts

_ROWS = 1 << 16  # rows looked at together, at most
_LOOKED_UP = 1 << 24  # groups looked up together (32 MiB): bounds memory, changes nothing else
_NOISED = 1 << 20  # counts that get their noise together: bounds memory, changes nothing else


@dataclass(frozen=True)
class Axis:
    """A column seen through a view with `width` groups; no view means the fine codes."""

    column: int
    width: int
    view: int | None = None


@dataclass(frozen=True)
class Marginal:
    """One to three axes and the variance of the noise on each count."""

    axes: tuple[Axis, ...]
    variance: int

    @property
    def cells(self) -> int:
        """Number of counts."""
        return math.prod(axis.width for axis in self.axes)


@dataclass(frozen=True)
class Measurement:
    """A checked request: `marginals` over `views` (fine code -> group)."""

    views: tuple[UInt16Array, ...]
    marginals: tuple[Marginal, ...]

    def events(self, sensitivity: int, shares: int = 1) -> tuple[CountsEvent, ...]:
        """What it costs, if a privacy unit has at most `sensitivity` rows.

        Args:
            sensitivity: the schema's `rows_per_person`.
            shares: of how many sites the noise is made (`Plan.noise_shares`).
        """
        made = sorted(made_variance(marginal.variance, shares) for marginal in self.marginals)
        return tuple(
            CountsEvent(
                scale=math.sqrt(v), sensitivity=sensitivity, blocks=len(list(same)), shares=shares
            )
            for v, same in groupby(made)
        )


def measure(records: Records, request: Measurement, randomness: Randomness) -> bytes:
    """Noisy counts of every marginal, packed in the request's order."""
    counts = np.zeros(sum(marginal.cells for marginal in request.marginals), np.int64)
    _count(counts, records.codes, request.views, request.marginals)
    start = 0
    for variance, same in groupby(request.marginals, key=lambda marginal: marginal.variance):
        end = start + sum(marginal.cells for marginal in same)
        for first in range(start, end, _NOISED):
            flat = counts[first : min(first + _NOISED, end)]
            flat[:] = noisy_counts(flat, math.sqrt(variance), randomness)
        start = end
    return pack_counts(counts)


def contingency(
    codes: UInt16Array, views: Sequence[UInt16Array], marginals: Sequence[Marginal]
) -> list[Int64Array]:
    """Exact counts of each marginal, flat in row-major order.

    Every record adds one to exactly one cell of each marginal.

    >>> pair = Marginal((Axis(0, 2), Axis(1, 2)), variance=1)
    >>> contingency(np.array([[0, 1], [1, 1], [0, 1]], np.uint16), [], [pair])[0].tolist()
    [0, 2, 0, 1]
    """
    sizes = [marginal.cells for marginal in marginals]
    counts = np.zeros(sum(sizes), np.int64)
    _count(counts, codes, views, marginals)
    return np.split(counts, np.cumsum(sizes)[:-1])


def _count(
    counts: Int64Array,
    codes: UInt16Array,
    views: Sequence[UInt16Array],
    marginals: Sequence[Marginal],
) -> None:
    """Add every record to its cell of each marginal; `counts` holds them one after the other.

    The memory taken is the same for one record and for millions: as many rows at a time as follow from
    the request, in arrays that are filled at their full size before the first row is looked at.
    """
    axes = dict.fromkeys(axis for marginal in marginals for axis in marginal.axes)
    place = {axis: k for k, axis in enumerate(axes)}
    rows = max(1, min(_ROWS, _LOOKED_UP // len(place)))
    groups, index = np.full((len(place), rows), 0, np.uint16), np.full(rows, 0, np.int64)
    for chunk in chunks(codes, rows):
        present = slice(len(chunk))
        for axis, k in place.items():
            _look_up(chunk[:, axis.column], axis, views, index[present], groups[k, present])
        start = 0
        for marginal in marginals:
            seen = [groups[place[axis], present] for axis in marginal.axes]
            cell = _cell_index(seen, marginal.axes, index[present])
            end = start + marginal.cells
            counts[start:end] += np.bincount(cell, minlength=end - start)
            start = end


def _look_up(
    column: UInt16Array,
    axis: Axis,
    views: Sequence[UInt16Array],
    index: Int64Array,
    groups: UInt16Array,
) -> None:
    """Write the group of each row into `groups`; `index` is room to compute in."""
    if axis.view is None:
        groups[:] = column
    else:
        index[:] = column
        np.take(views[axis.view], index, out=groups, mode="clip")  # another mode takes a copy


def _cell_index(
    groups: Sequence[UInt16Array], axes: Sequence[Axis], index: Int64Array
) -> Int64Array:
    """Write the cell of each row, in row-major order of the axes, into `index`."""
    index[:] = groups[0]
    for axis, more in zip(axes[1:], groups[1:], strict=True):
        index *= axis.width
        index += more
    return index
