"""Templates: what repeats an approved plan for a free cohort runs without a person, and nothing else."""

import pytest
from cohort_site import STEP, CohortSite, plan_of, set_clock, table

from fedsynth_client.budget.policy import Template

pytestmark = pytest.mark.privacy
FIRST = plan_of("first", "2026Q1")


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    set_clock(monkeypatch, "2027-02-01")


def site(**limits):
    """A site whose steward has approved one plan, which has run, and its repetition until 2026Q3."""
    quarters = ("2025-11-01", "2026-02-01", "2026-05-01", "2026-08-01", "2026-11-01")
    allowed = {
        "approved_plans": (FIRST.digest,),
        "templates": (Template(plan=FIRST.digest, until="2026Q3"),),
        "max_epsilon": 20.0,
        "max_epsilon_per_cohort": 20.0,
    }
    made = CohortSite(table(quarters, 1000), **(allowed | limits))
    assert made.run(FIRST) == "OK"
    return made


def test_each_later_cohort_runs_once_without_a_person():
    made = site()
    assert made.run(plan_of("third", "2026Q3")) == "OK"
    assert made.run(plan_of("second", "2026Q2")) == "OK"  # a quarter that was missed is made up
    for study, cohort in (("again", "2026Q2"), ("more", "2026Q3"), ("other", "2026Q1")):
        assert made.run(plan_of(study, cohort)) == "ERR_PLAN"


@pytest.mark.parametrize(
    "plan",
    [
        plan_of("later", "2026Q4"),
        plan_of("earlier", "2025Q4"),
        plan_of("range", "2026Q2..2026Q3"),
        plan_of("all"),
        plan_of("less-noise", "2026Q2", noise=2.9),
        plan_of("second", "2026Q2").model_copy(update={"epsilon": 9.5}),
        plan_of("second", "2026Q2").model_copy(update={"sites": ("north",)}),
        plan_of("second", "2026Q2").model_copy(update={"records_per_site": 100}),
        plan_of("second", "2026Q2").model_copy(
            update={"measure": (STEP, STEP.model_copy(update={"step": 2}))}
        ),
    ],
    ids=lambda plan: f"{plan.study} {plan.cohort}",
)
def test_whatever_does_not_fit_asks(plan):
    assert site().run(plan) == "ERR_PLAN"


def test_a_cohort_that_a_study_of_all_records_has_charged_is_not_free():
    made = site(approved_plans=(FIRST.digest, plan_of("all", noise=30.0).digest))
    assert made.run(plan_of("all", noise=30.0)) == "OK"
    assert made.run(plan_of("second", "2026Q2")) == "ERR_PLAN"


def test_a_template_of_a_plan_that_never_came_here_allows_nothing():
    made = site(templates=(Template(plan="0" * 64, until="2026Q3"),))
    assert made.run(plan_of("second", "2026Q2")) == "ERR_PLAN"


def test_the_caps_hold_for_repetitions_too():
    made = site(max_epsilon_per_study=1.3)
    assert made.run(plan_of("second", "2026Q2")) == "OK"
    lower = CohortSite(
        made.frame,
        ledger=made.ledger,
        approved_plans=(FIRST.digest,),
        templates=made.policy.templates,
        max_epsilon_per_cohort=0.5,
    )
    assert lower.run(plan_of("third", "2026Q3")) == "ERR_BUDGET"


def test_a_template_that_is_taken_away_stops_its_study():
    made = site()
    running = made.served(plan_of("second", "2026Q2"))
    assert running.enroll() == "OK"
    without = CohortSite(made.frame, ledger=made.ledger, approved_plans=(FIRST.digest,))
    assert CohortSite.measure(without.served(running.plan)).status == "ERR_PLAN"
    assert CohortSite.measure(running).status == "OK"


def test_a_template_is_not_repeated_once_its_ledger_was_restored():
    """The ledger may have forgotten which cohorts were served since its backup."""
    made = site()
    made.ledger.close_study(FIRST)
    assert made.run(plan_of("second", "2026Q2")) == "ERR_PLAN"
