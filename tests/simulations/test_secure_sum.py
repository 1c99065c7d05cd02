"""A simulated study whose sites add up under masks: real vaults, real protocol, in this process."""

import json
import math
from dataclasses import replace

import pandas as pd
import pytest
from small_study import SCHEMA, SETTINGS, make_frames

from fedsynth_common.errors import InputError
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.secure_noise import alone, made_variance
from fedsynth_common.promise.plain_words import figure
from fedsynth_release.report.page import render
from fedsynth_release.statement.promised import promise_of
from fedsynth_release.verification.statement_findings import statement_findings
from fedsynth_release.verification.verify import verify
from fedsynth_server.study.planning import Rounds
from fedsynth_simulations.simulate import Simulation, simulate, simulation_plan

SECURE = Simulation(epsilon=3.0, settings=SETTINGS, trust="secure-sum", records_per_site=400)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secure")
    return simulate(make_frames(), SCHEMA, SECURE, folder), folder


def test_a_secure_study_comes_to_its_end_and_verifies(result):
    made, folder = result
    assert made.plan.trust == "secure-sum"
    assert made.outcome.notes == []
    audit = verify(folder / "generator")
    assert audit.findings == ()
    assert "if all other sites work together against one" in audit.verdict
    assert made.outcome.records == pytest.approx(1200, rel=0.15)


def test_receipts_say_of_how_many_shares_the_noise_is(result):
    made, _ = result
    for site in made.generator.statement.sites:
        events = json.loads(bytes.fromhex(site.receipt))["events"]
        assert {event["shares"] for event in events} == {2}
        assert all(event["scale"] ** 2 >= made_variance(1, 2) for event in events)
        assert site.epsilon <= 3.0
        planned = alone(made.plan.planned_events())
        assert site.epsilon < site.epsilon_if_all_others_work_together
        assert site.epsilon_if_all_others_work_together <= epsilon(planned, made.plan.delta)


def test_the_measured_pairs_are_those_of_all_records(result):
    made, _ = result
    everything = pd.concat(make_frames().values())
    synthetic = made.generator.sample(2000, 0)
    for column in ("ward", "outcome"):
        real, drawn = (t[column].value_counts(normalize=True) for t in (everything, synthetic))
        assert drawn[real.index].to_numpy() == pytest.approx(real.to_numpy(), abs=0.15)


def test_a_study_with_site_marginals_verifies_and_says_so(tmp_path):
    simulation = replace(SECURE, site_marginals=True)
    made = simulate(make_frames(), SCHEMA, simulation, tmp_path)
    assert made.outcome.notes == []
    assert verify(tmp_path / "generator").findings == ()
    statement = made.generator.statement
    assert "each site answers for its own marginals" in statement.trust
    for site in statement.sites:
        assert {event.get("shares", 1) for event in site.events} == {1, 2}
        assert site.epsilon <= 3.0
        assert [summed.step for summed in site.sums] == [1, 2]
    assert statement.epsilon_if_people_may_be_at_every_site < math.inf


def test_a_study_with_summed_gradients_verifies_and_says_so(tmp_path):
    simulation = replace(SECURE, variant="both", rounds=Rounds(messages=3, sampling_rate=0.25))
    made = simulate(make_frames(), SCHEMA, simulation, tmp_path)
    assert made.outcome.notes == []
    assert verify(tmp_path / "generator").findings == ()
    statement = made.generator.statement
    assert "sums over the sites of clipped gradients" in statement.charged[-1]
    assert "rounded to whole units" in statement.numerics
    training = statement.mechanisms[-1]
    assert (training.shares, training.sgd_steps) == (2, 3)
    for site in statement.sites:
        assert site.events[-1]["kind"] == "dp-sgd"
        assert {event["shares"] for event in site.events} == {2}
        assert [summed.step for summed in site.sums] == [1, 2, 3, 4, 5]
        assert site.epsilon <= 3.0 < site.epsilon_if_all_others_work_together
    milder = statement.model_copy(update={"numerics": "exact"})
    assert any(f.field == "numerics" for f in statement_findings(milder, statement))


def test_two_sites_are_refused_before_anything_runs():
    two = dict(list(make_frames().items())[:2])
    with pytest.raises(InputError, match="takes 3 or more"):
        simulation_plan(two, SCHEMA, SECURE)
    both = Simulation(trust="secure-sum", variant="gan", settings=SETTINGS, site_marginals=True)
    with pytest.raises(InputError, match="go with marginals of pairs"):
        simulation_plan(make_frames(), SCHEMA, both)


def test_the_report_shows_both_epsilon(result):
    made, folder = result
    statement = made.generator.statement
    page = render(folder / "generator")
    lone = statement.epsilon_if_all_others_work_together
    held = promise_of(statement.model_copy(update={"private": True, "caveats": ()}))
    words = "If all other sites work together against one site, the privacy loss there is"
    assert f"{words} {figure(lone)}." in held.sentences
    assert "ε if all others work together</th>" in page
    assert page.count(f"{lone:.4f}</td>") >= len(statement.sites)
    assert "epsilon_if_all" not in page.split("<h3>What this ε means")[0]
    assert "under masks" in page
