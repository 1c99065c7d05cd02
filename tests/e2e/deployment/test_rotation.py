"""Keys and certificates are replaced while a study runs, and the study ends as if they had not been.

The node key of a site and the server's certificate are replaced. A receipt key signs for the study that
has begun, so its replacement is refused in words until the study is over.
"""

import json
import subprocess
import time

import pytest
from deployed.coordinator import BIN, environment
from kits import all_serve, begin_study, connected, hub, place, sites, type_at

from fedsynth_common.protocol.plan import Plan

__all__ = ["hub", "place", "sites", "type_at"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def study(place, hub, type_at):
    return begin_study(place, type_at, "--variant", "both")


@pytest.fixture(scope="module")
def running(place, study, sites, type_at):
    """The study is in its training, and goes on by itself."""
    type_at("study", "admit", "rand", *(site.files / "rand.answer" for site in sites))
    all_serve(sites)
    type_at("study", "run", "rand", "--detach")
    wait_for(lambda: charged(sites[0]) >= 2, 300, "training")
    return study


def wait_for(condition, seconds, what):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(1)


def charged(site):
    return site.status()["studies"].get("rand", {"steps": 0})["steps"]


def steps(study):
    plan = Plan.from_json((study / "plan.json").read_bytes())
    return sum(run.count for run in plan.message_runs)


def goes_on(study, site):
    """The site answers a step that it had not answered."""
    before = charged(site)
    assert before < steps(study), "the study was over before anything was replaced"
    wait_for(lambda: charged(site) > before, 300, (study / "state.json").read_text())


def test_a_receipt_key_is_kept_until_the_study_is_over(running, sites):
    site = sites[1]
    site.vault.stop()
    ended = site.type("rotate", "receipt-key", "--config", site.config, check=False)
    assert ended.returncode == 1
    assert "signs for studies that have begun: rand" in ended.stderr
    assert "--give-up" in ended.stderr
    site.lock()
    site.vault.start()
    goes_on(running, site)


def test_a_node_key_is_replaced_while_the_study_runs(running, sites, type_at):
    site = sites[0]
    site.type("rotate", "node-key", "--config", site.config)
    site.lock()
    site.courier.stop()
    said = type_at("study", "admit", "rand", site.files / "rand.answer")
    assert "in place of its earlier node key" in said
    site.start_courier()
    goes_on(running, site)


def test_the_servers_certificate_is_replaced_and_the_study_is_resumed(
    place, running, hub, sites, type_at
):
    type_at("coordinator", "rotate", "server", "hub")
    hub.stop()
    hub.start()
    for site in sites:
        connected(site)
    before = charged(sites[0])
    wait_for(lambda: charged(sites[0]) > before or resumed(place), 200, "Flower to give the run up")
    goes_on(running, sites[0])


def resumed(place):
    """Flower notices after a minute that a ServerApp is gone; until then `resume` is refused.

    Where the ServerApp outlived its SuperExec, the run goes on without it.
    """
    ended = subprocess.run(
        [str(BIN / "fedsynth"), "study", "resume", "rand", "--detach"],
        env=environment(place),
        cwd=place,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return ended.returncode == 0


def test_the_study_ends_with_all_sites_and_every_step_charged_once(running, sites, type_at):
    type_at("study", "watch", "rand")
    state = json.loads((running / "state.json").read_text())
    assert state["outcome"] == "finished"
    statement = json.loads((running / "generator/privacy_statement.json").read_text())
    assert [cost["status"] for cost in statement["sites"]] == ["complete", "complete"]
    for site in sites:
        found = site.status()["studies"]["rand"]
        assert found["steps"] == found["planned"] == steps(running)
    site = sites[1]
    site.vault.stop()
    site.type("rotate", "receipt-key", "--config", site.config)  # now that the study is over
