"""The mass of a noisy histogram: sums, edges, and the posterior by its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedsynth_server.aggregation.histogram_tree import ANY, EMPTY, EVEN, SPREAD, tree_mass


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_it_is_not_negative_and_keeps_the_sum(values):
    counts = np.array(values)
    mass = tree_mass(counts, 1.0)
    assert (mass >= 0).all()
    assert mass.sum() == pytest.approx(max(counts.sum(), 0.0), abs=1e-3)


def test_without_noise_it_is_the_counts():
    counts = np.array([3.0, 0.0, 7.0, -1.0])
    np.testing.assert_array_equal(tree_mass(counts, 0.0), [3.0, 0.0, 7.0, 0.0])


@pytest.mark.parametrize("difference", [-150.0, -20.0, 0.0, 35.0, 90.0, 140.0])
def test_a_split_is_the_posterior_mean(difference):
    """Two cells of 100 records: Bayes' rule over a fine grid, from the prior as documented."""
    total, sigma = 100.0, 30.0
    split = np.linspace(-1, 1, 20_001)
    step = split[1] - split[0]
    even = np.exp(-0.5 * (split / SPREAD) ** 2) / (SPREAD * np.sqrt(2 * np.pi))
    prior = (EVEN * even + ANY / 2) * step
    prior[[0, -1]] += EMPTY / 2
    noise = sigma * np.sqrt(2)
    weight = prior * np.exp(-0.5 * ((difference - total * split) / noise) ** 2)
    expected = (weight * split).sum() / weight.sum()
    left, right = tree_mass(np.array([total + difference, total - difference]) / 2, sigma)
    assert (left - right) / total == pytest.approx(expected, abs=0.01)


def test_three_cells_split_two_to_one():
    left, middle, right = tree_mass(np.full(3, 100.0), 50.0)
    assert left + middle == pytest.approx(200, rel=0.05)
    assert left == pytest.approx(middle)
    assert right == pytest.approx(100, rel=0.1)


def test_noise_is_smoothed_and_a_spike_is_kept():
    x = np.arange(256)
    counts = 20_000 * np.exp(-0.5 * ((x - 90) / 30) ** 2) / 75
    counts[200] += 3_000
    errors = []
    for seed in range(10):
        noisy = counts + np.random.default_rng(seed).normal(0, 60, 256)
        mass = tree_mass(noisy, 60.0)
        errors.append(np.abs(mass - counts).sum() / np.abs(np.maximum(noisy, 0) - counts).sum())
        assert 2_000 < mass[200] < 3_500  # as noisy as the sums above it
    assert np.median(errors) < 0.6


def test_an_empty_tail_stays_nearly_empty():
    """What a flat projection gets wrong: hundreds of empty cells each keeping a little noise."""
    counts = np.zeros(256)
    counts[:16] = 500.0
    means = []
    for seed in range(20):
        noisy = counts + np.random.default_rng(seed).normal(0, 60, 256)
        mass = tree_mass(noisy, 60.0)
        means.append((mass / mass.sum()) @ np.arange(256))
    assert np.mean(means) < 12  # the truth is 7.5; a flat projection gives over 40


def test_totals_of_runs_tell_more():
    """With less noise claimed for long sums, mass follows them further."""
    counts = np.concatenate([np.full(32, 14.0), np.full(32, 6.0)])
    alone, steady = (tree_mass(counts, 20.0, run)[:32].sum() for run in (1.0, 4.0))
    assert alone < steady <= 14 * 32
