"""Noise that several sites make together is what is charged (PRIVACY.md, claim 18)."""

import dataclasses
import math

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution as pld
from scipy import stats
from scipy.special import ive

from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.accounting import epsilon, epsilon_rdp
from fedsynth_common.privacy.events import (
    LEAST_SHARE,
    MAX_SHARES,
    CountsEvent,
    DpSgdEvent,
    GaussianEvent,
    from_dict,
    merged,
    to_dict,
)
from fedsynth_common.privacy.gaussian_dp import total_mu
from fedsynth_common.privacy.noise import discrete_gaussian
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.privacy.secure_noise import (
    alone,
    at_sites,
    distance,
    made_variance,
    share_variance,
)
from fedsynth_server.study.calibration import epsilon_of_mu

pytestmark = pytest.mark.privacy
DELTA = 1e-5
DRAWS = 200_000
COUNTS = CountsEvent(scale=40.0, sensitivity=1, blocks=100, shares=4)


def sums(variance, shares, sites):
    """What the noise of `sites` sites comes to in every cell of an opened sum."""
    scale = math.sqrt(share_variance(variance, shares))
    return sum(discrete_gaussian(scale, DRAWS, Randomness()) for _ in range(sites))


@pytest.mark.parametrize(("sites", "colluders"), [(3, 1), (5, 1), (20, 4)])
def test_the_noise_of_an_opened_sum_has_its_variance(sites, colluders):
    shares, variance = sites - colluders, 1680
    measured, expected = sums(variance, shares, sites).var(), variance * sites / shares
    assert measured == pytest.approx(expected, rel=0.03)
    assert measured != pytest.approx(expected / 2, rel=0.03)
    honest = sums(variance, shares, shares).var()  # the colluders tell theirs
    assert honest == pytest.approx(variance, rel=0.03)
    assert honest != pytest.approx(variance / 2, rel=0.03)


@pytest.mark.parametrize("variance", [1, 7, 100, 1680, 10**10])
@pytest.mark.parametrize("shares", [1, 2, 3, 40, 999])
def test_the_shares_together_never_have_less_than_was_asked_for(variance, shares):
    assert made_variance(variance, shares) >= variance
    assert share_variance(variance, shares) * shares == made_variance(variance, shares)
    assert shares == 1 or share_variance(variance, shares) >= LEAST_SHARE


@pytest.mark.parametrize(("variance", "shares"), [(0, 3), (-1, 3), (5, 0)])
def test_no_noise_is_no_share(variance, shares):
    with pytest.raises(PrivacyError, match="expected 1 or more"):
        share_variance(variance, shares)


def pmf(variance, reach):
    x = np.arange(-reach, reach + 1)
    weights = np.exp(-(x**2) / (2 * variance))
    return weights / weights.sum()


@pytest.mark.parametrize("variance", [0.25, 0.4, 0.6])
@pytest.mark.parametrize("sites", [2, 3, 5])
def test_a_sum_is_as_far_from_one_discrete_gaussian_as_the_bound_says(variance, sites):
    total = single = pmf(variance, 12)
    for _ in range(sites - 1):
        total = np.convolve(total, single)
    reach = len(total) // 2
    near = np.abs(np.arange(-reach, reach + 1)) <= 4 * math.sqrt(sites * variance)
    ratio = np.abs(np.log(total[near] / pmf(sites * variance, reach)[near])).max()
    assert ratio <= distance(variance, sites)
    assert ratio >= distance(variance, sites) / 100  # the bound is about something


def test_the_distance_is_below_the_last_digit_of_epsilon():
    largest = CountsEvent(
        scale=100_000.0, sensitivity=1_000_000, blocks=1_000_000, shares=MAX_SHARES
    )
    moved = largest.sensitivity * largest.blocks
    assert 2 * moved * distance(LEAST_SHARE, MAX_SHARES) < 1e-20
    assert distance(LEAST_SHARE - 4, MAX_SHARES) > 1e-20  # less than half would not do


@pytest.mark.parametrize("shares", [2, 4, 1000])
def test_shares_below_the_floor_are_no_event(shares):
    enough = math.sqrt(LEAST_SHARE * shares)
    CountsEvent(scale=enough, sensitivity=1, blocks=1, shares=shares)
    with pytest.raises(PrivacyError, match="too little for"):
        CountsEvent(scale=enough * 0.999, sensitivity=1, blocks=1, shares=shares)


