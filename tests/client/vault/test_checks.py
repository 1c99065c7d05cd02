"""Everything malformed or weaker than the plan is refused, and refusals cost nothing."""

import numpy as np
import pytest
from small_site import PAIRS, SCHEMA, WIDTHS, Site, make_plan, make_policy

from fedsynth_client.vault.checks import measurement_of
from fedsynth_common.protocol import PROTOCOL_VERSION
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import pack, pack_views
from fedsynth_common.protocol.counting import noise_multiplier
from fedsynth_common.protocol.plan import Plan

IDENTITY = [np.arange(width) for width in WIDTHS]


def axis(column, view=-1):
    return pb.Axis(column=column, view=view)


def marginal(*axes, variance=12):
    return pb.Marginal(axes=list(axes), noise_variance=variance)


GOOD = marginal(axis(0), axis(1))
MEASURE = {
    "no marginals": {"marginals": []},
    "no axes": {"marginals": [marginal()]},
    "four axes": {"marginals": [marginal(axis(0), axis(1), axis(2), axis(0))]},
    "a column twice": {"marginals": [marginal(axis(0), axis(0))]},
    "a column twice, once viewed": {
        "marginals": [marginal(axis(0), axis(0, 0))],
        "views": pack_views([[0, 1, 1]]),
    },
    "unknown column": {"marginals": [marginal(axis(3))]},
    "unknown view": {"marginals": [marginal(axis(0, 0))]},
    "negative view": {"marginals": [marginal(axis(0, -2))]},
    "unused view": {"marginals": [GOOD], "views": pack_views([[0, 1, 1]])},
    "view of another width": {
        "marginals": [marginal(axis(1, 0))],
        "views": pack_views([[0, 1, 1]]),
    },
    "view with a gap": {"marginals": [marginal(axis(0, 0))], "views": pack_views([[0, 2, 2]])},
    "view on two widths": {
        "marginals": [marginal(axis(0, 0)), marginal(axis(1, 0))],
        "views": pack_views([[0, 1, 1]]),
    },
    "odd bytes in a view": {"marginals": [marginal(axis(0, 0))], "views": [pb.View(groups=b"abc")]},
    "no noise": {"marginals": [marginal(axis(0), variance=0)]},
    "absurd noise": {"marginals": [marginal(axis(0), variance=10**10 + 1)]},
}


@pytest.mark.parametrize("case", MEASURE)
def test_malformed_measure_requests(case):
    site = Site().enrolled()
    reply = site.vault.measure(site.measure_request(**MEASURE[case]))
    assert reply == pb.MeasureReply(status="ERR_PAYLOAD")
    assert site.ledger.head()[0] == 0


def test_marginals_over_too_many_cells_are_refused(monkeypatch):
    monkeypatch.setattr("fedsynth_client.vault.checks.MAX_CELLS", 25)
    site = Site().enrolled()
    assert site.vault.measure(site.measure_request()).status == "ERR_PAYLOAD"


def test_views_and_widths_reach_the_measurement():
    plan = make_plan()
    views = pack_views([[1, 0, 1], [0, 0, 1, 2]])
    request = pb.MeasureRequest(
        step=1, views=views, marginals=[marginal(axis(0, 0), axis(2, 1)), marginal(axis(2))]
    )
    checked = measurement_of(request, plan, SCHEMA)
    assert [[a.width for a in m.axes] for m in checked.marginals] == [[2, 3], [4]]
    assert [view.tolist() for view in checked.views] == [[1, 0, 1], [0, 0, 1, 2]]


def test_less_noise_than_the_plan_is_refused():
    assert noise_multiplier([12] * len(PAIRS), [1] * len(PAIRS)) == pytest.approx(2.0)
    site = Site().enrolled()
    assert site.vault.measure(site.measure_request(variance=11)).status == "ERR_POLICY"
    assert site.ledger.head()[0] == 0
    assert site.vault.measure(site.measure_request(variance=12)).status == "OK"


@pytest.mark.parametrize("step", [0, 3, 4, 99])
def test_measuring_at_a_step_that_is_none_is_refused(step):
    site = Site().enrolled()
    assert site.vault.measure(site.measure_request(step=step)).status == "ERR_PLAN"


@pytest.mark.parametrize("step", [0, 1, 2, 5])
def test_training_at_a_step_that_is_none_is_refused(step):
    site = Site().enrolled()
    assert site.vault.discriminate(site.discriminate_request(step=step)).status == "ERR_PLAN"


def floats(change):
    values = np.zeros(Site().parameters)
    values[3] = change
    return pack(values, "f4")


