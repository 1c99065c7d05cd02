"""The cap on everything ever charged holds, over studies, replays and whatever order they come in."""

import pytest
from small_site import Site, make_plan, make_policy, run, watched_site

from fedsynth_common.privacy.accounting import epsilon

pytestmark = pytest.mark.privacy
CAP = 5.0


def study(name, site=None):
    """One more study on the same ledger; about 2.2 of budget each."""
    changes = {"ledger": site.ledger} if site else {}
    plan = make_plan(study=name, training={"noise_multiplier": 5.0}, epsilon=4.0)
    return watched_site(plan=plan, policy=make_policy(max_epsilon=CAP), **changes)


def spent(site):
    return epsilon(site.ledger.events(), site.policy.max_delta)


def run_all(site):
    steps = [("measure", 1), ("measure", 2), ("discriminate", 3), ("discriminate", 4)]
    return [run(site, method, step=step).status for method, step in steps]


def test_new_studies_start_no_new_budget():
    site, statuses = study("study-0"), []
    for number in range(8):
        site = study(f"study-{number}", site)
        statuses.append(site.enroll())
        if statuses[-1] == "OK":
            assert run_all(site) == ["OK"] * 4
        assert spent(site) <= CAP
    assert statuses[0] == "OK"
    assert statuses[-1] == "ERR_BUDGET"
    assert site.records.charges_when_touched == []


def test_studies_enrolled_before_either_was_charged_cannot_exceed_the_cap_together():
    sites = [study("study-0")]
    for number in range(1, 6):
        sites.append(study(f"study-{number}", sites[0]))
    assert [site.enroll() for site in sites] == ["OK"] * 6
    statuses = [status for site in sites for status in run_all(site)]
    assert spent(sites[0]) <= CAP
    assert "ERR_BUDGET" in statuses
    assert statuses[:4] == ["OK"] * 4


def test_a_step_refused_at_the_cap_reads_nothing_and_old_replies_remain():
    site = study("study-0")
    assert site.enroll() == "OK"
    first = run(site, "measure")
    tight = study("study-0", site)
    tight.vault._policies = make_policy(max_epsilon=0.5)
    assert run(tight, "discriminate").status == "ERR_BUDGET"
    assert run(tight, "measure") == first
    assert tight.records.charges_when_touched == []


def test_a_measurement_cheaper_than_planned_is_charged_as_it_was():
    site = Site().enrolled()
    run(site, "measure", variance=1200)
    [event] = site.ledger.events()
    assert (event.scale**2, event.blocks) == (pytest.approx(1200), 3)


def test_the_whole_study_costs_no_more_than_the_plan_says():
    plan = make_plan()
    exact = epsilon(plan.planned_events(), plan.delta)
    site = Site(plan=make_plan(epsilon=exact + 0.02)).enrolled()
    assert run_all(site) == ["OK"] * 4
    assert epsilon(site.ledger.events("study"), plan.delta) <= exact + 0.02
