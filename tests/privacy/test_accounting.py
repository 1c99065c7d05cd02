"""What the events cost, against independent computations (PRIVACY.md, claim 7)."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus.accountants import PRVAccountant, RDPAccountant
from opacus.accountants.analysis.rdp import compute_rdp
from scipy import optimize, stats

from fedsynth_common.privacy import PrivacyError, accounting, renyi
from fedsynth_common.privacy.accounting import ROUNDING, epsilon, epsilon_rdp, share_of_cap
from fedsynth_common.privacy.events import CountsEvent, DpSgdEvent, GaussianEvent
from fedsynth_common.privacy.noise import exact_variance
from fedsynth_common.privacy.renyi import ORDERS, conversion, filter_order
from fedsynth_server.study.calibration import epsilon_of_mu

pytestmark = pytest.mark.privacy


def dp_sgd(q, sigma, steps):
    return DpSgdEvent(sampling_rate=q, noise_multiplier=sigma, steps=steps)


def counts(scale, blocks=1, sensitivity=1):
    return CountsEvent(scale=scale, sensitivity=sensitivity, blocks=blocks)


GOLDEN = [  # q, sigma, steps, delta -> PLD, PRV, RDP
    (0.01, 1.0, 1000, 1e-5, 1.8282, 1.8384, 2.1014),
    (0.05, 1.5, 500, 1e-5, 3.7847, 3.7949, 4.1438),
    (0.1, 4.0, 2000, 1e-6, 5.7057, 5.7159, 6.1007),
    (1.0, 20.0, 100, 1e-6, 2.2541, 2.2642, 2.4191),
]


@pytest.mark.parametrize(("q", "sigma", "steps", "delta", "pld", "prv", "rdp"), GOLDEN)
def test_golden_values(q, sigma, steps, delta, pld, prv, rdp):
    event = dp_sgd(q, sigma, steps)
    assert pld - 5e-5 <= epsilon([event], delta) <= pld + 5e-5 + ROUNDING
    assert epsilon_rdp([event], delta) == pytest.approx(rdp, abs=5e-5)
    assert opacus(PRVAccountant, q, sigma, steps, delta) == pytest.approx(prv, abs=2e-4)


def opacus(accountant, q, sigma, steps, delta):
    judge = accountant()
    judge.history = [(sigma, q, steps)]
    return judge.get_epsilon(delta)


GRID = [(0.01, 0.8, 500), (0.05, 2.0, 200), (0.0625, 6.0, 1000), (0.25, 8.0, 100), (1.0, 5.0, 10)]


@pytest.mark.parametrize(("q", "sigma", "steps"), GRID)
@pytest.mark.parametrize("delta", [1e-5, 1e-6])
def test_three_accountants_agree(q, sigma, steps, delta):
    """PLD <= PRV <= PLD + 0.02 and PLD <= RDP, PRV and RDP by Opacus."""
    pld = epsilon([dp_sgd(q, sigma, steps)], delta)
    prv = opacus(PRVAccountant, q, sigma, steps, delta)
    assert pld <= prv + ROUNDING
    assert prv <= pld + 0.02
    assert pld <= epsilon_rdp([dp_sgd(q, sigma, steps)], delta)
    assert pld <= opacus(RDPAccountant, q, sigma, steps, delta)


def solve(delta_of, delta):
    """Return the exact ε at which the profile `delta_of` falls to delta."""
    return optimize.brentq(lambda e: delta_of(e) - delta, 0.0, 60.0, xtol=1e-9)


@pytest.mark.parametrize(("scale", "blocks", "sensitivity"), [
    (0.8, 1, 1), (1.5, 1, 1), (1.5, 5, 1), (3.0, 4, 2), (5.0, 10, 1), (12.0, 30, 3),
])  # fmt: skip
def test_discrete_gaussian_against_exact_convolution(scale, blocks, sensitivity):
    """The loss of m blocks depends on the sum of m noises alone, whose distribution is exact."""
    variance = float(exact_variance(scale))
    reach = math.ceil(14 * scale) + sensitivity
    x = np.arange(-reach, reach + 1)
    single = np.exp(-(x**2) / (2 * variance))
    single /= single.sum()
    total = np.ones(1)
    for _ in range(blocks):
        total = np.convolve(total, single)
    y = np.arange(len(total)) - blocks * reach
    loss = (2 * sensitivity * y + blocks * sensitivity**2) / (2 * variance)
    delta = 1e-5
    exact = solve(lambda e: (total * np.clip(1 - np.exp(e - loss), 0, None)).sum(), delta)
    assert exact - 1e-9 <= epsilon([counts(scale, blocks, sensitivity)], delta)
    assert epsilon([counts(scale, blocks, sensitivity)], delta) <= exact * 1.002 + 2 * ROUNDING


@pytest.mark.parametrize(("q", "sigma"), [(0.01, 0.7), (0.1, 1.0), (0.5, 2.0), (0.0625, 3.0)])
def test_one_sampled_step_against_the_closed_form(q, sigma):
    """Hockey-stick divergences between N(0, s²) and (1 - q) N(0, s²) + q N(1, s²), both ways."""

    def remove(eps):
        ratio = (math.expm1(eps) + q) / q
        cut = sigma**2 * math.log(ratio) + 0.5
        tail, shifted = stats.norm.sf(cut / sigma), stats.norm.sf((cut - 1) / sigma)
        return (1 - q) * tail + q * shifted - math.exp(eps) * tail

    def add(eps):
        ratio = (math.exp(-eps) - (1 - q)) / q
        if ratio <= 0:
            return 0.0
        cut = sigma**2 * math.log(ratio) + 0.5
        below, shifted = stats.norm.cdf(cut / sigma), stats.norm.cdf((cut - 1) / sigma)
        return below - math.exp(eps) * ((1 - q) * below + q * shifted)

    delta = 1e-5
    exact = solve(lambda e: max(remove(e), add(e)), delta)
    assert exact - 1e-9 <= epsilon([dp_sgd(q, sigma, 1)], delta) <= exact + 3 * ROUNDING


@pytest.mark.parametrize("delta", [1e-9, 1e-5, 0.01])
@pytest.mark.parametrize("sigma", [0.7, 1.0, 5.0, 50.0])
def test_gaussian_against_the_analytic_formula(sigma, delta):
    exact = epsilon_of_mu(1 / sigma, delta)
    cost = epsilon([GaussianEvent(noise_multiplier=sigma)], delta)
    assert exact - 1e-9 <= cost <= exact * 1.0005 + 2 * ROUNDING


@pytest.mark.parametrize(
    ("scale", "blocks"), [(40.0, 120), (10.0, 15), (400.0, 1275), (2_000.0, 300), (30_000.0, 9_999)]
)
def test_many_marginals_cost_what_one_gaussian_costs(scale, blocks):
    one = epsilon([GaussianEvent(noise_multiplier=scale / math.sqrt(blocks))], 1e-5)
    assert epsilon([counts(scale, blocks)], 1e-5) == pytest.approx(one, rel=2e-3, abs=ROUNDING)


def test_composition_of_gaussians_is_exact():
    parts = [GaussianEvent(noise_multiplier=3.0), dp_sgd(1.0, 4.0, 1), counts(50.0, 100)]
    exact = epsilon_of_mu(math.sqrt(3.0**-2 + 4.0**-2 + 0.2**2), 1e-5)
    assert exact - 1e-9 <= epsilon(parts, 1e-5) <= exact * 1.001


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 5.0, 40.0])
@pytest.mark.parametrize("move", [(1, 1), (2, 1), (1, 1, 1), (2, 2), (3, 1), (1,) * 6])
def test_moving_one_cell_far_is_the_worst_move(scale, move):
    """A person's rows in several cells cost no more than all of them in one cell."""
    for delta in (1e-9, 1e-5, 1e-2):
        spread = epsilon([counts(scale, 1, s) for s in move], delta)
        assert spread <= epsilon([counts(scale, 1, sum(move))], delta) + ROUNDING


