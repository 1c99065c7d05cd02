"""Nobody types `flwr`: from empty folders to a finished study by the commands of the two READMEs.

Real processes with TLS on the loopback interface. Afterwards everything is stopped and started again.
"""

import json
import subprocess
from pathlib import Path

import pytest
from deployed.coordinator import BIN, environment
from kits import (
    HOSPITALS,
    all_serve,
    begin_study,
    connected,
    hub,
    place,
    said_by,
    sites,
    type_at,
)

from fedsynth_common.protocol.signed_file import read_answer
from fedsynth_release.generator import Generator

__all__ = ["hub", "place", "sites", "type_at"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def study(place, hub, type_at):
    return begin_study(place, type_at, "--variant", "marginals")


def test_a_study_from_empty_folders_without_flwr(place, study, sites, type_at):
    answers = [site.files / "rand.answer" for site in sites]
    said = type_at("study", "admit", "rand", *answers)
    assert "all sites are admitted; next: fedsynth study run rand" in said
    named = (study / "study.toml").read_text()
    for site, answer in zip(sites, answers, strict=True):
        assert f'{site.name} = "{read_answer(answer)[1]}"' in named
    assert "was admitted before" in type_at("study", "admit", "rand", answers[0])
    all_serve(sites)
    online = dict.fromkeys(HOSPITALS, "online")
    assert json.loads(type_at("coordinator", "sites", "hub", "--json")) == online
    type_at("study", "run", "rand")
    assert json.loads((study / "state.json").read_text())["outcome"] == "finished"
    type_at("study", "export", "rand", "--out", "release", "--rows", 300)
    assert len(Generator.load(place / "release/generator").sample(10, seed=1)) == 10
    statement = json.loads((place / "release/generator/privacy_statement.json").read_text())
    assert [cost["status"] for cost in statement["sites"]] == ["complete", "complete"]
    for site in sites:
        assert "study rand, step 1 (measure): charged; the study has now cost" in site.vault.text
        assert "connected to localhost:" in site.courier.text


def test_after_all_is_stopped_and_started_all_serve_again(hub, sites, study):
    for site in sites:
        for process in site.processes[::-1]:
            process.stop()
    hub.stop()
    hub.start()
    all_serve(sites)


def test_a_node_key_is_replaced_and_the_old_one_is_shut_out(place, study, sites, type_at):
    """The courier says that its new key is unknown; with its new answer it is let in again."""
    site = sites[0]
    site.type("rotate", "node-key", "--config", site.config)
    site.lock()
    site.courier.stop()
    before = len(site.courier.text)
    site.courier.start(wait=0)
    said_by(site.courier, "ask the coordinator to register", before)
    site.courier.stop()
    said = type_at("study", "admit", "rand", site.files / "rand.answer")
    assert f"{site.name}: admitted, in place of its earlier node key" in said
    site.start_courier()
    found = json.loads(type_at("coordinator", "sites", "hub", "--json"))
    assert found == dict.fromkeys(HOSPITALS, "online")


def test_a_node_key_that_was_removed_stays_out(study, sites, type_at):
    site = sites[0]
    site.courier.stop()
    type_at("coordinator", "remove", "hub", site.name)
    command = [str(BIN / "fedsynth"), "study", "admit", "rand", str(site.files / "rand.answer")]
    home = study.parent
    ended = subprocess.run(
        command, env=environment(home), cwd=home, capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, "site rotate node-key" in ended.stderr) == (2, True)
    site.type("rotate", "node-key", "--config", site.config)
    site.lock()
    type_at("study", "admit", "rand", site.files / "rand.answer")
    site.start_courier()


def test_certificates_are_replaced_and_the_sites_connect_again(place, hub, sites, type_at):
    """The server's without the sites; the authority's with a notice, which one site missed."""
    type_at("coordinator", "rotate", "server", "hub")
    hub.stop()
    hub.start()
    for site in sites:
        connected(site)
    type_at("coordinator", "rotate", "authority", "hub")
    notice = place / "hub/authority.notice"
    took, missed = sites
    took.type("rotate", "authority", notice, "--config", took.config)
    took.lock()
    took.courier.stop()
    took.start_courier()
    hub.stop()
    type_at("coordinator", "rotate", "authority", "hub", "--finish")
    before = len(missed.courier.text)
    hub.start()
    connected(took)
    said_by(missed.courier, "is not signed by the authority in", before)
    missed.courier.stop()
    for site in sites:
        site.type("rotate", "authority", notice, "--config", site.config)
        site.lock()
    missed.start_courier()
    connected(missed)


def test_a_release_of_a_replaced_receipt_key_is_verified(place, sites, type_at):
    site = sites[0]
    ended = site.type("rotate", "receipt-key", "--config", site.config, check=False)
    assert (ended.returncode, "stop it first" in ended.stderr) == (1, True)
    site.vault.stop()
    site.type("rotate", "receipt-key", "--config", site.config)
    new = json.loads(site.type("key", "--config", site.config, "--json").stdout)["receipt_key"]
    (change,) = site.files.glob("*.key-change")
    known = f"{site.name}={new}"
    said = type_at("verify", "release", "--key", known, "--key-change", change)
    assert "signed, key known" in said
    statement = place / "release/generator/privacy_statement.json"
    site.type("check", "--config", site.config, "--statement", statement)
    site.lock()
    site.vault.start()


def test_a_site_that_is_restored_from_before_the_study_has_spent_no_less(place, sites, type_at):
    """The backup of today knows all; one that is set back is charged what may have run."""
    site = sites[1]
    spent = site.status()["spent"]
    site.type("backup", "--config", site.config, "--out", place / "site.tar")
    for process in site.processes[::-1]:
        process.stop()
    for folder in (site.files, site.outside):
        folder.rename(folder.with_name(f"lost-{folder.name}"))
    site.type("restore", place / "site.tar", site.files, "--yes")
    site.lock()
    assert site.status()["spent"] >= spent > 0
    all_serve([site])


REPOSITORY = Path(__file__).parents[3]
RUN = Path(__file__).read_text() + Path(__file__).with_name("kits.py").read_text()


@pytest.mark.parametrize("page", ["client/README.md", "server/README.md"])
def test_the_commands_of_the_readmes_are_at_most_six_and_are_run_above(page):
    """The two of pip and that of venv are run by the images' tests; the others by this file."""
    text = (REPOSITORY / page).read_text()
    first = text.partition("## From install")[2].partition("```\n")[2].partition("\n```")[0]
    typed = first.replace("\\\n", " ").splitlines()
    assert len(typed) == 6
    ours = [line.split()[1:3] for line in typed if line.startswith("fedsynth")]
    assert len(ours) == 3
    started = {"serve", "connect"}  # by `Site.start`
    for group, command in ours:
        assert command in started or f'"{command}"' in RUN, (group, command)