DISCRIMINATE = {
    "NaN weight": {"weights": floats(np.nan)},
    "infinite weight": {"weights": floats(np.inf)},
    "huge weight": {"weights": floats(1.1e4)},
    "short weights": {"weights": floats(0)[:-4]},
    "long weights": {"weights": floats(0) + b"\0" * 4},
    "odd bytes": {"weights": floats(0)[:-1]},
    "NaN moment": {"moments": floats(np.nan) + floats(0)},
    "huge moment": {"moments": floats(0) + floats(2e8)},
    "short moments": {"moments": floats(0)},
    "long moments": {"moments": floats(0) + floats(0) + b"\0" * 4},
    "weights of a single output": {"weights": bytes(4 * (4 * (sum(WIDTHS) + 1) + 5))},
    "too few views": {"views": pack_views(IDENTITY[:2])},
    "views in another order": {"views": pack_views(IDENTITY[::-1])},
    "coarser views without matching weights": {"views": pack_views([*IDENTITY[:2], [0, 0, 1, 1]])},
}


@pytest.mark.parametrize("case", DISCRIMINATE)
def test_malformed_discriminate_requests(case):
    site = Site().enrolled()
    reply = site.vault.discriminate(site.discriminate_request(**DISCRIMINATE[case]))
    assert reply == pb.DiscriminateReply(status="ERR_PAYLOAD")
    assert site.ledger.head()[0] == 0


def test_a_network_beyond_memory_is_refused(monkeypatch):
    monkeypatch.setattr("fedsynth_client.vault.checks.MAX_PARAMETERS", 10)
    site = Site().enrolled()
    assert site.vault.discriminate(site.discriminate_request()).status == "ERR_PAYLOAD"


def test_a_plan_without_discriminator_refuses_training():
    site = Site(plan=make_plan(discriminator=None)).enrolled()
    request = pb.DiscriminateRequest(plan_digest=site.digest, step=3)
    assert site.vault.discriminate(request).status == "ERR_PLAN"


def test_an_enrolment_must_be_this_protocol_and_a_valid_plan():
    site = Site()
    good = site.plan.to_json()
    cases = {
        (PROTOCOL_VERSION - 1, good): "ERR_VERSION",
        (PROTOCOL_VERSION + 1, good): "ERR_VERSION",
        (PROTOCOL_VERSION, good[:-1] + b',"extra":1}'): "ERR_PLAN",
        (PROTOCOL_VERSION, b"\xff"): "ERR_PLAN",
    }
    for (version, plan), code in cases.items():
        request = pb.EnrollRequest(protocol_version=version, plan_json=plan)
        assert site.vault.enroll(request) == pb.EnrollReply(status=code)


OTHER_SCHEMA = SCHEMA.model_copy(update={"name": "another"})
ADMISSION = {
    "another schema": (make_plan(table=OTHER_SCHEMA), make_policy(), "ERR_PLAN"),
    "another site": (make_plan(), make_policy(site="west"), "ERR_PLAN"),
    "not approved": (make_plan(), make_policy(approved_plans=("0" * 64,)), "ERR_PLAN"),
    "costs more than it says": (make_plan(epsilon=1.0), make_policy(), "ERR_PLAN"),
    "weaker delta": (make_plan(delta=1e-4), make_policy(), "ERR_POLICY"),
    "study limit": (make_plan(), make_policy(max_epsilon_per_study=2.0), "ERR_POLICY"),
    "less noise": (make_plan(), make_policy(min_noise_multiplier=2.1), "ERR_POLICY"),
    "higher rate": (make_plan(), make_policy(max_sampling_rate=0.2), "ERR_POLICY"),
    "more steps": (make_plan(), make_policy(max_steps=3), "ERR_POLICY"),
    "too few records": (make_plan(), make_policy(min_records=201), "ERR_RECORDS"),
}


@pytest.mark.parametrize("case", ADMISSION)
def test_plans_that_the_policy_does_not_allow(case):
    plan, policy, code = ADMISSION[case]
    site = Site(plan=plan, policy=policy)
    assert site.enroll() == code
    assert site.vault.measure(site.measure_request()).status == "ERR_PLAN"
    assert site.ledger.head()[0] == 0


def test_a_plan_that_nobody_approved_is_not_even_read(monkeypatch):
    """A few megabytes of rules take hours to check, and the vault answers one request at a time."""
    approved = make_plan()
    site = Site(policy=make_policy(approved_plans=(approved.digest,)))
    assert site.enroll() == "OK"
    monkeypatch.setattr(Plan, "from_json", lambda data: pytest.fail("was read"))
    other = pb.EnrollRequest(protocol_version=PROTOCOL_VERSION, plan_json=approved.to_json() + b" ")
    assert site.vault.enroll(other) == pb.EnrollReply(status="ERR_PLAN")


def test_an_approval_taken_back_stops_a_study_that_is_enrolled_already():
    site = Site().enrolled()
    policy = make_policy(approved_plans=("0" * 64,))
    today = Site(plan=site.plan, policy=policy, ledger=site.ledger)  # the vault started again
    assert today.vault.measure(today.measure_request()).status == "ERR_PLAN"
    assert site.ledger.head()[0] == 0


def test_a_plan_that_the_policy_allows():
    assert Site(policy=make_policy(site="north", min_records=200, max_steps=4)).enroll() == "OK"
