"""A rehearsal of a growing table: budgets by cohort, changes where they were planted, the command."""

import json

import numpy as np
import pytest
from command import fedsynth
from growing_table import FIFTH, QUARTERS, SCHEMA, growing

from fedsynth_common.errors import InputError
from fedsynth_common.schema import IdColumn, Schema
from fedsynth_release.generator import Generator
from fedsynth_release.verification.verify import verify
from fedsynth_simulations.simulate import Simulation, quick
from fedsynth_simulations.stream import numbered, stream, with_numbers

FAST = quick(Simulation(epsilon=1.0, variant="marginals", seed=1))


def steps(frames, folder, **changes):
    simulation = quick(Simulation(epsilon=1.0, variant="marginals", seed=1, **changes))
    return list(stream(frames, SCHEMA, simulation, folder))


@pytest.fixture(scope="module")
def doubled(tmp_path_factory):
    """Six cohorts; from the fifth on a drug is given twice as often."""
    folder = tmp_path_factory.mktemp("doubled")
    return folder, steps(growing(planted=FIFTH, doubled=True), folder)


def test_every_cohort_is_studied_once_and_charged_alone(doubled):
    _, found = doubled
    assert [step.cohort for step in found] == list(QUARTERS)
    last = found[-1].generator.statement
    assert [cost.cohort for cost in last.cohorts] == list(QUARTERS)
    assert all(0.98 < cost.epsilon <= 1 for cost in last.cohorts)
    assert last.epsilon_of_any_record == max(cost.epsilon for cost in last.cohorts)
    assert all(abs(step.outcome.records - 6000) < 150 for step in found)


def test_a_frequency_that_doubles_is_found_in_its_cohort_and_not_before(doubled):
    _, found = doubled
    changed = [
        [c.column for c in step.outcome.drift.changed] if step.outcome.drift else None
        for step in found
    ]
    assert changed[: FIFTH + 1] == [None, [], [], [], ["drug"]]
    assert all(not step.outcome.drift.pairs for step in found[1:])
    moved = next(c for c in found[FIFTH].outcome.drift.columns if c.column == "drug").moved
    assert moved[0].value in ("w", "x")
    x = next(m for m in moved if m.value == "x")
    assert (x.before, x.now) == pytest.approx((0.12, 0.24), abs=0.03)


def test_the_generator_follows_the_change(doubled):
    """With the half-life it lies between the old and the new share, and comes nearer."""
    _, found = doubled
    shares = [(step.generator.sample(6000, 0)["drug"] == "x").mean() for step in found[FIFTH - 1 :]]
    assert shares[0] == pytest.approx(0.12, abs=0.03)
    assert shares[0] < shares[1] < shares[2] < 0.24


def test_a_relation_that_turns_round_is_found_in_its_cohort_and_not_before(tmp_path):
    found = steps(growing(5, planted=FIFTH, turned=True), tmp_path)
    pairs = [[p.columns for p in s.outcome.drift.pairs] for s in found[1:]]
    assert pairs == [[], [], [], [("smoker", "died")]]
    for step in found[1:FIFTH]:
        assert not step.outcome.drift.changed


def test_the_papers_of_a_chain_are_consistent(doubled):
    folder, _ = doubled
    seen = verify(folder / "cohorts" / QUARTERS[-1] / "generator")
    assert seen.findings == ()
    assert "cohort 2026Q2" in seen.verdict