def skellam_epsilon(variance, blocks):
    """ε of Skellam noise: exact privacy losses of one cell, composed."""
    reach = math.ceil(12 * math.sqrt(variance))
    x = np.arange(-reach, reach + 1)
    lower = dict(zip(x.tolist(), np.log(ive(np.abs(x), variance)).tolist(), strict=True))
    upper = {k + 1: p for k, p in lower.items()}
    single = pld.from_two_probability_mass_functions(
        lower, upper, value_discretization_interval=1e-5
    )
    return single.self_compose(blocks).get_epsilon_for_delta(DELTA)


@pytest.mark.parametrize(("variance", "blocks"), [(1600, 100), (400, 25)])
def test_skellam_noise_of_the_same_variance_costs_the_same_by_pld(variance, blocks):
    event = CountsEvent(scale=math.sqrt(variance), sensitivity=1, blocks=blocks, shares=4)
    assert skellam_epsilon(variance, blocks) == pytest.approx(epsilon([event], DELTA), abs=2e-3)


def test_outsiders_pay_for_the_noise_of_all_shares():
    whole = CountsEvent(scale=40.0, sensitivity=1, blocks=100)
    assert epsilon([COUNTS], DELTA) == epsilon([whole], DELTA)
    assert epsilon_rdp([COUNTS], DELTA) == epsilon_rdp([whole], DELTA)


@pytest.mark.parametrize("shares", [2, 4, 40])
def test_alone_a_site_has_its_own_share(shares):
    event = GaussianEvent(noise_multiplier=4.0, shares=shares)
    closed_form = epsilon_of_mu(math.sqrt(shares) / 4.0, DELTA)
    assert epsilon(alone([event]), DELTA) == pytest.approx(closed_form, abs=2e-4)
    counts = CountsEvent(scale=160.0, sensitivity=1, blocks=1600, shares=shares)
    assert epsilon(alone([counts]), DELTA) == pytest.approx(closed_form, rel=2e-3)


def test_alone_is_what_a_site_draws():
    event = CountsEvent(
        scale=math.sqrt(made_variance(1680, 4)), sensitivity=1, blocks=105, shares=4
    )
    (own,) = alone([event])
    drawn = discrete_gaussian(math.sqrt(share_variance(1680, 4)), DRAWS, Randomness())
    assert drawn.var() == pytest.approx(own.scale**2, rel=0.03)
    assert own.shares == 1


def test_local_noise_is_the_same_alone():
    events = [
        CountsEvent(scale=40.0, sensitivity=1, blocks=100),
        GaussianEvent(noise_multiplier=4.0),
        DpSgdEvent(sampling_rate=0.1, noise_multiplier=4.0, steps=10),
    ]
    assert list(alone(events)) == events


def test_a_person_at_m_sites_moves_every_count_m_times_as_far():
    assert total_mu(at_sites([COUNTS], 3)) == pytest.approx(3 * total_mu([COUNTS]))
    gaussian = GaussianEvent(noise_multiplier=12.0, shares=4)
    assert epsilon(at_sites([gaussian], 3), DELTA) == pytest.approx(
        epsilon_of_mu(3 / 12.0, DELTA), abs=2e-4
    )


def test_shares_are_never_joined_with_others():
    other = dataclasses.replace(COUNTS, shares=2)
    assert set(merged([COUNTS, other])) == {COUNTS, other}
    halves = [GaussianEvent(noise_multiplier=4.0, shares=s) for s in (1, 2)]
    assert set(merged(halves)) == set(halves)


def test_a_single_share_leaves_no_trace_in_the_ledger_and_more_do():
    assert "shares" not in to_dict(dataclasses.replace(COUNTS, shares=1))
    assert from_dict(to_dict(COUNTS)) == COUNTS
    assert to_dict(COUNTS)["shares"] == 4


def test_the_sum_of_shares_passes_for_one_discrete_gaussian():
    draws = sums(64, 4, 4)
    reach = 60
    observed = np.bincount(np.clip(draws, -reach, reach) + reach, minlength=2 * reach + 1)
    expected = pmf(64, reach) * len(draws)
    used = expected > 10
    statistic = ((observed - expected)[used] ** 2 / expected[used]).sum()
    assert stats.chi2.sf(statistic, used.sum() - 1) > 1e-9
