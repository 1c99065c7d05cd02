"""Sets of ticks (the representable values of a number) as sorted, disjoint stretches.

A leaf can hold billions of ticks, so a set is never written out as a list. Two functions are enough
to count and to draw exactly: `rank` says how many members lie below a tick, and its inverse `at` says
which member has a given rank. To draw a uniform member of a leaf, draw a uniform rank between the
ranks of the leaf's two edges.
"""

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fedsynth_common.array_types import BoolArray, Int64Array


class TickSet:
    """Members of the stretches `[starts_i, stops_i)`, ascending and without overlap."""

    def __init__(self, starts: npt.ArrayLike, stops: npt.ArrayLike) -> None:
        first = np.asarray(starts, dtype=np.int64)
        last = np.asarray(stops, dtype=np.int64)
        filled = first < last
        self._starts, self._stops = first[filled], last[filled]
        self._below = np.concatenate([[0], np.cumsum(self._stops - self._starts)])

    @classmethod
    def of(cls, points: Iterable[int]) -> Self:
        """The set of the given ticks."""
        ticks = np.array(sorted(set(points)), dtype=np.int64)
        return cls(ticks, ticks + 1)

    def without(self, points: Iterable[int]) -> "TickSet":
        """The same set, the given ticks left out.

        >>> TickSet([0], [10]).without([3, 9]).at(np.arange(8)).tolist()
        [0, 1, 2, 4, 5, 6, 7, 8]
        """
        if not len(self):
            return self
        ticks = np.array(sorted(set(points)), dtype=np.int64)
        low, high = self._starts[0], self._stops[-1]
        return self & TickSet(np.append(low, ticks + 1), np.append(ticks, max(high, low)))

    def outside(self, low: int, high: int) -> "TickSet":
        """The ticks of `[low, high)` that are not members.

        >>> TickSet([2, 8], [4, 9]).outside(0, 10).at(np.arange(7)).tolist()
        [0, 1, 4, 5, 6, 7, 9]
        """
        gaps = TickSet(np.append(low, self._stops), np.append(self._starts, high))
        return gaps & TickSet([low], [high])

    def __and__(self, other: "TickSet") -> "TickSet":
        """The ticks in both sets."""
        # between two neighbouring edges either set is all in or all out
        edges = np.unique(np.concatenate([self._starts, self._stops, other._starts, other._stops]))
        inside = self.contains(edges[:-1]) & other.contains(edges[:-1])
        return TickSet(edges[:-1][inside], edges[1:][inside])

    def __len__(self) -> int:
        """Number of members."""
        return int(self._below[-1])

    def contains(self, ticks: npt.NDArray[Any]) -> BoolArray:
        """Which of the given ticks are members."""
        return np.asarray(self.rank(ticks + 1) > self.rank(ticks))

    def rank(self, ticks: npt.NDArray[Any]) -> Int64Array:
        """How many members lie below each tick."""
        if not len(self):
            return np.zeros(np.shape(ticks), dtype=np.int64)
        begun = np.searchsorted(self._starts, ticks, side="left")
        beyond = np.maximum(self._stops[np.maximum(begun - 1, 0)] - ticks, 0)
        return np.asarray(self._below[begun] - np.where(begun > 0, beyond, 0), dtype=np.int64)

    def at(self, ranks: npt.NDArray[Any]) -> Int64Array:
        """The member of each rank (0 is the lowest); the nearest where there is none.

        An empty set answers 0, for callers that draw for every row and use some.
        """
        if not len(self):
            return np.zeros(np.shape(ranks), dtype=np.int64)
        ranks = np.clip(ranks, 0, len(self) - 1)
        stretch = np.searchsorted(self._below, ranks, side="right") - 1
        return np.asarray(self._starts[stretch] + ranks - self._below[stretch], dtype=np.int64)

    def draw(self, start: Int64Array, stop: Int64Array, rng: np.random.Generator) -> Int64Array:
        """A uniform member of every `[start, stop)`; arbitrary where that holds none."""
        first = self.rank(start)
        return self.at(first + rng.integers(0, np.maximum(self.rank(stop) - first, 1)))
