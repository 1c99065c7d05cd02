"""The privacy gate at the ledger: each condition of admission holds by itself."""

import pytest
from small_site import Site, make_plan, make_policy, run, watched_site

from fedsynth_common.privacy.accounting import epsilon, epsilon_rdp, share_of_cap
from fedsynth_common.privacy.events import DpSgdEvent, GaussianEvent
from fedsynth_common.protocol.plan import MeasureStep

pytestmark = pytest.mark.privacy
PLAN = make_plan(discriminator=None, epsilon=5.0)
COST = epsilon(PLAN.planned_events(), PLAN.delta)
ELSEWHERE = [GaussianEvent(noise_multiplier=2.0)]


def one_release(study, noise_multiplier):
    """A plan of one measure step."""
    step = MeasureStep(step=1, purpose="marginals", noise_multiplier=noise_multiplier)
    return make_plan(study=study, discriminator=None, measure=(step,), epsilon=9.0)


def charged_elsewhere(site, events, plan=None):
    """As if another study had been charged `events`, of a plan that is just these by default."""
    plan = plan or one_release("elsewhere", sum(e.noise_multiplier**-2 for e in events) ** -0.5)
    site.ledger.accept(plan.study, plan.digest, plan.to_json())
    site.ledger.charge(plan.study, 1, "h", events)


def tight_site():
    """A site whose cap is just enough for one study."""
    return watched_site(plan=PLAN, policy=make_policy(max_epsilon=COST + 0.05))


def test_a_study_that_does_not_fit_beside_others_is_not_enrolled():
    site = tight_site()
    charged_elsewhere(site, ELSEWHERE)
    assert site.enroll() == "ERR_BUDGET"
    assert site.records.charges_when_touched == []


def test_a_step_that_does_not_fit_beside_others_is_refused():
    site = tight_site().enrolled()
    charged_elsewhere(site, ELSEWHERE)
    assert run(site, "measure").status == "ERR_BUDGET"
    assert site.records.charges_when_touched == []
    assert site.ledger.head()[0] == 1


def test_a_step_beyond_the_studys_own_limit_is_refused():
    site = watched_site(plan=PLAN, policy=make_policy(max_epsilon=50.0)).enrolled()
    more = [GaussianEvent(noise_multiplier=1.0)]
    site.ledger.charge("study", 77, "h", more)  # as if more had run than the plan has
    assert run(site, "measure").status == "ERR_BUDGET"
    assert site.ledger.head()[0] == 1


def test_the_steps_still_to_come_are_reserved():
    """Another study cannot be charged into the budget that an accepted step leaves to the next."""
    site = Site(plan=PLAN, policy=make_policy(max_epsilon=COST + 0.05)).enrolled()
    charged_elsewhere(site, [GaussianEvent(noise_multiplier=2.5)])
    assert epsilon([*ELSEWHERE, GaussianEvent(noise_multiplier=2.5)], 1e-5) < COST + 0.05
    assert run(site, "measure", step=1).status == "ERR_BUDGET"


# --- the lifetime cap is a Rényi filter from the second study on --------------------------------


def two_studies(noise_multiplier, cap):
    """A site where one study of one release has run and a second like it asks."""
    policy = make_policy(max_epsilon=cap)
    site = watched_site(plan=one_release("study", noise_multiplier), policy=policy)
    charged_elsewhere(site, [GaussianEvent(noise_multiplier=noise_multiplier)])
    return site


def test_studies_chosen_after_results_are_not_composed_by_pld():
    """Two studies of ε = 1 come to 1.46 by PLD and to 1.59 by the filter; a cap of 1.5 is between."""
    noise = [GaussianEvent(noise_multiplier=3.748)]
    assert 0.99 < epsilon(noise, 1e-5) < 1
    assert 1.45 < epsilon(noise * 2, 1e-5) < 1.5 < 1.58 < epsilon_rdp(noise * 2, 1e-5) < 1.6
    site = two_studies(3.748, cap=1.5)
    assert site.enroll() == "ERR_BUDGET"
    assert site.records.charges_when_touched == []
    assert two_studies(3.748, cap=1.6).enroll() == "OK"


def test_the_filter_holds_at_each_step_too():
    site = watched_site(plan=one_release("study", 3.748), policy=make_policy(max_epsilon=1.5))
    site.enrolled()
    charged_elsewhere(site, [GaussianEvent(noise_multiplier=3.748)])
    assert run(site, "measure", step=1, variance=43).status == "ERR_BUDGET"
    assert site.records.charges_when_touched == []


def test_a_single_study_is_judged_by_pld_up_to_the_cap():
    """Its plan was fixed before its first answer, so that no filter is needed."""
    assert share_of_cap(PLAN.planned_events(), COST + 0.05, PLAN.delta) > 1
    site = tight_site().enrolled()
    assert run(site, "measure", step=1).status == run(site, "measure", step=2).status == "OK"


def test_the_first_study_counts_with_its_whole_plan_even_if_it_ends_early():
    """Else a coordinator could look at its first answers and then choose how to go on."""
    site = watched_site(
        plan=one_release("study", 50.0), policy=make_policy(max_epsilon=COST + 0.05)
    )
    first = PLAN.model_copy(update={"study": "first"})
    charged_elsewhere(site, [GaussianEvent(noise_multiplier=100.0)], first)
    assert share_of_cap([GaussianEvent(noise_multiplier=40.0)], COST + 0.05, 1e-5) < 0.01
    assert site.enroll() == "ERR_BUDGET"


def test_a_first_study_whose_plan_is_not_known_leaves_no_room():
    site = watched_site(plan=one_release("study", 50.0), policy=make_policy(max_epsilon=8.0))
    site.ledger.charge("elsewhere", 1, "h", [GaussianEvent(noise_multiplier=100.0)])
    assert site.enroll() == "ERR_BUDGET"
    site.ledger.accept("elsewhere", "d", b"a plan that this version cannot read")
    assert site.enroll() == "ERR_BUDGET"


def test_the_order_of_the_filter_is_the_policys_and_not_the_one_that_suits_what_was_spent():
    training = DpSgdEvent(sampling_rate=0.01, noise_multiplier=0.8, steps=50)
    assert epsilon_rdp([training, GaussianEvent(noise_multiplier=50.0)], 1e-5) < 2.1
    site = watched_site(plan=one_release("study", 50.0), policy=make_policy(max_epsilon=3.0))
    charged_elsewhere(site, [training], one_release("elsewhere", 50.0))
    assert site.enroll() == "ERR_BUDGET"
