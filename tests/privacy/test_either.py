"""A choice that earlier answers decide costs no more than is charged (claim 26)."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from small_site import Site, make_plan, make_policy

from fedsynth_common.errors import InputError
from fedsynth_common.privacy import PrivacyError, accounting, renyi
from fedsynth_common.privacy.accounting import epsilon, epsilon_rdp, share_of_cap
from fedsynth_common.privacy.either import larger
from fedsynth_common.privacy.events import (
    CountsEvent,
    DpSgdEvent,
    EitherEvent,
    GaussianEvent,
    from_dict,
    merged,
    to_dict,
)
from fedsynth_common.protocol.plan import Listening, MeasureStep, Plan
from fedsynth_release.statement.receipt_evidence import beyond

pytestmark = pytest.mark.privacy
RARE, FREQUENT = (
    DpSgdEvent(sampling_rate=0.02, noise_multiplier=0.6, steps=1),
    GaussianEvent(noise_multiplier=4.0),
)
"""Rare and loud, or always and quiet: which of the two tells more depends on ε."""
CHOICE = EitherEvent(training=RARE, counts=FREQUENT)
AGAIN = MeasureStep(step=6, purpose="marginals", noise_multiplier=4.0)
TRAINING, COUNTS = range(4, 6), 6
"""The steps of the two branches of `open_plan`."""


def open_plan(**changes):
    """Step 3 is for listening; then steps 4 and 5, or step 6."""
    fields = {"format_version": 4, "training": {"messages": 3}}
    fields["listening"] = Listening(messages=1, otherwise=AGAIN)
    return make_plan(**(fields | changes))


def site_of(plan=None, **changes):
    return Site(plan=plan or open_plan(), **changes).enrolled()


def train(site, step):
    return site.vault.discriminate(site.discriminate_request(step)).status


def count(site, **changes):
    return site.vault.measure(site.measure_request(COUNTS, **({"variance": 48} | changes))).status


def rare_delta(eps):
    """δ of one step of RARE at ε, for a record that is removed: closed form."""
    q, s = RARE.sampling_rate, RARE.noise_multiplier
    if math.exp(eps) <= 1 - q:
        return 1 - math.exp(eps)
    edge = 0.5 + s * s * math.log((math.exp(eps) - 1 + q) / q)
    with_it = (1 - q) * norm.sf(edge / s) + q * norm.sf((edge - 1) / s)
    return with_it - math.exp(eps) * norm.sf(edge / s)


def gaussian_delta(eps, s):
    mu = 1 / s
    return norm.cdf(mu / 2 - eps / mu) - math.exp(eps) * norm.cdf(-mu / 2 - eps / mu)


def delta_after(eps, first, branch):
    """δ at ε if a Gaussian answer comes first and `branch` gives δ of the rest at what ε is left."""
    mu = 1 / first

    def at(loss):
        return norm.pdf(loss, mu * mu / 2, mu) * branch(eps - loss)

    return quad(at, mu * mu / 2 - 9 * mu, mu * mu / 2 + 9 * mu, limit=500)[0]


@pytest.mark.parametrize("delta", [1e-3, 1e-5])
def test_who_chooses_by_an_earlier_answer_learns_no_more_than_is_charged(delta):
    """The best adversary of all, computed without the accountant: after each answer the worse branch."""
    first = 1.5
    known = GaussianEvent(noise_multiplier=first)
    charged = epsilon([known, CHOICE], delta)

    def adaptive(eps):
        return max(rare_delta(eps), gaussian_delta(eps, FREQUENT.noise_multiplier))

    assert delta_after(charged, first, adaptive) <= delta
    fixed = max(epsilon([known, RARE], delta), epsilon([known, FREQUENT], delta))
    assert charged >= fixed
    assert charged <= 1.02 * fixed + 0.01, "the choice itself costs next to nothing"


def test_the_larger_of_two_epsilons_is_no_bound():
    """Why the choice is priced as one: at some δ an adversary beats both branches fixed beforehand."""
    first, beaten = 1.5, []
    for delta in (3e-3, 2e-3, 1e-3, 5e-4):
        known = GaussianEvent(noise_multiplier=first)
        fixed = max(epsilon([known, part], delta) for part in (RARE, FREQUENT))
        chosen = delta_after(
            fixed, first, lambda e: max(rare_delta(e), gaussian_delta(e, FREQUENT.noise_multiplier))
        )
        beaten.append(chosen > delta)
    assert any(beaten)


@pytest.mark.parametrize("steps", [1, 60])
def test_at_every_epsilon_the_larger_delta_counts(steps):
    grid = 1e-3
    training = accounting._composed(replace(RARE, noise_multiplier=1.0, steps=steps), grid)
    counted = accounting._composed(CountsEvent(scale=9.0, sensitivity=2, blocks=3), grid)
    both = larger(training, counted)
    at = np.linspace(-2, 4, 61)
    for side in ("_pmf_remove", "_pmf_add"):
        parts = [getattr(pld, side).get_delta_for_epsilon(at) for pld in (training, counted)]
        found = getattr(both, side).get_delta_for_epsilon(at)
        assert found == pytest.approx(np.maximum(*parts), rel=1e-9, abs=1e-12)
        assert (found >= np.maximum(*parts) - 1e-12).all()


def test_a_choice_between_equals_is_one_of_them():
    pld = accounting._composed(FREQUENT, 1e-3)
    both = larger(pld, pld)
    for at in (-1.0, 0.0, 0.5, 1.0):
        assert both.get_delta_for_epsilon(at) == pytest.approx(pld.get_delta_for_epsilon(at))
    with pytest.raises(PrivacyError, match="one grid"):
        larger(pld, accounting._composed(FREQUENT, 1e-4))


def test_a_filter_takes_the_larger_divergence_of_every_order():
    parts = [renyi.divergences((part,)) for part in (RARE, FREQUENT)]
    assert renyi.divergences((CHOICE,)) == pytest.approx(np.maximum(*parts))
    assert (parts[0] > parts[1]).any()
    assert (parts[1] > parts[0]).any()
    shares = [share_of_cap([part], 3.0, 1e-5) for part in (RARE, FREQUENT)]
    assert share_of_cap([CHOICE], 3.0, 1e-5) == max(shares)
    assert epsilon_rdp([CHOICE], 1e-5) >= max(epsilon_rdp([p], 1e-5) for p in (RARE, FREQUENT))


def test_choices_are_never_lost_or_joined():
    assert merged([CHOICE, FREQUENT, CHOICE]) == (FREQUENT, CHOICE, CHOICE)
    assert epsilon([CHOICE, CHOICE], 1e-5) > epsilon([CHOICE], 1e-5)


def test_a_choice_survives_the_ledger_and_odd_ones_are_refused():
    assert from_dict(json.loads(json.dumps(to_dict(CHOICE)))) == CHOICE
    nested = to_dict(CHOICE) | {"counts": to_dict(CHOICE)}
    swapped = {"kind": "either", "training": to_dict(FREQUENT), "counts": to_dict(RARE)}
    shared = to_dict(CHOICE) | {"counts": to_dict(GaussianEvent(noise_multiplier=9.0, shares=3))}
    for odd in (nested, swapped, shared, {"kind": "either", "training": to_dict(RARE)}):
        with pytest.raises(PrivacyError):
            from_dict(odd)


def test_the_plan_prices_the_choice_and_not_one_branch():
    plan = open_plan()
    choice = plan.choice
    assert choice == EitherEvent(
        training=DpSgdEvent(sampling_rate=0.25, noise_multiplier=2.0, steps=4),
        counts=GaussianEvent(noise_multiplier=4.0),
    )
    assert choice in plan.planned_events()
    common = [event for event in plan.planned_events() if event != choice]
    for branch in (choice.training, choice.counts):
        assert epsilon(plan.planned_events(), 1e-5) >= epsilon([*common, branch], 1e-5)


@pytest.mark.parametrize("first", ["training", "counts"])
def test_a_site_answers_one_branch_and_is_charged_for_both_once(first):
    site, choice = site_of(), open_plan().choice
    assert train(site, 3) == "OK"
    if first == "training":
        assert [train(site, step) for step in TRAINING] == ["OK", "OK"]
        assert count(site) == "ERR_PLAN"
        charged, branch = choice, TRAINING
    else:
        assert count(site) == "OK"
        assert [train(site, step) for step in TRAINING] == ["ERR_PLAN", "ERR_PLAN"]
        charged, branch = (
            replace(choice, counts=CountsEvent(scale=48**0.5, sensitivity=1, blocks=3)),
            [6],
        )
    paid = {charge.step: charge.events for charge in site.ledger.charged()}
    assert list(paid) == [3, *branch]
    assert paid[branch[0]] == (charged,)
    assert all(paid[step] == () for step in branch[1:])


def test_a_branch_stays_refused_after_a_restart_and_a_replay_costs_nothing():
    site = site_of()
    assert train(site, 4) == "OK"
    again = Site(
        plan=site.plan, ledger=site.ledger, key=site.key, records=site.records, policy=site.policy
    )
    assert count(again) == "ERR_PLAN"
    before = site.ledger.head()
    assert train(again, 4) == "OK"
    assert site.ledger.head() == before


def test_a_second_measurement_has_at_least_the_noise_of_the_plan():
    assert count(site_of(), variance=47) == "ERR_POLICY"
    assert count(site_of(), variance=48) == "OK"


def test_a_cap_below_the_choice_refuses_the_whole_plan():
    cost = epsilon(open_plan().planned_events(), 1e-5)
    with pytest.raises(AssertionError):
        site_of(policy=make_policy(max_epsilon=cost - 0.001))
    site_of(policy=make_policy(max_epsilon=cost))


def test_a_lower_cap_counts_the_choice_in_full_at_every_step():
    site = site_of()
    assert train(site, 4) == "OK"
    cost = epsilon(site.plan.planned_events(), 1e-5)
    strict = Site(
        plan=site.plan,
        ledger=site.ledger,
        key=site.key,
        records=site.records,
        policy=make_policy(max_epsilon=cost - 0.001),
    )
    assert train(strict, 5) == "ERR_BUDGET"


def test_a_receipt_of_more_than_the_choice_is_found():
    plan = open_plan()
    common = [event for event in plan.planned_events() if event != plan.choice]
    counted = replace(plan.choice, counts=CountsEvent(scale=7.0, sensitivity=1, blocks=3))
    assert not beyond([*common, plan.choice], plan)
    assert not beyond([*common, counted], plan)
    quiet = replace(plan.choice, counts=GaussianEvent(noise_multiplier=3.9))
    longer = replace(plan.choice, training=replace(plan.choice.training, steps=5))
    for odd in ([plan.choice, plan.choice], [quiet], [longer], [plan.choice.counts, plan.choice]):
        assert beyond([*common, *odd], plan), odd
    assert beyond([plan.choice], make_plan())


@pytest.mark.parametrize("before", [(), (3,), (3, 4)])
def test_a_restored_ledger_charges_the_choice_once(before):
    """A restore charges what may have run since the backup (claim 14)."""
    site = site_of()
    assert [train(site, step) for step in before] == ["OK"] * len(before)
    site.ledger.close_study(site.plan)
    assert merged(site.ledger.events("study")) == merged(site.plan.planned_events())


def test_plans_whose_choice_is_not_one():
    for changes in (
        {"listening": Listening(messages=3, otherwise=AGAIN)},
        {"listening": Listening(messages=1, otherwise=AGAIN.model_copy(update={"step": 7}))},
        {"listening": Listening(messages=1, otherwise=AGAIN.model_copy(update={"step": 5}))},
        {"measure": (MeasureStep(step=1, purpose="histograms", noise_multiplier=2.0),)},
        {"discriminator": None},
        {"format_version": 2},
        {"listening": None},
    ):
        with pytest.raises((InputError, ValueError)):
            open_plan(**changes)
    plan = open_plan()
    assert Plan.from_json(plan.to_json()) == plan
    assert b"listening" not in make_plan().to_json()