@settings(max_examples=8, deadline=None)
@given(
    st.sampled_from([0.01, 0.0625, 0.3]),
    st.floats(1.5, 20.0),
    st.integers(1, 2_000),
    st.sampled_from([1.1, 1.7]),
)
def test_monotone(q, sigma, steps, factor):
    base = epsilon([dp_sgd(q, sigma, steps)], 1e-5)
    assert epsilon([dp_sgd(q, sigma, math.ceil(steps * factor))], 1e-5) >= base - ROUNDING
    assert epsilon([dp_sgd(q * factor, sigma, steps)], 1e-5) >= base - ROUNDING
    assert epsilon([dp_sgd(q, sigma * factor, steps)], 1e-5) <= base + ROUNDING
    assert epsilon([dp_sgd(q, sigma, steps)], 1e-4) <= base
    assert epsilon([dp_sgd(q, sigma, steps), counts(40.0, 10)], 1e-5) >= base - ROUNDING


def test_monotone_in_counts():
    costs = [epsilon([counts(40.0, b, s)], 1e-5) for b, s in [(1, 1), (9, 1), (90, 1), (90, 2)]]
    assert costs == sorted(set(costs))
    assert epsilon([counts(41.0, 90, 2)], 1e-5) < costs[-1]


def test_grouping_and_order_do_not_matter():
    parts = [dp_sgd(0.1, 4.0, 30), counts(40.0, 5), GaussianEvent(noise_multiplier=9.0)]
    split = [dp_sgd(0.1, 4.0, 10), counts(40.0, 2), *parts[2:], counts(40.0, 3)]
    split += [dp_sgd(0.1, 4.0, 20)]
    assert epsilon(parts, 1e-5) == epsilon(reversed(parts), 1e-5) == epsilon(iter(split), 1e-5)


