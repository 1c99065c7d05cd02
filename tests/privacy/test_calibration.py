"""Plans meet their target by the true accountant, not by an approximation (PRIVACY.md, claim 8)."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.events import CountsEvent, DpSgdEvent, GaussianEvent
from fedsynth_common.privacy.gaussian_dp import mu_of
from fedsynth_server.study.calibration import (
    calibrate,
    dpsgd_noise_multiplier,
    epsilon_of_mu,
    mu_of_epsilon,
)

pytestmark = pytest.mark.privacy


def study(factor):
    return [
        CountsEvent(scale=30.0 * factor, sensitivity=1, blocks=15),
        CountsEvent(scale=60.0 * factor, sensitivity=1, blocks=60),
        CountsEvent(scale=120.0 * factor, sensitivity=1, blocks=60),
        DpSgdEvent(sampling_rate=1 / 16, noise_multiplier=6.0 * factor, steps=1000),
    ]


def training(factor):
    return [DpSgdEvent(sampling_rate=0.01, noise_multiplier=factor, steps=5000)]


def counting(factor):
    return [CountsEvent(scale=12.5 * factor, sensitivity=4, blocks=100)]


@pytest.mark.parametrize("plan", [study, training, counting])
@pytest.mark.parametrize("target", [0.05, 1.0, 10.0])
def test_meets_the_target_from_below(plan, target):
    begun = time.process_time()
    reached = epsilon(plan(calibrate(plan, target, 1e-5)), 1e-5)
    assert time.process_time() - begun < 15
    assert reached <= 0.995 * target
    assert reached >= min(0.992 * target, 0.995 * target - 3e-4)


def test_slack_is_respected():
    factor = calibrate(counting, 2.0, 1e-6, slack=0.1)
    assert 0.897 * 2.0 <= epsilon(counting(factor), 1e-6) <= 0.9 * 2.0


def test_plans_that_round_their_noise_stay_under_the_target():
    def whole(factor):
        return [CountsEvent(scale=float(math.ceil(factor)), sensitivity=1, blocks=4)]

    factor = calibrate(whole, 1.0, 1e-5)
    assert epsilon(whole(factor), 1e-5) <= 0.995
    assert (
        epsilon([CountsEvent(scale=math.ceil(factor) - 1.0, sensitivity=1, blocks=4)], 1e-5) > 0.995
    )


@pytest.mark.parametrize(
    "plan", [lambda f: [], lambda f: [GaussianEvent(noise_multiplier=1.0)]], ids=["none", "fixed"]
)
def test_plans_that_cannot_meet_the_target_are_refused(plan):
    with pytest.raises(PrivacyError):
        calibrate(plan, 1.0, 1e-5)


@pytest.mark.parametrize(
    ("target", "slack"), [(0.0, 0.005), (-1.0, 0.005), (math.nan, 0.005), (1e3, 0.0), (1.0, 1.0)]
)
def test_bad_targets_are_refused(target, slack):
    with pytest.raises(PrivacyError, match="target_epsilon"):
        calibrate(counting, target, 1e-5, slack)


@given(st.floats(1e-3, 5.0), st.floats(1e-3, 1.0), st.integers(1, 10_000))
def test_dpsgd_noise_multiplier_inverts_mu(mu, rate, steps):
    sigma = dpsgd_noise_multiplier(mu, rate, steps)
    if 0.1 <= sigma <= 1e6:
        event = DpSgdEvent(sampling_rate=rate, noise_multiplier=sigma, steps=steps)
        assert mu_of(event) == pytest.approx(mu, rel=1e-6)


@given(st.floats(0.01, 20.0), st.sampled_from([1e-8, 1e-5, 1e-3]))
def test_mu_of_epsilon_inverts_epsilon_of_mu(target, delta):
    assert epsilon_of_mu(mu_of_epsilon(target, delta), delta) == pytest.approx(target, rel=1e-6)


def test_mu_of_known_events():
    assert mu_of(GaussianEvent(noise_multiplier=4.0)) == 0.25
    assert mu_of(CountsEvent(scale=40.0, sensitivity=2, blocks=25)) == 0.25
    full = DpSgdEvent(sampling_rate=1.0, noise_multiplier=100.0, steps=100)
    assert mu_of(full) == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("mu", [0.0, -1.0, math.nan, math.inf])
def test_bad_mu_is_refused(mu):
    with pytest.raises(PrivacyError, match="mu"):
        dpsgd_noise_multiplier(mu, 0.1, 10)
