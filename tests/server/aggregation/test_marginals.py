"""Noisy marginals: projection and totals, each against a plain definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from fedsynth_server.aggregation.marginals import pooled_total, project_to_simplex

numbers = st.floats(-5, 5, allow_nan=False)


@given(arrays(float, array_shapes(max_dims=3, max_side=6), elements=numbers))
def test_a_projection_is_a_distribution_and_nothing_is_closer(values):
    projected = project_to_simplex(values)
    assert projected.shape == values.shape
    assert projected.min() >= 0
    assert projected.sum() == pytest.approx(1.0)
    closest = ((projected - values) ** 2).sum()
    rng = np.random.default_rng(0)
    for other in rng.dirichlet(np.full(values.size, 0.5), 20):
        assert ((other.reshape(values.shape) - values) ** 2).sum() >= closest - 1e-9


@given(arrays(float, 6, elements=st.floats(0, 1)))
def test_a_distribution_is_left_alone(values):
    if values.sum() > 0:
        values = values / values.sum()
        assert project_to_simplex(values) == pytest.approx(values, abs=1e-12)


def test_the_total_weighs_estimates_by_their_noise():
    # sums 100 (4 cells, variance 1) and 108 (1 cell, variance 4): equal weights
    assert pooled_total([np.full(4, 25.0), np.array([108.0])], [1.0, 4.0]) == 104.0


def test_a_total_is_at_least_one():
    assert pooled_total([np.array([-50.0, 3.0])], [1.0]) == 1.0


def test_the_total_is_closer_than_any_single_histogram():
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(200):
        noisy = [np.full(20, 50.0) + rng.normal(0, 10, 20) for _ in range(10)]
        errors.append((pooled_total(noisy, [100.0] * 10) - 1000, noisy[0].sum() - 1000))
    pooled, single = np.std(errors, axis=0)
    assert pooled == pytest.approx(single / 10**0.5, rel=0.25)
