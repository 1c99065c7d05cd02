"""The papers of a secure sum say both epsilon, and nothing else passes for them."""

import math

import pytest
from small_site import make_plan, make_secure_plan

from fedsynth_client.budget.receipts import new_key, receipt_json
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.events import CountsEvent, to_dict
from fedsynth_common.privacy.secure_noise import alone, at_sites
from fedsynth_common.protocol.plan import MeasureStep
from fedsynth_common.protocol.receipt import Receipt, SummedStep
from fedsynth_release.report.budget import bounds, budget_rows
from fedsynth_release.statement import PrivacyStatement, SiteCost
from fedsynth_release.statement.mechanisms import mechanisms_of, smallest_group
from fedsynth_release.statement.model_card import model_card
from fedsynth_release.statement.receipt_evidence import beyond, evidence_of
from fedsynth_release.verification.statement_findings import (
    site_list_findings,
    statement_findings,
)

DELTA = 1e-5
PLAN = make_secure_plan(new_key(), sites=5)
EVENTS = (CountsEvent(scale=40.0, sensitivity=1, blocks=100, shares=4),)
ALONE = "epsilon_if_all_others_work_together"


def make_statement(events=EVENTS, **changes):
    charged = [to_dict(event) for event in events]
    fields = {
        "study": PLAN.study,
        "plan_digest": PLAN.digest,
        "rows_per_person": None,
        "delta": DELTA,
        "sites": [SiteCost.from_events(site, charged, DELTA) for site in PLAN.sites],
        "caveats": [],
        "seeded": False,
        "mechanisms": mechanisms_of(PLAN),
        "secure_sum": PLAN.secure_sum,
    }
    return PrivacyStatement.of(**(fields | changes))


def test_the_statement_has_both_epsilon():
    statement = make_statement()
    assert statement.epsilon_if_people_are_at_one_site_only == epsilon(EVENTS, DELTA)
    assert statement.epsilon_if_all_others_work_together == epsilon(alone(EVENTS), DELTA)
    assert "at most 1 of the 5 sites" in statement.adversary
    assert statement.trust.startswith("secure sum")


def test_a_person_at_every_site_is_not_a_sum_over_the_sites():
    statement = make_statement()
    everywhere = epsilon(at_sites(EVENTS, 5), DELTA)
    assert statement.epsilon_if_people_may_be_at_every_site == everywhere
    assert everywhere > 5 * statement.epsilon_if_people_are_at_one_site_only
    assert statement.delta_if_people_may_be_at_every_site == DELTA


def test_a_local_statement_says_nothing_of_it():
    whole = [CountsEvent(scale=40.0, sensitivity=1, blocks=100)]
    statement = make_statement(whole, secure_sum=None, mechanisms=())
    assert statement.epsilon_if_all_others_work_together is None
    assert statement.trust.startswith("local")
    assert {site.epsilon_if_all_others_work_together for site in statement.sites} == {None}


def test_card_and_report_say_both():
    statement = make_statement()
    card = model_card(PLAN.table, statement)
    assert f"ε = {epsilon(alone(EVENTS), DELTA):.4f}" in card
    assert any(
        "all other sites work together" in bound.who
        and bound.epsilon == epsilon(alone(EVENTS), DELTA)
        for bound in bounds(statement)
    )
    assert all(row.mechanism.shares == 4 for row in budget_rows(statement))


def test_what_sites_answer_for_themselves_is_stated_and_cannot_be_hidden():
    step = MeasureStep(step=3, purpose="site marginals", noise_multiplier=8.0)
    plan = make_secure_plan(new_key(), sites=5, measure=(*PLAN.measure, step))
    true = make_statement(mechanisms=mechanisms_of(plan))
    assert "all of the noise itself" in true.trust
    assert len(true.charged) == 2
    silent = make_statement()
    fields = {finding.field for finding in statement_findings(silent, true)}
    assert {"trust", "charged", "mechanisms"} <= fields
    assert mechanisms_of(plan)[-1].shares == 1


def test_the_smallest_group_is_that_of_the_sums():
    own = CountsEvent(scale=500.0, sensitivity=1, blocks=10)
    shared_only, both = ([to_dict(e) for e in events] for events in (EVENTS, (*EVENTS, own)))
    assert smallest_group([both] * 5) == smallest_group([shared_only] * 5)
    assert smallest_group([[to_dict(own)]] * 5) > smallest_group([both] * 5)


@pytest.mark.parametrize("field", [ALONE, "trust", "adversary", "overlap"])
def test_a_milder_statement_is_found(field):
    true = make_statement()
    milder = {ALONE: 0.5}.get(field, "local: nothing to see")
    forged = true.model_copy(update={field: milder})
    assert any(finding.field == field for finding in statement_findings(forged, true))
    silent = true.model_copy(update={ALONE: None})
    assert any(finding.field == ALONE for finding in statement_findings(silent, true))


