"""What is said before a study starts: the method, why, and about how long."""

import json

import pytest
from command import fedsynth
from small_histories import HISTORIES
from small_study import SCHEMA, make_small_plan

from fedsynth_common.schema import layout_of
from fedsynth_server.histories.history_duration import likely_history_steps, likely_history_widths
from fedsynth_server.histories.history_fit import HISTORY_STEPS
from fedsynth_server.study.method import (
    coordinator_lines,
    duration_of,
    method_of,
    reason,
    simulation_lines,
)
from fedsynth_server.study.planning import make_plan
from fedsynth_server.study.roster import make_secure_sum
from fedsynth_server.training.duration import (
    Duration,
    estimated,
    fit_steps,
    likely_widths,
)
from fedsynth_server.training.rounds import in_rounds
from fedsynth_server.training.settings import TrainingSettings

SETTINGS = TrainingSettings().quick()


@pytest.mark.parametrize("variant", ["both", "marginals", "three-way", "gan"])
def test_the_method_is_the_plans(variant):
    assert method_of(make_small_plan(variant)) == variant


def test_the_reason_says_whether_triples_can_be_told_from_noise():
    few = make_small_plan("marginals")
    assert "auto takes marginals" in reason(few)
    assert "cannot be told from noise" in reason(few)
    many = few.model_copy(update={"records_per_site": 1_000_000})
    assert "auto takes three-way" in reason(many)
    assert "about 1,000,000 records a site" in reason(many)


def test_the_reason_is_that_of_the_plan_where_sites_answer_for_themselves():
    sites = ("a", "b", "c")
    keys = {site: f"{k}" * 64 for k, site in enumerate(sites)}
    fields = {"study": "s", "table": SCHEMA, "sites": sites, "records_per_site": 1_000_000}
    fields |= {"epsilon": 3.0, "delta": 1e-5, "secure_sum": make_secure_sum(sites, keys)}
    plan = make_plan(**fields, site_marginals=True)
    assert method_of(plan) == "marginals"
    assert "auto takes marginals" in reason(plan)
    assert "auto takes three-way" in reason(make_plan(**fields))


def test_sites_of_a_simulation_compute_here_and_others_elsewhere():
    plan, duration = make_small_plan("both"), Duration(fit=60.0, rounds=600.0, site=300.0)
    sites = len(plan.sites)
    here = "\n".join(simulation_lines(plan, duration))
    assert f"about {(660 + 300 * sites) // 60} minutes on this computer" in here
    assert f"of which about {(600 + 300 * sites) // 60} minutes for the discriminators" in here
    there = "\n".join(coordinator_lines(plan, duration))
    assert "about 11 minutes at the coordinator and about 5 minutes at each site" in there
    assert "factor of two" in here
    assert "factor of two" in there


def test_an_estimate_counts_what_a_plan_repeats():
    both = make_small_plan("both")
    assert estimated(make_small_plan("marginals"), SETTINGS).rounds == 0.0
    found = estimated(both, SETTINGS)
    assert min(found.fit, found.rounds, found.site) > 0
    longer = both.discriminator.model_copy(update={"messages": 50 * both.discriminator.messages})
    assert estimated(both.model_copy(update={"discriminator": longer}), SETTINGS).site > found.site


def test_a_fit_to_noisier_pairs_is_shorter_and_none_is_longer_than_allowed():
    plan, settings = make_small_plan("marginals"), TrainingSettings()
    steps = [
        fit_steps(plan.model_copy(update={"records_per_site": n}), settings)
        for n in (10, 1000, 100_000_000)
    ]
    assert steps == sorted(steps)
    assert steps[0] < steps[1]
    assert steps[2] == settings.fit_steps


def test_every_modelled_column_has_codes():
    assert len(likely_widths(make_small_plan("both"))) == len(SCHEMA.modelled)


def test_init_and_explain_say_method_and_time(tmp_path):
    SCHEMA.save(tmp_path / "schema.json")
    options = ["--site", "a", "--site", "b", "--records-per-site", "100"]
    done = fedsynth("study", "init", tmp_path / "s", "--schema", tmp_path / "schema.json", *options)
    assert done.returncode == 0, done.stderr
    assert "auto takes marginals: with ε 1 and about" in done.stdout
    told = fedsynth("study", "explain", tmp_path / "s" / "plan.json", "--json")
    found = json.loads(told.stdout)
    assert found["method"] == "marginals"
    assert set(found["seconds"]) == {"coordinator", "site"}


def plan_of_histories(variant="auto"):
    return make_plan(
        study="visits",
        table=HISTORIES,
        sites=("a", "b"),
        records_per_site=500,
        epsilon=1.0,
        delta=1e-5,
        variant=variant,
    )


def test_histories_have_a_method_and_an_estimate_of_their_own():
    plan = plan_of_histories()
    duration = duration_of(plan, SETTINGS)
    assert min(duration.fit, duration.site) > 0
    assert duration.rounds == 0.0
    assert likely_history_steps(plan, SETTINGS) == SETTINGS.fit_steps
    assert likely_history_steps(plan, TrainingSettings()) < HISTORY_STEPS
    assert likely_history_steps(plan, TrainingSettings(enough_of_histories=0)) == HISTORY_STEPS
    assert len(likely_history_widths(plan)) == len(layout_of(HISTORIES).columns)
    for said in (simulation_lines(plan, duration), coordinator_lines(plan, duration)):
        text = "\n".join(said)
        assert "from one event to later ones" in text
        assert "ones, and discriminators" not in text
        assert "auto takes marginals for histories" in text
        assert "on this computer" in text or "at each site" in text


def test_the_estimate_of_histories_counts_the_messages_of_the_discriminators():
    plan = plan_of_histories("both")
    found, training = duration_of(plan, SETTINGS), plan.discriminator
    assert found.rounds > 0
    assert found.site > duration_of(plan_of_histories(), SETTINGS).site
    longer = training.model_copy(update={"messages": 20 * training.messages})
    more = duration_of(plan.model_copy(update={"discriminator": longer}), SETTINGS)
    assert more.site > 5 * found.site
    assert "later ones, and discriminators" in "\n".join(coordinator_lines(plan, found))


def test_the_estimate_of_a_secure_sum_knows_its_smaller_noise_and_its_single_steps():
    """Five sites make one noise: more codes stay apart, and a fit takes longer to reach the noise."""
    sites = tuple(f"site-{k}" for k in range(5))
    keys = {site: f"{k}" * 64 for k, site in enumerate(sites)}
    local, secure = (
        make_plan(
            study="study",
            table=SCHEMA,
            sites=sites,
            records_per_site=200,
            epsilon=1.0,
            delta=1e-5,
            variant="both",
            secure_sum=summed,
        )
        for summed in (None, make_secure_sum(sites, keys))
    )
    assert sum(likely_widths(secure)) > sum(likely_widths(local))
    settings = TrainingSettings()
    assert fit_steps(secure, settings) > fit_steps(local, settings)
    assert len(in_rounds(local.discriminator, summed=False)) == 24
    assert [len(each) for each in in_rounds(secure.discriminator, summed=True)] == [4] * 24
    assert "auto takes marginals" in reason(secure)
    assert duration_of(secure, SETTINGS).rounds > 0
