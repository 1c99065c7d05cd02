"""`fedsynth site cohorts` and `site check` on a table whose charged cohort changes."""

import json

import pytest
from cohort_site import SCHEMA, CohortSite, plan_of, set_clock, table
from command import fedsynth

from fedsynth_client.budget.ledger import Ledger


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A site's folder with a table in three quarters, of which the first was charged."""
    table().to_csv(tmp_path / "t.csv", index=False)
    SCHEMA.save(tmp_path / "schema.json")
    options = [f"--data={tmp_path}/t.csv", f"--schema={tmp_path}/schema.json", "--dataset=people"]
    made = fedsynth("site", "init", tmp_path / "s", *options, "--site=north", "--max-epsilon=2.3")
    assert made.returncode == 0, made.stderr
    rules = tmp_path / "s" / "policy.toml"
    text = rules.read_text()
    assert "# max_epsilon_per_cohort = 0.5" in text
    rules.write_text(text.replace("# max_epsilon_per_cohort = 0.5", "max_epsilon_per_cohort = 1.6"))
    set_clock(monkeypatch, "2026-11-01")
    ledger = Ledger(tmp_path / "s" / "ledger.db", "people")
    assert CohortSite(ledger=ledger).run(plan_of("first", "2026Q1")) == "OK"
    ledger.close()
    return tmp_path


def run(site, command, *arguments):
    return fedsynth("site", command, *arguments, "--config", site / "s" / "site.toml")


def test_the_steward_sees_what_each_cohort_has_spent(site):
    shown = run(site, "cohorts", "--json")
    assert shown.returncode == 0, shown.stderr
    cohorts = json.loads(shown.stdout)
    assert cohorts["2026Q1"]["studies"] == ["first"]
    assert cohorts["2026Q1"]["left"] == pytest.approx(1.6 - cohorts["2026Q1"]["spent"])
    assert cohorts["all others"]["spent"] == 0
    assert json.loads(run(site, "status", "--json").stdout)["cohorts"] == cohorts
    assert "cohort 2026Q1" in run(site, "status").stdout
    assert "2026Q1" in run(site, "cohorts").stdout


def test_a_changed_cohort_is_found_and_sealed_anew(site):
    assert run(site, "check").returncode == 0
    frame = table()
    frame.iloc[1:].to_csv(site / "t.csv", index=False)  # the first record is of the first quarter
    checked = run(site, "check")
    assert checked.returncode == 1
    assert "cohort 2026Q1 ('arrived'): has changed since it was charged" in checked.stderr
    wrong = run(site, "cohorts", "--accept", "2026Q2", "--yes")
    assert wrong.returncode != 0
    assert "2026Q1" in wrong.stderr
    accepted = run(site, "cohorts", "--accept", "2026Q1", "--yes")
    assert accepted.returncode == 0, accepted.stderr
    assert "sealed anew: 2026Q1; what was charged stays charged" in accepted.stdout
    assert run(site, "check").returncode == 0
    again = run(site, "cohorts", "--accept", "2026Q1", "--yes")
    assert "unchanged: nothing to seal" in again.stdout


def test_a_table_without_the_column_is_named(site):
    table().drop(columns="arrived").to_csv(site / "t.csv", index=False)
    checked = run(site, "check")
    assert checked.returncode == 1
    assert (
        "column 'arrived': cuts the table into cohorts, but is not in the table" in checked.stderr
    )
