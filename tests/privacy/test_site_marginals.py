"""Each site's own one-way marginals beside a secure sum have all of its noise (claim 23)."""

import numpy as np
import pytest
from scipy.stats import chi2
from secure_sites import Sites, secure_policy
from small_site import PAIRS, WIDTHS, make_secure_plan

from fedsynth_client.budget.receipts import new_key
from fedsynth_client.vault.admission import reasons_against_cost
from fedsynth_client.vault.measure import Axis, Marginal, contingency
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.events import CountsEvent, DpSgdEvent, GaussianEvent
from fedsynth_common.privacy.gaussian_dp import total_mu
from fedsynth_common.privacy.secure_noise import alone, at_sites
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.plan import MeasureStep
from fedsynth_common.secure_sum.terms import SumTerms, pack_parties

pytestmark = pytest.mark.privacy
MEASURES = (
    MeasureStep(step=1, purpose="histograms", noise_multiplier=2.0),
    MeasureStep(step=2, purpose="marginals", noise_multiplier=2.0),
    MeasureStep(step=3, purpose="site marginals", noise_multiplier=8.0),
)
STEP, VARIANCE = 3, 192
"""Three pairs of variance 192 have noise multiplier 8, that of the step by site."""


def plan_of(key, sites=4):
    return make_secure_plan(key, sites, measure=MEASURES)


@pytest.fixture
def four():
    key = new_key()
    keys = [key, *(new_key() for _ in range(3))]
    public = [k.public_key().public_bytes_raw().hex() for k in keys]
    names = ("north", "site-1", "site-2", "site-3")
    roster = dict(zip(names, public, strict=True))
    plan = make_secure_plan(key, 4, measure=MEASURES, receipt_keys=roster)
    return Sites(4, 1, plan=plan, signing=keys)


def ask(sites, step=STEP, variance=VARIANCE, **changes):
    request = sites.sites[0].measure_request(step, variance=variance, **changes)
    return sites.call(0, "measure", request)


def test_the_answer_of_a_site_has_all_of_its_noise(four):
    marginals = [Marginal(tuple(Axis(c, WIDTHS[c]) for c in pair), 1) for pair in PAIRS]
    exact = np.concatenate(contingency(four.sites[0].records.codes, [], marginals))
    squares = []
    for _ in range(40):
        sites = Sites(4, 1, plan=four.plan, signing=four.signing)
        noisy = np.frombuffer(ask(sites).counts, "<i4")
        squares.append(np.square(noisy - exact))
    found, size = np.sum(squares), np.size(squares)
    low, high = chi2.ppf([1e-6, 1 - 1e-6], size)
    assert low < found / VARIANCE < high
    assert not low < found / (VARIANCE / 3) < high  # that of one of three shares


def test_what_is_charged_is_noise_of_one_site(four):
    assert ask(four).status == "OK"
    (charge,) = four.ledgers[0].charged()
    assert charge.events == (CountsEvent(scale=VARIANCE**0.5, sensitivity=1, blocks=3),)
    assert four.call(0, "receipt", pb.ReceiptRequest(plan_digest=four.digest)).status == "OK"


def test_less_noise_than_the_step_says_is_refused(four):
    assert ask(four, variance=VARIANCE - 1).status == "ERR_POLICY"
    assert four.ledgers[0].charged() == []


def test_a_summed_step_is_never_answered_in_the_open(four):
    assert ask(four, step=2, variance=1000).status == "ERR_PAYLOAD"
    assert ask(four, parties=pack_parties(range(4))).status == "ERR_PAYLOAD"
    assert four.ledgers[0].head()[0] == 0


def test_the_plan_prices_each_step_by_who_makes_its_noise():
    plan = plan_of(new_key())
    assert [event.shares for event in plan.planned_events()] == [3, 3, 1]
    assert SumTerms.of(plan).steps == (1, 2)
    together = GaussianEvent(noise_multiplier=8.0)
    assert together in plan.planned_events()
    assert together in alone(plan.planned_events())


def test_the_step_by_site_counts_in_both_epsilon_and_both_caps():
    key = new_key()
    plan, without = plan_of(key), make_secure_plan(key, 4)
    for seen in (tuple, alone):
        cost = epsilon(seen(plan.planned_events()), plan.delta)
        assert cost > epsilon(seen(without.planned_events()), plan.delta) + 0.01
    lone = epsilon(alone(plan.planned_events()), plan.delta)
    for cap, broken in ((lone + 1e-3, False), (lone - 1e-3, True)):
        policy = secure_policy("north", max_epsilon=5.0, max_epsilon_alone=cap)
        assert bool(list(reasons_against_cost(plan, policy, []))) is broken


def test_a_person_at_m_sites_is_in_m_answers():
    """Independent answers compose: m Gaussians of multiplier z are one of z / sqrt(m)."""
    own = (
        CountsEvent(scale=40.0, sensitivity=2, blocks=100),
        GaussianEvent(noise_multiplier=4.0),
    )
    for event in own:
        assert total_mu(at_sites([event], 3)) == pytest.approx(3**0.5 * total_mu([event]))
        thrice = epsilon([event] * 3, 1e-5)
        assert epsilon(at_sites([event], 3), 1e-5) == pytest.approx(thrice, abs=1e-3)
    training = DpSgdEvent(sampling_rate=0.1, noise_multiplier=4.0, steps=10)
    assert epsilon(at_sites([training], 3), 1e-5) == epsilon([training] * 3, 1e-5)