def test_nothing_costs_nothing():
    assert epsilon([], 1e-5) == epsilon_rdp([], 1e-5) == 0.0


def test_rounded_up_to_four_decimals():
    cost = epsilon([GaussianEvent(noise_multiplier=3.0)], 1e-5)
    assert cost == round(cost, 4)
    assert cost >= epsilon_of_mu(1 / 3, 1e-5)


@pytest.mark.parametrize("delta", [0.0, -1e-5, 1.0, 1e-13, math.nan, math.inf])
def test_bad_deltas_are_refused(delta):
    for cost in (epsilon, epsilon_rdp):
        with pytest.raises(PrivacyError, match="delta"):
            cost([dp_sgd(0.1, 1.0, 10)], delta)


def test_costs_beyond_use_come_from_rdp():
    event = dp_sgd(1.0, 0.2, 10_000)
    assert epsilon([event], 1e-5) == pytest.approx(epsilon_rdp([event], 1e-5), abs=ROUNDING)
    assert epsilon([event], 1e-5) > 100


def test_disagreement_of_the_accountants_is_refused(monkeypatch):
    event = GaussianEvent(noise_multiplier=3.21)
    monkeypatch.setattr(accounting, "_epsilon_rdp", lambda events, delta: 0.5)
    with pytest.raises(PrivacyError, match="disagree"):
        epsilon([event], 1e-5)


@pytest.mark.parametrize(
    "event",
    [
        dp_sgd(1e-4, 30.0, 100_000),
        dp_sgd(0.01, 1e3, 100_000),
        dp_sgd(1e-6, 1.0, 9),
        counts(3e4, 200_000),
    ],
)
def test_weak_mechanisms_repeated_often_are_not_overcharged_into_refusal(event):
    """On a fixed grid of 1e-4 these would come out several times too dear, above RDP."""
    assert epsilon([event], 1e-5) <= epsilon_rdp([event], 1e-5) + ROUNDING


