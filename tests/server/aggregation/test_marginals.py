"""Noisy marginals: projection and totals, each against a plain definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from fedsynth_server.aggregation.marginals import estimated_size, project_to_simplex

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


def test_the_size_weighs_sums_by_their_noise():
    # sums 100 (4 cells of variance 2) and 105 (1 cell of variance 2): weights 1/8 and 1/2
    size = estimated_size([np.full(4, 25.0), np.array([105.0])], 2.0)
    assert size.records == pytest.approx(104.0)
    assert size.variance == pytest.approx(1 / (1 / 8 + 1 / 2))


def test_the_size_is_closer_than_any_single_histogram():
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(200):
        noisy = [np.full(20, 50.0) + rng.normal(0, 10, 20) for _ in range(10)]
        errors.append((estimated_size(noisy, 100.0).records - 1000, noisy[0].sum() - 1000))
    pooled, single = np.std(errors, axis=0)
    assert pooled == pytest.approx(single / 10**0.5, rel=0.25)
    assert pooled**2 == pytest.approx(estimated_size(noisy, 100.0).variance, rel=0.5)
