"""Marginals of the records with discrete Gaussian noise.

One record lies in exactly one cell of each marginal, so adding or removing it moves one count of
each by one; a person with up to k rows moves the counts of each by at most k in L2 norm. Counts are
exact integers until the noise is added, and the noise is an exact discrete Gaussian, so no floating
point stands between the count and the guarantee (Canonne, Kamath & Steinke 2020).

The reply's length depends on the request alone. Values beyond int32 are clamped after the noise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from fedsynth_client.code_store import Codes, chunks
from fedsynth_client.records import Records
from fedsynth_common.privacy.events import CountsEvent
from fedsynth_common.privacy.noise import noisy_counts
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.protocol.codec import pack_counts

Counts = NDArray[np.int64]
_CHUNK = 1 << 17  # rows looked at together: bounds memory, changes nothing else


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

    views: tuple[Codes, ...]
    marginals: tuple[Marginal, ...]

    def events(self, sensitivity: int) -> tuple[CountsEvent, ...]:
        """What it costs, if a privacy unit has at most `sensitivity` rows."""
        variances = sorted(marginal.variance for marginal in self.marginals)
        return tuple(
            CountsEvent(scale=math.sqrt(v), sensitivity=sensitivity, blocks=len(list(same)))
            for v, same in groupby(variances)
        )


def measure(records: Records, request: Measurement, randomness: Randomness) -> bytes:
    """Noisy counts of every marginal, packed in the request's order."""
    exact = contingency(records.codes, request.views, request.marginals)
    noisy: list[Counts] = [np.empty(0, np.int64)] * len(exact)
    for variance in {marginal.variance for marginal in request.marginals}:
        chosen = [k for k, m in enumerate(request.marginals) if m.variance == variance]
        flat = np.concatenate([exact[k] for k in chosen])
        parts = np.split(
            noisy_counts(flat, math.sqrt(variance), randomness),
            np.cumsum([exact[k].size for k in chosen])[:-1],
        )
        for k, part in zip(chosen, parts, strict=True):
            noisy[k] = part
    return pack_counts(np.concatenate(noisy))


def contingency(
    codes: Codes, views: Sequence[Codes], marginals: Sequence[Marginal]
) -> list[Counts]:
    """Exact counts of each marginal, flat in row-major order.

    Every record adds one to exactly one cell of each marginal.

    >>> pair = Marginal((Axis(0, 2), Axis(1, 2)), variance=1)
    >>> contingency(np.array([[0, 1], [1, 1], [0, 1]], np.uint16), [], [pair])[0].tolist()
    [0, 2, 0, 1]
    """
    totals = [np.zeros(marginal.cells, np.int64) for marginal in marginals]
    for chunk in chunks(codes, _CHUNK):
        groups = _grouped(chunk, views, marginals)
        for total, marginal in zip(totals, marginals, strict=True):
            total += np.bincount(_cell_index(groups, marginal.axes), minlength=marginal.cells)
    return totals


def _grouped(
    chunk: Codes, views: Sequence[Codes], marginals: Sequence[Marginal]
) -> dict[Axis, Counts]:
    """The group of each row, once for each axis that occurs."""
    axes = {axis for marginal in marginals for axis in marginal.axes}
    return {
        axis: (
            chunk[:, axis.column] if axis.view is None else views[axis.view][chunk[:, axis.column]]
        ).astype(np.int64)
        for axis in axes
    }


def _cell_index(groups: dict[Axis, Counts], axes: Sequence[Axis]) -> Counts:
    index = groups[axes[0]]
    for axis in axes[1:]:
        index = index * axis.width + groups[axis]
    return index