def test_a_study_is_accounted_for_in_two_seconds():
    study = [counts(31.0, 15), counts(62.0, 60), counts(124.0, 60), dp_sgd(0.0625, 6.1, 1000)]
    for kept in (accounting._counted, accounting._discrete_gaussian, accounting._trained):
        kept.cache_clear()
    begun = time.process_time()
    assert 1.0 < epsilon(study, 1e-5) < 2.0
    assert time.process_time() - begun < 2.0


# --- the filter: costs that were chosen after results were seen ---------------------------------


def sampled_hockey_stick(loss, q, sigma):
    """δ at ε = `loss` (any real numbers) of one sampled step, for removing a record."""
    ratio = (np.expm1(loss) + q) / q
    cut = sigma**2 * np.log(np.where(ratio > 0, ratio, 1.0)) + 0.5
    tail, shifted = stats.norm.sf(cut / sigma), stats.norm.sf((cut - 1) / sigma)
    above = (1 - q) * tail + q * shifted - np.exp(loss) * tail
    return np.where(ratio > 0, above, -np.expm1(loss))


def gaussian_hockey_stick(loss, sigma):
    mu = 1 / sigma
    far, near = stats.norm.sf(loss / mu + mu / 2), stats.norm.sf(loss / mu - mu / 2)
    return near - np.exp(loss) * far


def test_pld_is_no_filter_and_the_renyi_filter_is():
    """An adversary who sees a first answer and then chooses one of two mechanisms gets 1.8 δ.

    After a Gaussian release with losses N(1/2, 1), the second is a strong Gaussian or a weakly
    noised step on a rare sample. By PLD both ways cost (ε, δ). Chosen for each first loss l as the
    one with the greater hockey-stick divergence at ε - l, they cost far more; at the ε where the
    filter stops, they cost less than δ.
    """
    delta, first = 1e-5, GaussianEvent(noise_multiplier=1.0)
    rare, strong = (0.001, 0.3), 1.0215
    ways = [[first, dp_sgd(*rare, 1)], [first, GaussianEvent(noise_multiplier=strong)]]
    costs = [epsilon(way, delta) for way in ways]
    losses, width = np.linspace(-9.5, 10.5, 400_001, retstep=True)
    weights = stats.norm.pdf(losses, 0.5, 1.0) * width

    def delta_of(eps):
        second = [
            sampled_hockey_stick(eps - losses, *rare),
            gaussian_hockey_stick(eps - losses, strong),
        ]
        return [float((weights * way).sum()) for way in (*second, np.maximum(*second))]

    rare_alone, strong_alone, chosen = delta_of(max(costs))
    assert max(rare_alone, strong_alone) <= delta
    assert chosen > 1.8 * delta
    cap = min(
        c / 100 for c in range(600, 2000) if max(share_of_cap(w, c / 100, delta) for w in ways) <= 1
    )
    assert delta_of(cap)[2] < delta


