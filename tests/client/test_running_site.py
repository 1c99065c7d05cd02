"""`fedsynth site status` says what runs, and what is newer than the vault."""

import json
import os
import time

import pytest
from command import fedsynth
from small_site import SCHEMA, Site, run

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.connection.coordinator_watch import CoordinatorWatch
from fedsynth_client.vault.socket_server import start_server
from fedsynth_common.local_ports import free_from


@pytest.fixture
def folder(tmp_path):
    SCHEMA.save(tmp_path / "schema.json")
    (tmp_path / "t.csv").write_text("ward,smoker,outcome\n")
    made = fedsynth(
        *("site", "init", tmp_path / "s", "--data", tmp_path / "t.csv", "--site=north"),
        *("--schema", tmp_path / "schema.json", "--dataset=people", "--superlink=localhost:1"),
    )
    assert made.returncode == 0, made.stderr
    return tmp_path


def status(folder, *options):
    return fedsynth("site", "status", "--config", folder / "s/site.toml", *options)


def test_what_does_not_run_is_named_with_the_command_that_starts_it(folder):
    said = status(folder).stdout
    assert "vault     does not run" in said
    assert "courier   does not run" in said
    assert f"start it with fedsynth site serve --config {folder}/s/site.toml" in said
    assert f"start it with fedsynth site connect --config {folder}/s/site.toml" in said


def test_what_runs_is_told_with_the_round_of_each_study(folder):
    port = free_from(20_000)
    settings = folder / "s/courier/courier.toml"
    lines = settings.read_text().splitlines()
    lines = [line for line in lines if not line.startswith("health_port")]
    settings.write_text("\n".join([*lines, f"health_port = {port}"]))
    site = Site(ledger=Ledger(folder / "s/ledger.db", "people")).enrolled()
    run(site, "measure")
    watch = CoordinatorWatch("localhost:1")
    health = watch.serve(f"127.0.0.1:{port}")
    server = start_server(site.vault, folder / "s/vault.sock")
    try:
        before = json.loads(status(folder, "--json").stdout)["running"]
        later = time.time() + 60
        os.utime(folder / "t.csv", (later, later))
        os.utime(folder / "s/policy.toml", (later, later))
        said = status(folder).stdout
        fields = json.loads(status(folder, "--json").stdout)
    finally:
        server.stop(0).wait()
        health.stop(0).wait()
        site.ledger.close()
    assert before == {
        "vault": True,
        "courier": True,
        "connected": False,
        "newer": [],
        "faults": ["the courier is not connected to the coordinator: its log says why"],
    }
    assert "vault     runs" in said
    assert "courier   runs, not connected" in said
    steps = sum(run.count for run in site.plan.message_runs)
    assert f"in 1 of {steps} steps" in said
    assert f"table {folder}/t.csv is newer than the vault: start the vault again to use it" in said
    assert f"policy {folder}/s/policy.toml is newer than the vault: the vault has read it" in said
    assert fields["studies"]["study"]["planned"] == steps
