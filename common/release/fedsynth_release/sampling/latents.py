"""Uniform numbers to codes: each column of a record by inverting its cumulative probabilities.

The records of one table are not drawn independently of each other but spread evenly: latents take
turns in proportion to their weights, and of the m records of a latent one falls into each m-th part
of every column's distribution (stratified and Latin hypercube sampling: McKay, Beckman & Conover
1979, Technometrics 21(2)). Every single record has the generator's distribution, exactly as if
drawn by itself; a table of them is closer to the generator than a random sample would be. It is
post-processing: what a table says about anybody's record is bounded by the generator's guarantee in
either case.
"""

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from fedsynth_release.generator_network import GeneratorNetwork

BELOW_ONE = np.nextafter(np.float32(1.0), np.float32(0.0))


def spread(group: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.float32]:
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
    order = np.argsort(group + rng.random(len(group)))
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.diff(first, append=len(group))
    place = np.arange(len(group)) - np.repeat(first, sizes)
    numbers = np.empty(len(group), dtype=np.float32)
    numbers[order] = (place + rng.random(len(group))) / np.repeat(sizes, sizes)
    return np.minimum(numbers, BELOW_ONE)


def spread_latents(
    rows: int, rng: np.random.Generator, latents: int | NDArray[np.float64]
) -> NDArray[np.int64]:
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


def cumulative(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Along the last axis, ending at exactly 1; the last positive weight reaches that end."""
    sums = np.cumsum(weights, axis=-1)
    ends = sums[..., -1:]
    return np.asarray(np.where(ends > 0, sums / np.where(ends > 0, ends, 1.0), 1.0))


def column_probabilities(network: GeneratorNetwork) -> list[NDArray[np.float64]]:
    """Per column the probabilities of its codes given each latent: (latents, width)."""
    with torch.no_grad():
        soft = network.soft_rows().double().numpy()
    starts = np.cumsum((0, *network.shape.widths))
    return [soft[:, start:end] for start, end in pairwise(starts)]


def cumulative_tables(network: GeneratorNetwork) -> list[NDArray[np.float32]]:
    """Per column the cumulative probabilities of its codes given each latent: (latents, width)."""
    tables = []
    for soft in column_probabilities(network):
        table = np.cumsum(soft, axis=1)
        table[:, -1] = 1.0
        tables.append(table.astype(np.float32))
    return tables


def draw_codes(
    tables: list[NDArray[np.float32]], rows: int, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Codes (rows, d): a latent per row, then each column by inverting its cumulative row."""
    return codes_given(tables, spread_latents(rows, rng, len(tables[0])), rng)


def codes_given(
    tables: list[NDArray[np.float32]], latent: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Codes (rows, d) of rows with these latents."""
    codes = np.empty((len(latent), len(tables)), dtype=np.uint16)
    for column, table in enumerate(tables):
        beyond = spread(latent, rng)[:, None] >= table[latent]
        codes[:, column] = np.minimum(beyond.sum(axis=1), table.shape[1] - 1)
    return codes
