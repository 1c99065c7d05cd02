"""Records are spread evenly over the generator, and each by itself has the generator's distribution."""

import numpy as np
import pytest
from scipy import stats

from fedsynth_release.sampling.latents import codes_given, cumulative, spread, spread_latents


def table_of(weights):
    return cumulative(np.asarray(weights, dtype=float)).astype(np.float32)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_each_part_of_a_group_gets_one_number(size):
    rng = np.random.default_rng(0)
    group = rng.permutation(np.repeat([0, 3, 4], size))
    numbers = spread(group, rng)
    assert 0 <= numbers.min() <= numbers.max() < 1
    for name in (0, 3, 4):
        parts = np.sort((numbers[group == name].astype(np.float64) * size).astype(int))
        assert np.abs(parts - np.arange(size)).max() <= (0 if size < 1000 else 1)  # float32


def test_nobody_asked_for_is_nobody():
    assert len(spread(np.zeros(0, dtype=int), np.random.default_rng(0))) == 0
    assert len(spread_latents(0, np.random.default_rng(0), 5)) == 0


def test_one_row_by_itself_is_uniform_and_its_columns_independent():
    """The row at place 2 of a group of five, over 4,000 tables."""
    rng = np.random.default_rng(1)
    group = np.array([0, 1, 0, 0, 1, 0, 0])
    pairs = np.array([[spread(group, rng)[2], spread(group, rng)[2]] for _ in range(4000)])
    assert stats.kstest(pairs[:, 0], "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 4 / 4000**0.5
    counts = np.histogram2d(*pairs.T, bins=4, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


@pytest.mark.parametrize("rows", [100, 2048, 5000])
def test_latents_take_turns(rows):
    drawn = spread_latents(rows, np.random.default_rng(2), 512)
    counts = np.bincount(drawn, minlength=512)
    assert np.abs(counts - rows / 512).max() < 2
    assert np.abs(np.diff(drawn)).mean() > 100  # in random order


def test_latents_follow_their_weights_and_those_without_are_never_drawn():
    weights = np.array([0.0, 0.5, 0.0, 0.2, 0.3, 0.0])
    drawn = spread_latents(1001, np.random.default_rng(3), cumulative(weights))
    counts = np.bincount(drawn, minlength=6)
    assert np.abs(counts - 1001 * weights).max() < 2
    assert counts[[0, 2, 5]].sum() == 0


def test_few_rows_come_from_any_latents():
    """Ten rows of 512 latents: every latent can be drawn, not one set of ten or another."""
    rng = np.random.default_rng(4)
    seen = np.concatenate([spread_latents(10, rng, 512) for _ in range(1000)])
    assert len(np.unique(seen)) == 512
    assert stats.chisquare(np.bincount(seen, minlength=512)).pvalue > 1e-4


def test_columns_and_pairs_are_closer_to_the_generator_than_a_random_sample():
    rng = np.random.default_rng(5)
    tables = [table_of(rng.dirichlet(np.full(8, 0.5), size=64)) for _ in range(2)]
    soft = [np.diff(table.astype(float), axis=1, prepend=0) for table in tables]
    exact = [s.mean(0) for s in soft]
    joint = np.einsum("za,zb->ab", *soft) / 64
    evenly, randomly = [], []
    for _ in range(30):
        even = codes_given(tables, spread_latents(2000, rng, 64), rng)
        latent = rng.integers(64, size=2000)
        alike = [
            (rng.random(2000)[:, None] >= table[latent]).sum(1).clip(max=7) for table in tables
        ]
        for codes, errors in ((even.T.astype(int), evenly), (alike, randomly)):
            single = np.abs(np.bincount(codes[0], minlength=8) / 2000 - exact[0]).sum()
            both = np.bincount(codes[0] * 8 + codes[1], minlength=64).reshape(8, 8) / 2000
            errors.append([single, np.abs(both - joint).sum()])
    even, random = np.mean(evenly, axis=0), np.mean(randomly, axis=0)
    assert even[0] < 0.5 * random[0]
    assert even[1] < 0.8 * random[1]