def test_a_receipt_of_less_noise_alone_is_more_than_the_plan_allows():
    planned = PLAN.planned_events()
    (step,) = {event.noise_multiplier for event in planned}
    scale = step * math.sqrt(100)
    of = [CountsEvent(scale=scale, sensitivity=1, blocks=100, shares=shares) for shares in (4, 5)]
    assert not beyond([of[0], of[0]], PLAN)
    assert beyond([of[1], of[1]], PLAN)  # as little for outsiders, but a smaller share alone


def test_forged_events_are_no_crash():
    """A site's line may claim more than can be accounted: no figure follows from it."""
    own = [CountsEvent(scale=40.0, sensitivity=1, blocks=1_000_000)]
    assert make_statement(own).epsilon_if_people_may_be_at_every_site == math.inf


def test_the_smallest_group_counts_every_sites_share():
    assert smallest_group([[to_dict(EVENTS[0])]] * 5) == math.ceil(2 * 40.0 * math.sqrt(5 / 4))


def test_a_receipt_key_that_the_plan_does_not_name_is_found():
    keys = PLAN.secure_sum.receipt_keys
    statement = make_statement()
    signed = [cost.model_copy(update={"receipt_key": keys[cost.site]}) for cost in statement.sites]
    right = statement.model_copy(update={"sites": tuple(signed)})
    assert list(site_list_findings(right, PLAN)) == []
    signed[2] = signed[2].model_copy(update={"receipt_key": "f" * 64})
    (finding,) = site_list_findings(right.model_copy(update={"sites": tuple(signed)}), PLAN)
    assert "is not the one that plan.json names" in finding.problem


def signed_line(party, sums, key=None, plan=PLAN):
    """The line of a site whose receipt says these sums."""
    signing = key or new_key()
    body = receipt_json(
        study=plan.study,
        plan_digest=plan.digest,
        dataset="people",
        events=plan.planned_events(),
        head="f" * 64,
        seeded=False,
        sums=sums,
    )
    return SiteCost.from_events(
        plan.sites[party],
        [to_dict(event) for event in plan.planned_events()],
        DELTA,
        receipt=body.hex(),
        signature=signing.sign(body).hex(),
        receipt_key=signing.public_key().public_bytes_raw().hex(),
        **Receipt.model_validate_json(body).facts,
    )


SUMS = (SummedStep(step=1, masked=5, opened=5), SummedStep(step=2, masked=5, opened=4))


def test_receipts_say_how_many_sites_were_in_each_sum():
    lines = [signed_line(party, SUMS) for party in range(5)]
    assert evidence_of(lines[0], PLAN).faults == ()
    statement = make_statement(sites=lines)
    assert statement.sites_in_sums == {1: 5, 2: 4}
    card = model_card(PLAN.table, statement)
    assert "The sum of step 1 was opened over 5 of 5 sites" in card
    assert "The sum of step 2 was opened over 4 of 5 sites" in card


@pytest.mark.parametrize(
    "sums",
    [
        (SummedStep(step=1, masked=5, opened=3),),  # fewer than K - c: too little noise
        (SummedStep(step=1, masked=3),),
        (SummedStep(step=1, masked=4, opened=5),),
        (SummedStep(step=1, masked=6, opened=5),),
        (SummedStep(step=7, masked=5, opened=5),),
        (SUMS[0], SUMS[0]),
    ],
)
def test_sums_that_the_plan_does_not_allow_are_found(sums):
    assert any(
        field == "receipt.sums" for field, _ in evidence_of(signed_line(0, sums), PLAN).faults
    )


def test_sites_that_opened_different_sums_are_found():
    lines = [signed_line(party, SUMS if party else SUMS[:1]) for party in range(5)]
    assert "sums" not in " ".join(f.problem for f in findings_of(lines))
    lines[4] = signed_line(4, (SUMS[0], SummedStep(step=2, masked=5, opened=5)))
    (finding,) = [f for f in findings_of(lines) if "different sums" in f.problem]
    assert "step 2" in finding.problem


def findings_of(lines):
    keys = PLAN.secure_sum.receipt_keys
    lines = [line.model_copy(update={"receipt_key": keys[line.site]}) for line in lines]
    return list(site_list_findings(make_statement(sites=lines), PLAN))


def test_a_local_receipt_does_not_speak_of_sums():
    body = receipt_json(study="s", plan_digest="d", dataset="p", events=[], head="", seeded=False)
    assert b"sums" not in body
    assert Receipt.model_validate_json(body).sums == ()
    with_sums = signed_line(0, SUMS, plan=make_plan(sites=PLAN.sites))
    faults = evidence_of(with_sums, make_plan(sites=PLAN.sites)).faults
    assert any(field == "receipt.sums" for field, _ in faults)
