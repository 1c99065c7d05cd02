"""A study with a screening: it finds what pairs do not show, and is charged what its plan says."""

import numpy as np
import pandas as pd
import pytest

from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.schema import CategoricalColumn, Schema
from fedsynth_release.statement.receipt_evidence import evidence_of
from fedsynth_server.aggregation.three_way import Division
from fedsynth_server.messages.journal import Journal
from fedsynth_server.progress import StudyProgress
from fedsynth_server.study import beyond_pairs
from fedsynth_server.study.export import export, privacy_statement
from fedsynth_server.study.planning import make_plan
from fedsynth_server.study.roster import make_secure_sum
from fedsynth_server.study.study import Study
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_simulations.federation import in_process, new_keys, public_hex

SITES, DELTA = ("north", "south", "west"), 1e-5
SETTINGS = TrainingSettings(latents=256, fit_steps=400)
COLUMNS = ("a", "b", "c", "d", "e", "f")
SCHEMA = Schema(
    name="signs",
    columns=tuple(CategoricalColumn(name=name, categories=("0", "1")) for name in COLUMNS),
)


def frames(exclusive=True):
    rng = np.random.default_rng(0)
    found = {}
    for site in SITES:
        codes = rng.integers(0, 2, (2000, len(COLUMNS)))
        if exclusive:
            codes[:, 2] = codes[:, 0] ^ codes[:, 1]
        found[site] = pd.DataFrame(codes.astype(str), columns=COLUMNS)
    return found


def plan_of(keys=None, variant="three-way"):
    secure = (
        make_secure_sum(SITES, {site: public_hex(key) for site, key in keys.items()})
        if keys
        else None
    )
    return make_plan(
        study="signs",
        table=SCHEMA,
        sites=SITES,
        records_per_site=2000,
        epsilon=3.0,
        delta=DELTA,
        variant=variant,
        secure_sum=secure,
    )


def run(plan, keys, tables=None, journal=None):
    grid = in_process(tables or frames(), plan, 1, keys)
    return Study(plan, SETTINGS, grid, StudyProgress(), journal=journal).run()


def agreement(plan, result, folder):
    rows = export(plan, result, folder).sample(4000, 0)
    one = rows[list("abc")] == "1"
    return float((one["c"] == one["a"] ^ one["b"]).mean())


@pytest.mark.parametrize("trust", ["local", "secure-sum"])
def test_what_no_pair_shows_is_in_the_rows(trust, tmp_path):
    keys = new_keys(SITES)
    plan = plan_of(keys if trust == "secure-sum" else None)
    result = run(plan, keys)
    assert any("of 20 triples of columns" in note for note in result.notes)
    assert agreement(plan, result, tmp_path / "out") > 0.9


def test_a_vault_takes_triples_that_leave_columns_out(monkeypatch, tmp_path):
    """It refuses views that no marginal uses, so only those of the chosen columns are sent."""
    only = Division([(0, 1, 2)], 0.5)
    monkeypatch.setattr(beyond_pairs, "best_division", lambda *facts: only)
    plan, keys = plan_of(), new_keys(SITES)
    assert agreement(plan, run(plan, keys), tmp_path / "out") > 0.9


def test_pairs_alone_do_not_show_it(tmp_path):
    plan = plan_of(variant="marginals")
    assert agreement(plan, run(plan, new_keys(SITES)), tmp_path / "out") < 0.6


@pytest.mark.parametrize("exclusive", [True, False])
def test_every_site_is_charged_the_same_whatever_is_found(exclusive):
    """The choice follows from released counts, so records cannot move what is charged."""
    plan = plan_of()
    result = run(plan, new_keys(SITES), frames(exclusive))
    statement = privacy_statement(plan, result)
    assert {site.status for site in statement.sites} == {"complete"}
    for site in statement.sites:
        assert evidence_of(site, plan).faults == ()
        assert [event["kind"] for event in site.events] == ["counts"] * 4
    assert statement.epsilon_if_people_are_at_one_site_only == pytest.approx(
        epsilon(plan.planned_events(), DELTA), abs=0.05
    )


def test_nothing_found_measures_pairs_again():
    result = run(plan_of(), new_keys(SITES), frames(exclusive=False))
    note = next(note for note in result.notes if note.startswith("screening:"))
    if "measured again" in note:
        again = [m for m in result.measured if len(m.columns) == 2]
        once = [
            m
            for m in run(plan_of(variant="marginals"), new_keys(SITES)).measured
            if len(m.columns) == 2
        ]
        assert max(m.variance for m in again) < 1.3 * max(m.variance for m in once)
    else:
        assert "say more than their pairs" in note


def test_a_resumed_study_asks_nothing_twice(tmp_path):
    plan, keys = plan_of(), new_keys(SITES)
    grid = in_process(frames(), plan, 1, keys)

    def once():
        journal = Journal(tmp_path / "journal", plan, "settings")
        return Study(plan, SETTINGS, grid, StudyProgress(), journal=journal).run()

    first, second = once(), once()
    assert first.receipts == second.receipts
    assert (first.network.logits == second.network.logits).all()
