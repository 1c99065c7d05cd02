"""Tails of noisy histograms: mean, spread and quantiles come out right, and what is clear stays."""

import numpy as np
import pytest

from fedsynth_common.schema import IntegerColumn, Schema, domain_of
from fedsynth_server.aggregation.binning import build_codebook
from fedsynth_server.aggregation.histogram_tree import tree_mass
from fedsynth_server.aggregation.tails import with_tails

AMOUNTS = IntegerColumn(name="amount", minimum=0, maximum=900_000, scale="log")
EDGES = domain_of(AMOUNTS).ticks.astype(float)


def histogram(values):
    return np.histogram(values, EDGES)[0].astype(float)


def heavy(seed):
    drawn = np.random.default_rng(seed).lognormal(8.0, 1.3, 20_000)
    return np.minimum(drawn, 899_999).astype(int)


def moments(mass):
    middle = (EDGES[:-1] + EDGES[1:]) / 2
    mean = np.average(middle, weights=mass)
    return mean, np.average((middle - mean) ** 2, weights=mass) ** 0.5


def test_a_heavy_tail_keeps_its_mean_and_spread_under_noise():
    plain, lawful = [], []
    for seed in range(12):
        counts = histogram(heavy(seed))
        noisy = counts + np.random.default_rng(100 + seed).normal(0, 30, counts.shape)
        mass = tree_mass(noisy, 30.0)
        real = moments(counts)
        for kept, estimate in ((plain, mass), (lawful, with_tails(mass, noisy, EDGES, 30.0, 1.0))):
            mean, spread = moments(estimate)
            kept.append((abs(mean - real[0]) / real[1], abs(spread / real[1] - 1)))
    mean, spread = np.median(lawful, axis=0)
    assert mean < 0.05
    assert spread < 0.4
    assert mean < 0.7 * np.median(plain, axis=0)[0]
    assert spread < 0.4 * np.median(plain, axis=0)[1]


def test_nothing_changes_where_the_last_cell_stands_out():
    counts = np.full(len(EDGES) - 1, 1000.0)
    assert with_tails(counts, counts, EDGES, 1.0, 1.0).tolist() == counts.tolist()


def test_nothing_changes_where_all_is_noise():
    noisy = np.random.default_rng(0).normal(0, 1, len(EDGES) - 1)
    mass = np.maximum(noisy, 0)
    assert np.allclose(with_tails(mass, noisy - 1, EDGES, 10.0, 1.0), mass)


def test_a_lower_tail_is_an_upper_tail_in_a_mirror():
    counts = histogram(heavy(0))
    noisy = counts + np.random.default_rng(1).normal(0, 30, counts.shape)
    mass = tree_mass(noisy, 30.0)
    forward = with_tails(mass, noisy, EDGES, 30.0, 1.0)
    mirrored = with_tails(mass[::-1], noisy[::-1], -EDGES[::-1], 30.0, 1.0)[::-1]
    assert np.allclose(forward, mirrored, rtol=1e-6)
    assert forward.min() >= 0
    assert forward.sum() == pytest.approx(mass.sum())


def test_the_codebook_draws_by_the_law():
    schema = Schema(name="s", columns=(AMOUNTS,))
    counts = histogram(heavy(3))
    noisy = counts + np.random.default_rng(4).normal(0, 30, counts.shape)
    book = build_codebook(schema, [noisy], [30.0])
    view, shape = book.views[0], book.shapes[0]
    drawn = np.bincount(view, weights=counts)[view] * shape
    real, made = moments(counts), moments(drawn)
    assert abs(made[0] - real[0]) < 0.05 * real[1]
    assert made[1] < 1.4 * real[1]
