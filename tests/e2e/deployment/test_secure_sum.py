"""Secure sums over the wire: whole studies of four sites, and studies that lose sites on the way.

Everything is what a deployment has: `study init --trust secure-sum`, policies with the second cap, vault
processes without a network, couriers, SuperLink behind TLS. The vault of a site is killed as soon as the
coordinator has journaled the site's answer of a phase, so that the next message finds nobody. With
K = 4 and c = 1, three sites open a sum, whatever the phase at which the fourth is lost.
"""

import json

import pytest
from command import fedsynth
from deployed import Federation
from small_study import SCHEMA, make_frame

from fedsynth_client.budget.charge_chain import read_charges
from fedsynth_release.generator import Generator
from fedsynth_server.study.planning import Rounds, make_plan
from fedsynth_server.study.roster import make_secure_sum

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SITES = ("east", "north", "south", "west")
LOST = "south"
PATIENCE = {"deadline": 300.0, "gather": 240.0, "retry": 0.5, "patience": 4.0}
RECORDS = 400


PHASES = [
    ("keys", 0, ("shares", 0), []),
    ("shares", 0, ("measure", 1), []),
    ("measure", 1, ("unmask", 1), [1]),
    ("unmask", 1, ("measure", 2), [1]),
]
"""After which answer a vault is killed, which answer of it is then missing, and what it was charged."""


def training_plan(clinics):
    """Pairs, site marginals, and four messages of training."""
    keys = {site.name: site.keys["receipt_key"] for site in clinics.sites.values()}
    return make_plan(
        study="trains",
        table=SCHEMA,
        sites=SITES,
        records_per_site=RECORDS,
        epsilon=2.0,
        delta=1e-5,
        variant="both",
        rounds=Rounds(messages=4, sampling_rate=0.25),
        secure_sum=make_secure_sum(SITES, keys),
        site_marginals=True,
    )


@pytest.fixture(scope="module")
def clinics():
    """Four clinics, connected; each has approved all studies, and none has run."""
    frames = {site: make_frame(RECORDS, seed) for seed, site in enumerate(SITES)}
    with Federation(frames, SCHEMA, max_epsilon=30.0, max_epsilon_alone=60.0) as made:
        made.open()
        for name in ("all-there", *(f"after-{phase[0]}" for phase in PHASES)):
            made.agree_on_sum(name, RECORDS, 1.0, **PATIENCE)
        made.agree(training_plan(made), **PATIENCE)
        made.agree_on_sum("too-few", RECORDS, 1.0, **{**PATIENCE, "deadline": 60.0})
        made.start()
        yield made


@pytest.fixture
def everybody(clinics):
    """All sites are there, before and after a test."""
    yield clinics
    for site in clinics.sites.values():
        if not site.vault.alive:
            site.vault.start()


def journaled(study, method, step, site):
    """Whether the coordinator has this site's answer on disk."""
    return (study / "journal" / f"{step:04d}-{method}.{SITES.index(site):03d}.reply").exists()


def failed(study, method, step):
    """Who did not answer a message, and why."""
    (line, body) = (study / "journal" / f"{step:04d}-{method}.closed").read_bytes().split(b"\n", 1)
    assert json.loads(line)["entry"] == f"{step:04d}-{method}.closed"
    return json.loads(body[:-32])["failed"]


def run_and_lose(clinics, study, lost, method, step):
    """Run a study; kill the vaults of `lost` when each has answered `method`."""
    clinics.coordinator.fedsynth("study", "run", study, "--detach")
    for name in lost:
        clinics.wait_for(lambda name=name: journaled(study, method, step, name), 240, "its answer")
        clinics.sites[name].vault.kill()
    over = ("finished", "failed")
    clinics.wait_for(lambda: clinics.state(study).get("outcome") in over, 400, "the study's end")
    return clinics.state(study)


def steps_charged(clinics, study):
    return {
        name: [c.step for c in read_charges(site.ledger) if c.study == study.name]
        for name, site in clinics.sites.items()
    }


def sites_said(study):
    statement = json.loads((study / "generator/privacy_statement.json").read_text())
    return {said["site"]: said["status"] for said in statement["sites"]}


def test_a_study_whose_sites_are_all_there(everybody):
    study = everybody.coordinator.folder / "all-there"
    everybody.run(study)
    assert set(sites_said(study).values()) == {"complete"}
    assert set(map(tuple, steps_charged(everybody, study).values())) == {(1, 2)}
    assert not list((study / "journal").glob("*-agree*"))  # two messages more for a step
    known = [f"--key={name}={site.keys['receipt_key']}" for name, site in everybody.sites.items()]
    said = json.loads(fedsynth("verify", study / "generator", *known, "--json").stdout)
    assert said["consistent"] is True
    assert len(Generator.load(study / "generator").sample(50, seed=1)) == 50
    for site in everybody.sites.values():
        assert 0.9 < site.status()["studies"]["all-there"]["epsilon"] <= 1.0


@pytest.mark.parametrize(("method", "step", "misses", "steps"), PHASES)
def test_a_vault_killed_after_any_answer_does_not_stop_the_study(
    everybody, method, step, misses, steps
):
    study = everybody.coordinator.folder / f"after-{method}"
    state = run_and_lose(everybody, study, [LOST], method, step)
    assert state["outcome"] == "finished", state
    assert list(failed(study, *misses)) == [LOST]
    charged = steps_charged(everybody, study)
    assert charged.pop(LOST) == steps
    assert set(map(tuple, charged.values())) == {(1, 2)}
    assert fedsynth("verify", study / "generator").returncode == 0
    assert {site for site, status in sites_said(study).items() if status == "complete"} == (
        set(SITES) - {LOST}
    )


def test_a_vault_killed_in_the_training_is_asked_no_more_and_the_study_finishes(everybody):
    study = everybody.coordinator.folder / "trains"
    state = run_and_lose(everybody, study, [LOST], "discriminate", 4)
    assert state["outcome"] == "finished", state
    charged = steps_charged(everybody, study)
    assert charged.pop(LOST) == [1, 2, 3, 4]
    assert set(map(tuple, charged.values())) == {(1, 2, 3, 4, 5, 6, 7)}
    assert [list(failed(study, "discriminate", step)) for step in (5, 6, 7)] == [[LOST], [], []]
    assert fedsynth("verify", study / "generator").returncode == 0
    statement = json.loads((study / "generator/privacy_statement.json").read_text())
    opened = {said["site"]: [s["opened"] for s in said["sums"]] for said in statement["sites"]}
    assert opened["north"] == [4, 4, 4, 3, 3, 3]
    assert len(Generator.load(study / "generator").sample(50, seed=1)) == 50


def test_too_few_sites_open_nothing_and_the_study_goes_on_when_they_are_back(everybody):
    """Two of four vaults are killed under their masks; restarted, they answer as they did before."""
    study = everybody.coordinator.folder / "too-few"
    state = run_and_lose(everybody, study, [LOST, "west"], "measure", 1)
    assert state["outcome"] == "failed"
    assert "unmask: 2 of 4 sites answered" in state["error"]
    for name in (LOST, "west"):
        everybody.sites[name].vault.start()
    everybody.run(study, "resume")
    assert set(map(tuple, steps_charged(everybody, study).values())) == {(1, 2)}
    assert set(sites_said(study).values()) == {"complete"}
    assert not failed(study, "unmask", 1)