@pytest.mark.parametrize("cap", [0.5, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("delta", [1e-5, 1e-8])
def test_the_filters_share_of_gaussians_is_the_closed_form(cap, delta):
    """Order α: divergence α / (2σ²); Canonne, Kamath and Steinke 2020, Prop. 12, back to ε."""
    order = filter_order(cap, delta)
    parts = [GaussianEvent(noise_multiplier=7.0), counts(50.0, 20, 2), dp_sgd(1.0, 30.0, 3)]
    divergence = order / 2 * (7.0**-2 + 20 * (2 / 50.0) ** 2 + 3 * 30.0**-2)
    budget = cap + math.log(order / (order - 1)) + math.log(order * delta) / (order - 1)
    share = share_of_cap(parts, cap, delta)
    assert divergence / budget <= share <= divergence / budget + ROUNDING * (1 + 1e-9)


@pytest.mark.parametrize("cap", [0.3, 1.0, 2.0, 5.0, 10.0])
def test_a_full_filter_is_at_the_cap(cap):
    """With the most Gaussian noise that it lets pass, ε by RDP is the cap and by PLD below it."""
    order = filter_order(cap, 1e-5)
    sigma = math.sqrt(order / 2 / (cap - conversion(order, 1e-5)))
    full = [GaussianEvent(noise_multiplier=sigma * (1 + 1e-9))]
    assert share_of_cap(full, cap, 1e-5) == 1
    assert epsilon_rdp(full, 1e-5) == pytest.approx(cap, rel=2e-3)
    assert 0.85 * cap < epsilon(full, 1e-5) < cap


def test_two_studies_of_epsilon_one():
    two = [GaussianEvent(noise_multiplier=3.748)] * 2
    assert epsilon(two, 1e-5) == pytest.approx(1.4577, abs=2e-3)
    assert epsilon_rdp(two, 1e-5) == pytest.approx(1.588, abs=2e-3)
    caps = [cap for cap in (1.46, 1.58, 1.60) if share_of_cap(two, cap, 1e-5) <= 1]
    assert caps == [1.60]


def test_the_share_of_sampled_training_against_opacus():
    order = filter_order(3.0, 1e-5)
    [divergence] = compute_rdp(q=0.125, noise_multiplier=4.0, steps=288, orders=[order])
    share = share_of_cap([dp_sgd(0.125, 4.0, 288)], 3.0, 1e-5)
    assert share == pytest.approx(divergence / (3.0 - conversion(order, 1e-5)), abs=2 * ROUNDING)


def test_shares_add_up_and_the_order_is_of_the_cap_alone():
    one, other = [dp_sgd(0.1, 4.0, 30), counts(40.0, 5)], [GaussianEvent(noise_multiplier=9.0)]
    apart = share_of_cap(one, 3.0, 1e-5) + share_of_cap(other, 3.0, 1e-5)
    assert share_of_cap(one + other, 3.0, 1e-5) == pytest.approx(apart, abs=2 * ROUNDING)
    assert {filter_order(cap, 1e-5) for cap in (0.5, 1.0, 3.0, 10.0)} == {32, 18, 7.5, 3.4}
    assert set(ORDERS) >= {7.5, 18}


def test_an_order_without_a_known_cost_is_over_every_cap():
    """dp-accounting leaves out the orders at which its series does not converge: here 2.1 to 2.6."""
    event = dp_sgd(0.5, 100.0, 1)
    costs = dict(zip(renyi.ORDERS, renyi.divergences((event,)), strict=True))
    assert [costs[order] == math.inf for order in (2.0, 2.1, 2.6, 3.0)] == [
        False,
        True,
        True,
        False,
    ]
    cap = next(c for c in range(1, 100) if costs[renyi.filter_order(c, 1e-5)] == math.inf)
    assert share_of_cap([event], cap, 1e-5) == math.inf
    assert share_of_cap([event], 3.0, 1e-5) < 1


def test_a_cost_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setattr(renyi, "share_of_budget", lambda *_: math.nan)
    with pytest.raises(PrivacyError, match="unbounded"):
        share_of_cap([dp_sgd(0.5, 100.0, 1)], 3.0, 1e-5)
    monkeypatch.setattr(accounting, "_epsilon_rdp", lambda *_: math.nan)
    with pytest.raises(PrivacyError, match="disagree"):
        epsilon([dp_sgd(0.5, 100.0, 3)], 1e-5)


def test_a_cap_too_small_for_the_filter_leaves_no_room():
    assert share_of_cap([GaussianEvent(noise_multiplier=1e5)], 0.001, 1e-5) == math.inf
    assert share_of_cap([], 0.001, 1e-5) == 0
