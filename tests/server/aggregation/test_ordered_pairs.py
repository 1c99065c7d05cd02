"""A law for two numbers: found where they rise together, silent on noise, no harm elsewhere."""

import itertools

import numpy as np
import pytest

from fedsynth_release.copula.bivariate import dependence
from fedsynth_server.aggregation.denoising import denoise
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.aggregation.ordered_pairs import expected_dependence

WIDTH = 12
EVEN = np.full(WIDTH, 1 / WIDTH)
ORDER = np.arange(WIDTH)


def diagonal(correlation, share=1.0):
    product = np.outer(EVEN, EVEN)
    return product + share * dependence(EVEN, EVEN, np.array([correlation]))[0]


def measured(truth, std, rng, columns):
    """Columns every pair of which is `truth`, with noise in the cells of the pairs."""
    single = [
        MarginalEstimate(columns=(j,), frequencies=EVEN, variance=std**2 * 1e-3)
        for j in range(columns)
    ]
    pairs = [
        MarginalEstimate(
            columns=pair, frequencies=truth + rng.normal(0, std, truth.shape), variance=std**2
        )
        for pair in itertools.combinations(range(columns), 2)
    ]
    return [*single, *pairs]


def error(truth, std, order, columns=6):
    """Mean total variation of the cleaned pairs from the truth."""
    marginals = measured(truth, std, np.random.default_rng(0), columns)
    cleaned = denoise(marginals, (WIDTH,) * columns, orders=[order] * columns).marginals
    return np.mean([np.abs(pair.frequencies - truth).sum() / 2 for pair in cleaned[columns:]])


@pytest.mark.parametrize("std", [0.002, 0.006])
@pytest.mark.parametrize("correlation", [0.95, -0.9])
def test_pairs_on_a_diagonal_come_out_with_half_the_error(std, correlation):
    truth = diagonal(correlation, share=0.9)
    assert error(truth, std, ORDER) < 0.5 * error(truth, std, None)


def test_the_number_of_a_code_does_not_matter_but_its_place_in_the_order():
    shuffled = np.random.default_rng(3).permutation(WIDTH)
    truth = diagonal(0.9)
    places = np.argsort(shuffled)
    named = truth[np.ix_(shuffled, shuffled)]  # code i stands at place shuffled[i]
    assert error(named, 0.004, places) < 0.5 * error(named, 0.004, None)


def test_without_noise_nothing_is_lost_whatever_the_pair_looks_like():
    odd = np.roll(np.diag(EVEN), 5, axis=1)  # far from any normal law
    assert error(odd, 1e-6, ORDER, columns=2) < 1e-3


def test_noise_alone_shows_no_law():
    rng = np.random.default_rng(1)
    noise = {(0, j): rng.normal(size=(WIDTH, WIDTH)) for j in range(1, 200)}
    units = dict.fromkeys(noise, 1e-4)
    one_way = [MarginalEstimate(columns=(j,), frequencies=EVEN, variance=1e-6) for j in range(200)]
    found = expected_dependence(noise, units, one_way, [ORDER] * 200)
    assert not any(law.any() for law in found.values())


def test_the_missing_code_and_columns_without_order_are_left_alone():
    rng = np.random.default_rng(2)
    pair = {(0, 1): 30 * rng.normal(size=(WIDTH, WIDTH)) + 400 * np.eye(WIDTH)}
    one_way = [MarginalEstimate(columns=(j,), frequencies=EVEN, variance=1e-6) for j in (0, 1)]
    law = expected_dependence(pair, {(0, 1): 1e-6}, one_way, [ORDER[:-1], ORDER])[0, 1]
    assert law[:-1].any()
    assert not law[-1].any()
    assert not expected_dependence(pair, {(0, 1): 1e-6}, one_way, [ORDER, None])[0, 1].any()
