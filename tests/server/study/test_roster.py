"""A plan for a secure sum names who takes part, and costs what it says against both adversaries."""

import json

import pytest
from command import fedsynth
from small_study import DELTA, SCHEMA, SITES

from fedsynth_common.errors import InputError
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.secure_noise import alone
from fedsynth_common.protocol.plan import Plan
from fedsynth_server.study.folder import StudyFolder
from fedsynth_server.study.planning import make_plan
from fedsynth_server.study.roster import make_secure_sum

KEYS = {site: f"{i}" * 64 for i, site in enumerate(SITES)}


def make(secure_sum, **changes):
    fields = {"study": "study", "table": SCHEMA, "sites": SITES, "records_per_site": 1000}
    return make_plan(**(fields | {"epsilon": 1.0, "delta": DELTA} | changes), secure_sum=secure_sum)


def test_the_noise_that_the_sites_make_together_is_that_of_one_site_alone():
    """A local plan and a secure one ask for the same variance: in the sum there it comes once."""
    secure, local = make(make_secure_sum(SITES, KEYS)), make(None, variant="marginals")
    assert [m.noise_multiplier for m in secure.measure] == [
        m.noise_multiplier for m in local.measure
    ]
    assert secure.noise_shares == len(SITES) - 1
    cost = epsilon(secure.planned_events(), DELTA)
    assert 0.98 < cost <= 1.0
    assert epsilon(alone(secure.planned_events()), DELTA) > 1.3 * cost
    assert Plan.from_json(secure.to_json()) == secure


@pytest.mark.parametrize("variant", ["both", "gan"])
def test_discriminators_of_a_secure_sum_take_one_step_a_message(variant):
    planned = make(make_secure_sum(SITES, KEYS), variant=variant)
    training = planned.discriminator
    assert (training.steps_per_message, training.messages) == (1, 96)
    assert 0.98 * planned.epsilon < epsilon(planned.planned_events(), planned.delta) <= 3.0
    local = make(None, variant=variant).discriminator
    assert training.learning_rate > local.learning_rate
    assert make(make_secure_sum(SITES, KEYS)).discriminator is None  # auto


@pytest.mark.parametrize(
    ("sites", "keys", "colluders", "why"),
    [
        (SITES[:2], KEYS, None, "2 sites; it takes 3 or more"),
        (SITES, KEYS, 2, "expected 1 to 1 for 3 sites"),
        (SITES, KEYS, 0, "expected 1 to 1"),
        (SITES, {}, None, "missing for north, south, west"),
        (SITES, KEYS | {"east": "a" * 64}, None, "east: not a site"),
        (SITES, KEYS | {"north": "xyz"}, None, "north: expected 64"),
        (SITES, dict.fromkeys(SITES, "a" * 64), None, "the same key"),
    ],
)
def test_rosters_that_cannot_work(sites, keys, colluders, why):
    with pytest.raises(InputError, match=why):
        make_secure_sum(sites, keys, colluders)


@pytest.fixture
def study(tmp_path):
    schema = tmp_path / "schema.json"
    schema.write_text(SCHEMA.to_json())
    sites = [option for site in SITES for option in ("--site", site)]
    keys = [option for site, key in KEYS.items() for option in ("--receipt-key", f"{site}={key}")]
    options = ["--schema", str(schema), "--records-per-site", "1000", *sites]
    made = fedsynth("study", "init", tmp_path / "s", *options, "--trust", "secure-sum", *keys)
    assert made.returncode == 0, made.stderr
    return StudyFolder(tmp_path / "s")


def test_init_names_the_roster_and_explain_both_epsilon(study):
    plan = study.plan()
    assert plan.secure_sum.receipt_keys == KEYS
    assert study.receipt_keys() == {site: bytes.fromhex(key) for site, key in KEYS.items()}
    told = fedsynth("study", "explain", study.plan_file, "--json")
    said = json.loads(told.stdout)
    assert said["trust"] == "secure-sum"
    assert said["epsilon_if_all_others_work_together"] == epsilon(
        alone(plan.planned_events()), plan.delta
    )
    words = fedsynth("study", "explain", study.plan_file)
    assert "if all other sites and the coordinator work together" in words.stdout


def test_site_marginals_are_a_step_of_the_plan_and_are_explained(tmp_path):
    schema = tmp_path / "schema.json"
    schema.write_text(SCHEMA.to_json())
    sites = [option for site in SITES for option in ("--site", site)]
    keys = [option for site, key in KEYS.items() for option in ("--receipt-key", f"{site}={key}")]
    options = ["--schema", schema, "--records-per-site", "1000", *sites, "--site-marginals"]
    out = tmp_path / "plan.json"
    made = fedsynth("study", "plan", *options, "--out", out, "--trust", "secure-sum", *keys)
    assert made.returncode == 0, made.stderr
    steps = json.loads(fedsynth("study", "explain", out, "--json").stdout)["steps"]
    assert steps[-1]["step"] == "3 site marginals"
    assert steps[-1]["share"] == pytest.approx(0.15, abs=0.01)
    refused = fedsynth("study", "plan", *options, "--out", tmp_path / "p")
    assert refused.returncode == 2
    assert "--site-marginals" in refused.stderr


def test_study_toml_cannot_name_another_key_than_the_plan(study):
    text = study.config_file.read_text().replace('# north = ""', f'north = "{"f" * 64}"')
    study.config_file.write_text(text)
    with pytest.raises(InputError, match="north: another key than plan.json"):
        study.receipt_keys()


def test_the_roster_goes_with_a_secure_sum_only(tmp_path):
    schema = tmp_path / "schema.json"
    schema.write_text(SCHEMA.to_json())
    options = ["--schema", str(schema), "--site", "a", "--records-per-site", "10"]
    made = fedsynth("study", "plan", *options, "--out", tmp_path / "p", "--colluders", "1")
    assert made.returncode == 2
    assert not (tmp_path / "p").exists()
