"""`fedsynth site drift`: what changed in the site's own table, for its own eyes; nothing is charged."""

import json
import stat

import pytest
from command import fedsynth
from growing_table import FIFTH, SCHEMA, growing


@pytest.fixture
def site(tmp_path):
    frame = growing(FIFTH + 1, planted=FIFTH, rows=1500, doubled=True)["north"]
    frame.to_csv(tmp_path / "t.csv", index=False)
    SCHEMA.save(tmp_path / "schema.json")
    options = [f"--data={tmp_path}/t.csv", f"--schema={tmp_path}/schema.json", "--dataset=people"]
    made = fedsynth("site", "init", tmp_path / "s", *options, "--site=north", "--max-epsilon=2")
    assert made.returncode == 0, made.stderr
    return tmp_path


def drift(site, *arguments):
    return fedsynth("site", "drift", "--config", site / "s" / "site.toml", *arguments)


def test_the_newest_cohort_is_compared_and_nothing_is_charged(site):
    before = {p.name: p.read_bytes() for p in (site / "s").iterdir() if p.is_file()}
    done = drift(site, "--out", site / "drift.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cohort 2026Q1: 1 column" in done.stdout
    assert "x: 12.0% -> 23.9%" in done.stdout
    assert "2025Q1, 2025Q2, 2025Q3, 2025Q4" in done.stdout
    assert "Internal, never send" in done.stdout
    assert stat.S_IMODE((site / "drift.json").stat().st_mode) == 0o600
    assert "never send" in json.loads((site / "drift.json").read_text())["notice"]
    assert before == {p.name: p.read_bytes() for p in (site / "s").iterdir() if p.is_file()}
    assert drift(site, "--out", site / "drift.json").returncode == 2


def test_cohorts_that_are_named_are_compared_as_json(site):
    done = drift(site, "--cohort", "2025Q4", "--against", "2025Q1..2025Q2", "--json")
    found = json.loads(done.stdout)
    assert (found["cohort"], found["earlier"]) == ("2025Q4", ["2025Q1..2025Q2"])
    assert not any(column["changed"] for column in found["columns"])
    assert "never send" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--cohort", "2025Q1"], "before 2025Q1"),
        (["--cohort", "2027Q1"], "2027Q1"),
        (["--cohort", "2025Q2", "--against", "..2025Q2"], "shares records"),
        (["--against", "2025-01"], "expected a name such as"),
    ],
)
def test_cohorts_that_cannot_be_compared_are_named(site, arguments, fault):
    done = drift(site, *arguments)
    assert done.returncode == 2
    assert fault in done.stderr
