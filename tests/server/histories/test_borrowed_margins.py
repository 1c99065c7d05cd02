"""Places of few blocks borrow the margins of an event and the next."""

import itertools

import numpy as np
import pytest

from fedsynth_common.protocol.counting import Over
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.histories.blocks import Block, Place
from fedsynth_server.histories.borrowed_margins import borrowed

WIDTH, COLUMNS, STD = 6, 5, 0.01
EVEN = np.full(WIDTH, 1 / WIDTH)
TILTED = np.linspace(1, 3, WIDTH) / np.linspace(1, 3, WIDTH).sum()


def blocks() -> list[Block]:
    """All pairs of columns at the next event, and one column and itself two events later."""
    pairs = itertools.product(range(COLUMNS), repeat=2)
    following = [
        Block(Over.NEXT, 1, (Place(a, Over.NEXT, 1, 0), Place(b, Over.NEXT, 1, 1)))
        for a, b in pairs
    ]
    return [*following, Block(Over.NEXT, 2, tuple(Place(0, Over.NEXT, 2, at) for at in (0, 1)))]


def from_blocks(later: np.ndarray, seed: int) -> tuple[MarginalEstimate, np.ndarray]:
    """What is borrowed for the earlier event of the last block, and what the block says by itself."""
    rng, found = np.random.default_rng(seed), blocks()
    places = sorted({place for block in found for place in block.places})
    number = {place: k for k, place in enumerate(places)}
    truths = [np.outer(EVEN, EVEN)] * COLUMNS**2 + [np.outer(later, EVEN)]
    measured = [
        MarginalEstimate(
            columns=tuple(number[place] for place in block.places),
            frequencies=truth + rng.normal(0, STD, truth.shape),
            variance=STD**2,
        )
        for block, truth in zip(found, truths, strict=True)
    ]
    first, second = borrowed(places, found, measured, [WIDTH] * len(places))
    assert [e.columns for e in (first, second)] == [(number[p],) for p in found[-1].places]
    return first, measured[-1].frequencies.sum(axis=1)


def test_margins_of_an_event_and_the_next_are_exact_enough_to_help():
    errors = []
    for seed in range(20):
        first, own = from_blocks(EVEN, seed)
        weights = 1 / first.variance, 1 / (WIDTH * STD**2)
        mean = np.average([first.frequencies, own], axis=0, weights=weights)
        errors.append([np.square(mean - EVEN).sum(), np.square(own - EVEN).sum()])
    together, alone = np.mean(errors, axis=0)
    assert together < 0.6 * alone


@pytest.mark.parametrize("seed", range(3))
def test_margins_that_differ_are_hardly_borrowed(seed):
    first, _ = from_blocks(TILTED, seed)
    apart = np.square(TILTED - EVEN).mean()
    assert first.variance > 0.5 * apart > WIDTH * STD**2


def test_nothing_is_borrowed_without_later_blocks():
    assert borrowed([], [], [], []) == []
