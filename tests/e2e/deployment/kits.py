"""A coordinator and two sites that were made by the commands of the READMEs, as fixtures of a module.

`study` is the caller's: it writes the study `rand` with `begin_study`.
"""

import json
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from deployed import Process, Site, free_ports
from deployed.coordinator import BIN, environment
from deployed.process import listens

from fedsynth_server.training.settings import TrainingSettings
from fedsynth_simulations.demo_data import demo_hospitals, demo_schema

HOSPITALS, ROWS = ("dayton", "seattle"), 500


@pytest.fixture(scope="module")
def place():
    """Sockets need short paths, and other users must be able to enter."""
    with tempfile.TemporaryDirectory(prefix="kit-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def type_at(place):
    """A command as the coordinator types it."""

    def run(*words):
        ended = subprocess.run(
            [str(BIN / "fedsynth"), *map(str, words)],
            env=environment(place),
            cwd=place,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert ended.returncode == 0, f"{words}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    return run


@pytest.fixture(scope="module")
def hub(place, type_at):
    public, superlink, health = free_ports(3)
    type_at(
        *("coordinator", "init", "hub", "--host", "localhost", "--port", public),
        *("--listen", "127.0.0.1", "--superlink-port", superlink, "--health-port", health),
    )
    process = Process(
        "hub",
        [str(BIN / "fedsynth"), "coordinator", "start", str(place / "hub")],
        place / "hub.log",
        env=environment(place, HTTPS_PROXY="http://127.0.0.1:9", FLWR_HOME="/nonexistent"),
        ready=lambda: listens(superlink) and listens(public),
    )
    process.start()
    yield process
    process.stop()


def begin_study(place, type_at, *options):
    """The folder of the study `rand`, of few quick steps, with invitations for both sites."""
    demo_schema().save(place / "schema.json")
    sites = [word for name in HOSPITALS for word in ("--site", name)]
    type_at(
        *("study", "init", "rand", "--schema", "schema.json", *sites, "--epsilon", 3),
        *("--records-per-site", ROWS, "--coordinator", "hub", *options),
    )
    settings = place / "rand/study.toml"
    quick = TrainingSettings().quick().model_dump(exclude_none=True)
    lines = [f"{name} = {json.dumps(value)}" for name, value in quick.items()]
    settings.write_text(settings.read_text() + "\n" + "\n".join(lines) + "\n")
    return place / "rand"


@pytest.fixture(scope="module")
def sites(place, study):
    """Two hospitals that were sent one file each."""
    tables, made = demo_hospitals(), []
    for name in HOSPITALS:
        site = Site(name, place / name, tables[name].head(ROWS), demo_schema())
        site.type(
            *("join", study / f"invitations/{name}.invitation", site.files, "--data", site.data),
            *("--dataset", f"people of {name}", "--max-epsilon", 10, "--yes"),
            *("--courier", site.outside, "--socket", site.socket),
        )
        site.choose_ports()  # the other site of this computer does not run yet
        site.lock()
        made.append(site)
    yield made
    for site in made:
        for process in site.processes[::-1]:
            process.stop(20)


def all_serve(sites):
    for site in sites:
        site.start()
    for site in sites:
        for process in site.processes:
            process.wait_ready()
        until = time.monotonic() + 60
        while not (found := site.status()["running"])["connected"]:
            assert time.monotonic() < until, found
            time.sleep(1)
        assert found == {
            "vault": True, "courier": True, "connected": True, "newer": [], "faults": []
        }  # fmt: skip


def connected(site):
    until = time.monotonic() + 120
    while not site.status()["running"]["connected"]:
        assert time.monotonic() < until, site.courier.text[-2000:]
        time.sleep(0.5)


def said_by(courier, words, since):
    until = time.monotonic() + 120
    while words not in courier.text[since:]:
        assert time.monotonic() < until, courier.text[since:]
        time.sleep(0.5)
