"""What a site lets into a secure sum: two caps, its own key, fail closed (PRIVACY.md, claim 19)."""

import pytest
from small_site import SCHEMA, Site, make_plan, make_policy, make_secure_plan

from fedsynth_client.budget.charge_chain import Charge
from fedsynth_client.budget.receipts import new_key
from fedsynth_client.budget.spending import spending
from fedsynth_client.plans.review import review
from fedsynth_client.vault.admission import (
    admit_step,
    reasons_against_cost,
    reasons_against_terms,
)
from fedsynth_client.vault.measure import Axis, Marginal, Measurement
from fedsynth_common.errors import RefusalError
from fedsynth_common.privacy.accounting import epsilon, epsilon_rdp
from fedsynth_common.privacy.events import GaussianEvent
from fedsynth_common.privacy.secure_noise import alone, share_variance
from fedsynth_common.secure_sum.terms import pack_parties

pytestmark = pytest.mark.privacy
KEY = new_key()
PUBLIC = KEY.public_key().public_bytes_raw()
PLAN = make_secure_plan(KEY, sites=5, epsilon=5.0)
COST = epsilon(PLAN.planned_events(), PLAN.delta)
ALONE = epsilon(alone(PLAN.planned_events()), PLAN.delta)


def secure_policy(**changes):
    return make_policy(**({"site": "north", "max_epsilon_alone": 50.0} | changes))


def words(plan=PLAN, key=PUBLIC, **policy):
    reasons = reasons_against_terms(plan, secure_policy(**policy), SCHEMA, key)
    return " / ".join(f"{reason.code.value} {reason.words}" for reason in reasons)


def costs(plan=PLAN, charges=(), **policy):
    reasons = reasons_against_cost(plan, secure_policy(**policy), charges)
    return [(reason.code.value, reason.words) for reason in reasons]


def test_a_policy_without_the_second_cap_takes_part_in_no_secure_sum():
    assert "ERR_POLICY it is a secure sum" in words(max_epsilon_alone=None)
    assert "max_epsilon_alone" not in words()
    assert "max_epsilon_alone" not in words(make_plan(), max_epsilon_alone=None)


def test_a_plan_with_another_key_of_this_site_is_refused():
    for other in ({"key": bytes(32)}, {"site": "site-1"}, {"site": None}):
        assert "receipt key: compare" in words(**other)
    assert "receipt key" not in words()


def test_a_secure_sum_costs_more_alone_and_the_second_cap_holds_it():
    assert ALONE > 1.5 * COST
    assert costs(max_epsilon_alone=ALONE + 1e-3, max_epsilon=COST + 1e-3) == []
    ((code, why),) = costs(max_epsilon_alone=ALONE - 1e-3, max_epsilon=COST + 1e-3)
    assert code == "ERR_BUDGET"
    assert "all others work together" in why
    assert {code for code, _ in costs(max_epsilon=COST - 1e-3)} == {"ERR_POLICY", "ERR_BUDGET"}


def test_the_second_cap_holds_at_every_step_too():
    measured = Measurement((), tuple(Marginal((Axis(c, 2),), 12) for c in range(3)))
    events = measured.events(SCHEMA, PLAN.noise_shares)
    policy = secure_policy(max_epsilon_alone=ALONE + 1e-3, max_epsilon=6.0)
    admit_step(PLAN, policy, [], 2, events)
    more = [Charge("study", 77, (GaussianEvent(noise_multiplier=1.9, shares=4),))]
    with pytest.raises(RefusalError, match="ERR_BUDGET"):
        admit_step(PLAN, policy, more, 2, events)


def other_study(events, planned=None):
    return [Charge("elsewhere", 1, tuple(events), planned or tuple(events))]


def test_over_several_studies_both_caps_hold_as_filters():
    before = other_study(PLAN.planned_events())
    both = [*PLAN.planned_events(), *PLAN.planned_events()]
    rdp = epsilon_rdp(alone(both), PLAN.delta)
    assert costs(charges=before, max_epsilon=COST * 2, max_epsilon_alone=rdp * 1.05) == []
    ((code, why),) = costs(charges=before, max_epsilon=COST * 2, max_epsilon_alone=rdp * 0.95)
    assert code == "ERR_BUDGET"
    assert "all others work together" in why
    assert "filter" in why


def test_the_first_secure_study_counts_with_its_whole_plan_in_the_second_cap():
    large = tuple(GaussianEvent(noise_multiplier=z, shares=4) for z in (1.0, 1.2))
    before = other_study([GaussianEvent(noise_multiplier=100.0, shares=4)], planned=large)
    ((_, why),) = costs(charges=before, max_epsilon=10.0, max_epsilon_alone=12.0)
    assert "elsewhere" in why
    assert "all others work together" in why


def test_a_cap_that_was_taken_away_does_not_free_what_was_charged():
    """A local study after a secure one: without a second cap the first one stands for it."""
    local = make_plan(study="local", discriminator=None, epsilon=5.0)
    before = other_study(PLAN.planned_events())
    cap = {"max_epsilon": COST * 2, "max_epsilon_alone": None}
    assert any("all others" in why for _, why in costs(local, before, **cap))


def test_a_vault_never_answers_a_secure_plan_like_a_local_one():
    site = Site(plan=PLAN, policy=secure_policy(), key=KEY)
    site.ledger.accept(PLAN.study, PLAN.digest, PLAN.to_json())  # as if it had enrolled
    # neither where the request names no parties nor where it names all, before they have exchanged keys
    for parties in (b"", pack_parties(range(5))):
        request = site.measure_request(variance=1000, parties=parties)
        reply = site.vault.measure(request)
        assert (reply.status != "OK", reply.counts) == (True, b"")
        assert site.ledger.head()[0] == 0


@pytest.mark.parametrize("variance", [12, 1000])
def test_what_is_charged_is_the_noise_of_all_shares(variance):
    measured = Measurement((), (Marginal((Axis(0, 3),), variance),))
    (event,) = measured.events(SCHEMA, 4)
    assert event.shares == 4
    assert event.sensitivity == 1
    assert event.scale**2 == pytest.approx(4 * share_variance(variance, 4))
    assert event.scale**2 >= variance


def test_the_steward_reads_both_totals():
    charges = other_study(PLAN.planned_events())
    spent = spending(charges, secure_policy(max_epsilon=20.0))
    assert spent.total.epsilon == epsilon(PLAN.planned_events(), 1e-5)
    assert spent.alone.epsilon == epsilon(alone(PLAN.planned_events()), 1e-5)
    assert spent.alone.cap == 50.0
    local = other_study(make_plan(discriminator=None).planned_events())
    assert spending(local, secure_policy()).alone is None
    read = review(PLAN, secure_policy(max_epsilon=20.0), SCHEMA, charges, PUBLIC)
    assert (read.cost, read.cost_alone) == (COST, ALONE)
    assert read.after_alone.epsilon > read.after.epsilon