def test_persons_in_several_cohorts_have_a_figure_of_their_own(tmp_path):
    """Each of three cohorts is charged alone, a person in two of them for both, and no more."""
    table = Schema.model_validate(
        {
            **dict(SCHEMA),
            "columns": (*SCHEMA.columns, IdColumn(name="who")),
            "person_key": "who",
            "rows_per_person": 2,
            "cohorts": SCHEMA.cohorts.model_copy(update={"per_person": 2}),
        }
    )
    frames = growing(3, rows=1500)
    for site, frame in frames.items():
        frame["who"] = [f"{site} {k}" for k in np.random.default_rng(5).integers(0, 2500, 4500)]
    found = list(stream(frames, table, FAST, tmp_path))
    stated = [step.generator.statement for step in found]
    costs = [cost.epsilon for cost in stated[-1].cohorts]
    assert len(costs) == 3
    assert max(costs) <= 1
    assert stated[-1].epsilon_of_any_record == pytest.approx(sum(sorted(costs)[1:]), abs=1e-4)
    assert stated[0].unit == "one person's records in the cohort 2025Q1, at most 2 of them"
    assert {s.cohorts_per_person for s in stated} == {2}
    assert found[2].outcome.records < 0.9 * found[0].outcome.records  # rows beyond two cohorts
    for name in ("2025Q1", "2025Q2", "2025Q3"):
        checked = verify(tmp_path / "cohorts" / name / "generator")
        assert checked.findings == ()
    assert "any person at one site has" in " ".join(checked.lines)
    card = (tmp_path / "cohorts" / "2025Q3" / "generator" / "MODEL_CARD.md").read_text()
    assert "Records of a person are used in at most 2 cohorts" in card


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "visits.csv"
    growing(2, sites=("north",), rows=600)["north"].to_csv(path, index=False)
    return path


def test_the_command_rehearses_a_table(table, tmp_path):
    SCHEMA.model_copy(update={"cohorts": None}).save(tmp_path / "schema.json")
    run = fedsynth(
        *("simulate", table, "--schema", tmp_path / "schema.json", "--stream", "arrived"),
        *("--every", "quarter", "--sites", "2", "--epsilon", "2", "--quick"),
        *("--out", tmp_path / "out", "--json"),
    )
    assert run.returncode == 0, run.stderr
    cohorts = json.loads(run.stdout)["cohorts"]
    assert [line["cohort"] for line in cohorts] == ["2025Q1", "2025Q2"]
    assert all(line["epsilon"] <= 2 for line in cohorts)
    generator = Generator.load(tmp_path / "out" / "generator")
    assert not generator.statement.private
    assert "What changed in the cohort 2025Q2" in (tmp_path / "out" / "report.html").read_text()
    assert (tmp_path / "out" / "summary.json").stat().st_mode & 0o777 == 0o600
    again = fedsynth("study", "drift", tmp_path / "out")
    assert "cohort 2025Q2:" in again.stdout


def test_the_command_cuts_by_order(table, tmp_path):
    run = fedsynth(
        *("simulate", table, "--cohorts", "2", "--sites", "2", "--quick", "--json"),
        *("--out", tmp_path / "out"),
    )
    assert run.returncode == 0, run.stderr
    assert [c["cohort"] for c in json.loads(run.stdout)["cohorts"]] == ["0001", "0002"]
    assert Generator.load(tmp_path / "out" / "generator").schema.cohorts.every == "year"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--stream", "arrived"), "every"),
        (("--stream", "nowhere", "--every", "year"), "no such column"),
        (("--every", "year"), "--every: goes with --stream"),
        (("--cohorts", "2", "--stream", "arrived"), "--cohorts: cuts by the order"),
        (("--cohorts", "2", "--holdout", "0.2"), "--holdout: cannot be used"),
        (("--cohorts", "2", "--trust", "secure-sum"), "--trust secure-sum: cannot be used"),
        (("--cohorts", "900"), "--cohorts 900: expected from 2"),
    ],
)
def test_options_that_do_not_go_together(table, tmp_path, options, fault):
    run = fedsynth("simulate", table, "--out", tmp_path / "out", "--quick", *options)
    assert run.returncode == 2, run.stderr
    assert fault in run.stderr
    assert not (tmp_path / "out").exists()


def test_a_cohort_without_records_at_a_site_is_named(tmp_path):
    frames = growing(2)
    frames["south"] = frames["south"][frames["south"]["arrived"] < "2025-04"]
    with pytest.raises(InputError, match="cohort 2025Q2: site south has no records"):
        list(stream(frames, SCHEMA, FAST, tmp_path))


def test_cohorts_by_order_have_equal_sizes():
    frame = growing(1, sites=("north",), rows=10)["north"]
    marked = numbered(frame, 3)
    schema = with_numbers(SCHEMA.model_copy(update={"cohorts": None}))
    assert (
        marked[schema.cohorts.column].str[:4].tolist() == ["0001"] * 4 + ["0002"] * 3 + ["0003"] * 3
    )
