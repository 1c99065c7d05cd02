"""A study that listens first: it goes on training, or it counts pairs of columns once more."""

from dataclasses import replace

import numpy as np
import pytest
from small_study import DELTA, SCHEMA, SETTINGS, SITES, make_frames, run_seeded

from fedsynth_common.errors import InputError
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.protocol.plan import MeasureStep
from fedsynth_common.schema import domains
from fedsynth_release.statement.receipt_evidence import evidence_of
from fedsynth_server.aggregation.marginal_queries import histogram_queries
from fedsynth_server.aggregation.second_measurement import combined
from fedsynth_server.messages.journal import Journal
from fedsynth_server.progress import StudyProgress
from fedsynth_server.study.export import privacy_statement
from fedsynth_server.study.planning import Rounds, make_plan
from fedsynth_server.study.roster import make_secure_sum
from fedsynth_server.study.study import Study
from fedsynth_server.training import rounds
from fedsynth_simulations.federation import in_process, new_keys, public_hex

CALLS = Rounds(messages=4, steps_per_message=3)
MORE, AGAIN = "training goes on", "measured again"


def plan_of(variant="listen", **changes):
    fields = {"study": "study", "table": SCHEMA, "sites": SITES, "records_per_site": 500}
    fields |= {"epsilon": 3.0, "delta": DELTA, "variant": variant, "rounds": CALLS}
    return make_plan(**(fields | changes))


def hear(monkeypatch, anything: bool):
    monkeypatch.setattr(rounds, "HEARD", 0.0 if anything else np.inf)


def spent(result, site=0):
    """Purposes of what a site was charged, as its receipt says, and its line in the statement."""
    statement = privacy_statement(plan_of(), result)
    assert evidence_of(statement.sites[site], plan_of()).faults == ()
    return [event["kind"] for event in statement.sites[site].events], statement


@pytest.mark.parametrize(("anything", "note"), [(True, MORE), (False, AGAIN)])
def test_a_study_takes_the_branch_that_it_heard(monkeypatch, anything, note):
    hear(monkeypatch, anything)
    result = run_seeded(plan_of())
    assert [note in line for line in result.notes if line.startswith("listening:")] == [True]
    kinds, statement = spent(result)
    assert kinds == ["counts", "counts", "dp-sgd", "either"]
    assert {site.status for site in statement.sites} == {"complete"}
    assert 2.7 < statement.epsilon_if_people_are_at_one_site_only <= 3.0
    assert statement.sites[0].events[2]["steps"] == 3
    counts = statement.sites[0].events[3]["counts"]["kind"]
    assert counts == ("gaussian" if anything else "counts")


def test_nothing_heard_leaves_the_generator_that_both_measurements_give(monkeypatch):
    hear(monkeypatch, anything=False)
    heard_nothing = run_seeded(plan_of())
    pairs = [m for m in heard_nothing.measured if len(m.columns) == 2]
    alone = [m for m in run_seeded(plan_of("marginals")).measured if len(m.columns) == 2]
    assert len(pairs) == len(alone) == 6
    assert heard_nothing.marginal_losses[1] <= heard_nothing.marginal_losses[0] * 1.5


def test_the_choice_of_a_study_stays_when_it_is_resumed(monkeypatch, tmp_path):
    """The sites were charged for a branch: rounding, or another threshold, must not change it."""
    plan = plan_of()
    grid = in_process(make_frames(), plan, 1, new_keys(SITES))

    def run():
        journal = Journal(tmp_path / "journal", plan, "settings")
        return Study(plan, SETTINGS, grid, StudyProgress(), journal=journal).run()

    hear(monkeypatch, anything=False)
    first = run()
    hear(monkeypatch, anything=True)
    second = run()
    assert sum(AGAIN in line for line in [*first.notes, *second.notes]) == 2
    for name, value in first.network.state_dict().items():
        assert (value == second.network.state_dict()[name]).all()


def test_a_plan_that_listens_costs_what_it_says_and_splits_as_both():
    plan, both = plan_of(), plan_of("both")
    assert 0.992 * 3.0 <= epsilon(plan.planned_events(), DELTA) <= 0.995 * 3.0
    assert plan.listening.messages == 1
    assert plan.discriminator.messages == 4
    noise = [m.noise_multiplier for m in plan.measure]
    assert noise == pytest.approx([m.noise_multiplier for m in both.measure], rel=2e-3)
    assert plan.format_version == 4
    assert plan.listening.otherwise.step == plan.chosen_steps[-1]


def test_where_nothing_can_be_listened_to():
    with pytest.raises(InputError, match="at least two messages"):
        plan_of(rounds=Rounds(messages=1))
    keys = {site: public_hex(key) for site, key in new_keys(SITES).items()}
    with pytest.raises(InputError, match="local noise only"):
        plan_of(secure_sum=make_secure_sum(SITES, keys), rounds=None)


def test_two_measurements_are_weighted_by_the_variances_of_their_noise():
    rng, truth = np.random.default_rng(0), [np.full((400,), 100.0)]
    queries = histogram_queries(
        domains(SCHEMA), MeasureStep(step=1, purpose="histograms", noise_multiplier=1.0), 1
    )
    first, second = (replace(queries, variance=variance) for variance in (100, 400))
    answers = [
        {site: [t + rng.normal(0, variance**0.5, t.shape) for t in truth] for site in sites}
        for variance, sites in ((100, ("a", "b")), (400, ("a", "c")))
    ]
    asked, counts = combined((first, answers[0]), (second, answers[1]))
    assert list(counts) == ["a", "b", "c"]
    assert asked.variance == round((80 + 100 + 400) / 3)
    found = {site: float(np.var(tables[0] - truth[0])) for site, tables in counts.items()}
    for site, variance in {"a": 80, "b": 100, "c": 400}.items():
        assert found[site] == pytest.approx(variance, rel=0.25)


def test_listening_takes_part_in_a_whole_study_at_its_real_threshold():
    """Four small columns hold nothing beyond pairs, and 400 records are too few to hear anything."""
    result = run_seeded(plan_of())
    assert sum(line.startswith("listening:") for line in result.notes) == 1
