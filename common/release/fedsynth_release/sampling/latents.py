"""Uniform numbers to codes: each column of a record by inverting its cumulative probabilities.

The records of one table are not drawn independently of each other but spread evenly: latents take
turns in proportion to their weights, and of the m records of a latent one falls into each m-th part
of every column's distribution (stratified and Latin hypercube sampling: McKay, Beckman & Conover
1979, Technometrics 21(2)). Every single record has the generator's distribution, exactly as if
drawn by itself; a table of them is closer to the generator than a random sample would be. It is
post-processing: what a table says about anybody's record is bounded by the generator's guarantee in
either case.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from fedsynth_common.array_types import (
    Float32Array,
    Float64Array,
    Int64Array,
    UInt16Array,
    UInt64Array,
)

BELOW_ONE = np.nextafter(np.float32(1.0), np.float32(0.0))


class _HasWidths(Protocol):
    @property
    def widths(self) -> tuple[int, ...]:
        """The codes of each column."""


class SoftNetwork(Protocol):
    """What is drawn from: probabilities of the codes of columns that are independent given z."""

    @property
    def shape(self) -> _HasWidths:
        """Its `widths` are the codes of each column."""

    def soft_rows(self) -> torch.Tensor:
        """Probabilities of all codes given each latent, (latents, sum of the widths)."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Rows that share a number, here a latent, in the order of the groups.

    Attributes:
        present: The numbers that occur, ascending, (groups,).
        first: Where each group begins among all rows in that order, (groups,).
        sizes: Rows of each group, (groups,).
        keys: Group of each row in the highest bits, its own number in the lowest, (rows,).
        bits: How many bits the row's number takes, and how many lie free above it.
    """

    present: Int64Array
    first: Int64Array
    sizes: Int64Array
    keys: UInt64Array
    bits: tuple[int, int]

    @classmethod
    def of(cls, group: NDArray[np.integer]) -> Self:
        """The groups of rows; small non-negative numbers, (rows,)."""
        rows = len(group)
        counts = np.bincount(group)
        low, high = rows.bit_length(), len(counts).bit_length()
        keys = group.astype(np.uint64) << np.uint64(64 - high) | np.arange(rows, dtype=np.uint64)
        present = np.flatnonzero(counts)
        sizes = counts[present]
        return cls(present, np.cumsum(sizes) - sizes, sizes, keys, (low, 64 - low - high))

    def shuffled(self, rng: np.random.Generator) -> Int64Array:
        """Row numbers by group, in a new random order inside each: sorted by random bits."""
        low, free = self.bits
        chance = rng.integers(0, 1 << 64, len(self.keys), dtype=np.uint64)
        keys = self.keys | chance >> np.uint64(64 - free) << np.uint64(low)
        keys.sort()
        return (keys & np.uint64((1 << low) - 1)).astype(np.int64)

    def points(self, rng: np.random.Generator) -> Float64Array:
        """A number in [0, 1) for each row in the order of the groups, one in each m-th part."""
        place = np.arange(len(self.keys)) - np.repeat(self.first, self.sizes)
        return (place + rng.random(len(place))) / np.repeat(self.sizes, self.sizes)

    def codes(self, table: Float32Array, rng: np.random.Generator) -> UInt16Array:
        """What such points fall into, by cumulative probabilities (latents, width), (rows,).

        The points of a group ascend, so that no row has to be compared with any probability: below
        the share t of a group of m rows lie the points of floor(t m) parts, and that of the part which
        holds t m itself if its place there is low enough.
        """
        chance, width = rng.random(len(self.keys)), table.shape[1]
        inside = np.minimum(table[self.present, : width - 1], 1) * self.sizes[:, None]
        whole = inside.astype(np.int64)
        here = np.minimum(self.first[:, None] + whole, len(chance) - 1)
        below = whole + (chance[here] < inside - whole)
        counts = np.diff(below, axis=1, prepend=0, append=self.sizes[:, None])
        code = np.arange(width, dtype=np.uint16)
        return np.repeat(np.tile(code, len(self.sizes)), counts.ravel())


def spread(group: NDArray[np.integer], rng: np.random.Generator) -> Float32Array:
    """A number in [0, 1) for each row, evenly spread over the rows of each group.

    Args:
        group: The group of each row, (rows,), small non-negative numbers.
        rng: Decides the order in each group and the place in each part.

    Returns:
        Numbers (rows,). Of a group of m rows one lies in each [i / m, (i + 1) / m), in random
        order; each by itself is uniform, and independent of the row's numbers from other calls.

    >>> np.sort(spread(np.zeros(4, dtype=int), np.random.default_rng(0)) * 4).astype(int).tolist()
    [0, 1, 2, 3]
    """
    groups = Groups.of(group)
    numbers = np.empty(len(group), dtype=np.float32)
    numbers[groups.shuffled(rng)] = groups.points(rng)
    return np.minimum(numbers, BELOW_ONE)


def spread_latents(rows: int, rng: np.random.Generator, latents: int | Float64Array) -> Int64Array:
    """Latents of `rows` records, each as often as its weight says, in random order.

    Args:
        rows: How many.
        rng: Decides the order, and the place in each part.
        latents: Their number if they are equally likely, or their cumulative weights.
    """
    points = (np.arange(rows) + rng.random(rows)) / max(rows, 1)
    points = rng.permutation(np.minimum(points, np.nextafter(1.0, 0.0)))
    if isinstance(latents, int):
        return np.minimum((points * latents).astype(np.int64), latents - 1)
    return np.searchsorted(latents, points, side="right").astype(np.int64)


def cumulative(weights: Float64Array) -> Float64Array:
    """Along the last axis, ending at exactly 1; the last positive weight reaches that end."""
    sums = np.cumsum(weights, axis=-1)
    ends = sums[..., -1:]
    return np.asarray(np.where(ends > 0, sums / np.where(ends > 0, ends, 1.0), 1.0))


def column_probabilities(network: SoftNetwork) -> list[Float64Array]:
    """Per column the probabilities of its codes given each latent: (latents, width)."""
    with torch.no_grad():
        soft = network.soft_rows().double().cpu().numpy()
    starts = np.cumsum((0, *network.shape.widths))
    return [soft[:, start:end] for start, end in pairwise(starts)]


def cumulative_tables(network: SoftNetwork) -> list[Float32Array]:
    """Per column the cumulative probabilities of its codes given each latent: (latents, width)."""
    tables = []
    for soft in column_probabilities(network):
        table = np.cumsum(soft, axis=1)
        table[:, -1] = 1.0
        tables.append(table.astype(np.float32))
    return tables


def draw_codes(tables: list[Float32Array], rows: int, rng: np.random.Generator) -> UInt16Array:
    """Codes (rows, d): a latent per row, then each column by inverting its cumulative row."""
    return codes_given(tables, spread_latents(rows, rng, len(tables[0])), rng)


def codes_given(
    tables: list[Float32Array], latent: Int64Array, rng: np.random.Generator
) -> UInt16Array:
    """Codes (rows, d) of rows with these latents."""
    codes = np.empty((len(tables), len(latent)), dtype=np.uint16)
    if not len(latent):
        return codes.T
    groups = Groups.of(latent)
    for column, table in zip(codes, tables, strict=True):
        column[groups.shuffled(rng)] = groups.codes(table, rng)
    return codes.T
