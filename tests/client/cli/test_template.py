"""`fedsynth site template`: what it permits is said, written into the policy, and then runs."""

import pytest
from cohort_site import SCHEMA, CohortSite, plan_of, set_clock, table
from command import fedsynth

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.policy import Policy, Template

FIRST = plan_of("first", "2026Q1")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A site that has approved and served a plan of the first quarter, by commands."""
    quarters = ("2026-02-01", "2026-05-01", "2026-08-01", "2026-11-01")
    table(quarters, 800).to_csv(tmp_path / "t.csv", index=False)
    SCHEMA.save(tmp_path / "schema.json")
    options = [f"--data={tmp_path}/t.csv", f"--schema={tmp_path}/schema.json", "--dataset=people"]
    made = fedsynth("site", "init", tmp_path / "s", *options, "--site=north", "--max-epsilon=20")
    assert made.returncode == 0, made.stderr
    rules = tmp_path / "s" / "policy.toml"
    text = rules.read_text()
    rules.write_text(text.replace("# max_epsilon_per_cohort = 0.5", "max_epsilon_per_cohort = 1.6"))
    set_clock(monkeypatch, "2027-02-01")
    (tmp_path / "plan.json").write_bytes(FIRST.to_json())
    return tmp_path


def run(site, command, *arguments):
    place = (site / "plan.json", "--config", site / "s" / "site.toml", "--yes")
    return fedsynth("site", command, *place, *arguments)


def vault(site):
    """The site's vault on its own policy and ledger."""
    policy = Policy.load(site / "s" / "policy.toml")
    limits = policy.model_dump(exclude={"dataset", "site"}, exclude_none=True)
    limits["templates"] = policy.templates
    ledger = Ledger(site / "s" / "ledger.db", "people")
    frame = table(("2026-02-01", "2026-05-01", "2026-08-01", "2026-11-01"), 800)
    return CohortSite(frame, ledger=ledger, **limits)


def test_a_template_says_what_it_permits_and_then_permits_it(site):
    assert run(site, "approve").returncode == 0
    made = vault(site)
    assert made.run(FIRST) == "OK"
    assert made.run(plan_of("second", "2026Q2")) == "ERR_PLAN"
    made.ledger.close()
    done = run(site, "template", "--until", "2026Q3")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "once for each of 2 later cohorts: 2026Q2, 2026Q3." in said
    assert "of 1.6 that max_epsilon_per_cohort allows" in said
    assert "One that was missed can be made up later, once." in said
    assert "in 3 of these cohorts, the plan's own included, is charged at most 3 times that" in said
    rules = (site / "s" / "policy.toml").read_text()
    assert f'templates = [{{plan = "{FIRST.digest}", until = "2026Q3"}}]' in rules
    assert "# max_steps = 20000" in rules  # comments are kept
    made = vault(site)
    try:
        assert made.run(plan_of("third", "2026Q3")) == "OK"
        assert made.run(plan_of("made-up", "2026Q2")) == "OK"  # the quarter that was missed
        assert made.run(plan_of("again", "2026Q2")) == "ERR_PLAN"  # and only once
        assert made.run(plan_of("fourth", "2026Q4")) == "ERR_PLAN"
    finally:
        made.ledger.close()


def test_cohorts_that_were_charged_are_named_and_a_repeated_command_changes_nothing(site):
    assert run(site, "approve").returncode == 0
    made = vault(site)
    other = plan_of("other", "2026Q2", noise=30.0)
    made.policy = made.policy.model_copy(update={"approved_plans": (FIRST.digest, other.digest)})
    assert made.run(other) == "OK"
    made.ledger.close()
    done = run(site, "template", "--until", "2026Q3")
    said = " ".join(done.stdout.split())
    assert "once for each of 1 later cohorts: 2026Q3." in said
    assert "Not for 2026Q2: other studies were charged to records there." in said
    assert "takes effect once the plan's own study has started here" in said
    again = run(site, "template", "--until", "2026Q3")
    assert "allowed before" in again.stdout
    assert len(Policy.load(site / "s" / "policy.toml").templates) == 1


@pytest.mark.parametrize("until", ["2026Q1", "2025Q4", "2026Q2..2026Q3", "2027-03", "2999Q4"])
def test_what_is_no_later_cohort_is_refused(site, until):
    assert run(site, "approve").returncode == 0
    done = run(site, "template", "--until", until)
    assert done.returncode == 2
    assert until in done.stderr
    assert not Policy.load(site / "s" / "policy.toml").templates


def test_a_plan_that_nobody_approved_gets_no_template(site):
    done = run(site, "template", "--until", "2026Q3")
    assert done.returncode == 2
    assert "was not approved here" in done.stderr


def test_a_policy_that_is_written_in_another_way_keeps_its_templates(site):
    assert run(site, "approve").returncode == 0
    rules = site / "s" / "policy.toml"
    old = Template(plan="0" * 64, until="2026Q2")
    rules.write_text(
        rules.read_text() + f'\n[[templates]]\nplan = "{old.plan}"\nuntil = "2026Q2"\n'
    )
    before = rules.read_text()
    done = run(site, "template", "--until", "2026Q3")
    assert done.returncode == 2
    assert "by hand" in done.stderr
    assert FIRST.digest in done.stderr
    assert rules.read_text() == before
