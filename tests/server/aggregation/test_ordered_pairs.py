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


def staying(share, margin=EVEN):
    return (1 - share) * np.outer(margin, margin) + share * np.diag(margin)


def error_of_itself(truth, std, of, order=None, columns=4):
    """The same where every two columns are one column at two events."""
    marginals = measured(truth, std, np.random.default_rng(4), columns)
    cleaned = denoise(marginals, (WIDTH,) * columns, None, of, [order] * columns).marginals
    return np.mean([np.abs(pair.frequencies - truth).sum() / 2 for pair in cleaned[columns:]])


@pytest.mark.parametrize("share", [0.5, 0.95])
@pytest.mark.parametrize("order", [None, ORDER])
def test_a_column_that_seldom_changes_comes_out_with_half_the_error(share, order):
    truth, apart = staying(share), error_of_itself(staying(share), 0.004, (0, 1, 2, 3), None)
    assert error_of_itself(truth, 0.004, (0, 0, 0, 0), order) < 0.5 * apart


def test_who_stays_and_who_moves_a_little_are_told_apart():
    """Two laws at once: half of the persons stay, the others move to what is near."""
    truth = 0.5 * staying(1.0) + 0.5 * diagonal(0.8)
    pair = {(0, 1): (truth - np.outer(EVEN, EVEN)) / 1e-3}
    one_way = [MarginalEstimate(columns=(j,), frequencies=EVEN, variance=1e-6) for j in (0, 1)]
    law = expected_dependence(pair, {(0, 1): 1e-6}, one_way, [ORDER, ORDER], (0, 0))[0, 1]
    assert np.abs(law - pair[0, 1]).max() < 0.02 * pair[0, 1].max()
    assert np.abs(law.sum(axis=0)).max() < 1e-9 * np.abs(law).sum()  # the margins stay


def test_shares_of_the_laws_are_never_negative_and_at_most_one_together():
    repelled = {(0, 1): -50 * (np.eye(WIDTH) - 1 / WIDTH)}
    one_way = [MarginalEstimate(columns=(j,), frequencies=EVEN, variance=1e-6) for j in (0, 1)]
    units, orders = {(0, 1): 1e-6}, [None, None]
    assert not expected_dependence(repelled, units, one_way, orders, (0, 0))[0, 1].any()
    too_strong = {(0, 1): 3 * (np.diag(EVEN) - np.outer(EVEN, EVEN)) / 1e-3}
    law = expected_dependence(too_strong, units, one_way, orders, (0, 0))[0, 1]
    assert law == pytest.approx(too_strong[0, 1] / 3)


def test_noise_alone_shows_nobody_who_stays():
    rng = np.random.default_rng(5)
    noise = {(0, j): rng.normal(size=(WIDTH, WIDTH)) for j in range(1, 200)}
    one_way = [MarginalEstimate(columns=(j,), frequencies=EVEN, variance=1e-6) for j in range(200)]
    units = dict.fromkeys(noise, 1e-4)
    for order in (None, ORDER):
        found = expected_dependence(noise, units, one_way, [order] * 200, (0,) * 200)
        assert not any(law.any() for law in found.values())


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_what_hides_at_one_distance_is_a_share_of_what_is_clear_at_another(share):
    rng, clear, faint = np.random.default_rng(6), 1e-4, 2e-2
    truth = staying(0.8) - np.outer(EVEN, EVEN)
    noise = [rng.normal(0, std, truth.shape) for std in (clear, faint)]
    pairs = {
        (0, 1): (truth + noise[0]) / clear,
        (2, 3): (share * truth + noise[1]) / faint,
        (4, 5): noise[1] / faint,  # another column, which shows nothing anywhere
    }
    units = {(0, 1): clear**2, (2, 3): faint**2, (4, 5): faint**2}
    one_way = [MarginalEstimate(columns=(j,), frequencies=EVEN, variance=1e-6) for j in range(6)]
    law = expected_dependence(pairs, units, one_way, [None] * 6, (0, 0, 0, 0, 1, 1))
    found = law[2, 3] * faint
    assert np.abs(found - share * truth).sum() < 0.25 * np.abs(truth).sum()
    assert not law[4, 5].any()
