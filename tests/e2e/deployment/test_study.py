"""A study over the wire: from `study init` to a generator whose papers fit the sites' ledgers."""

import json

import pandas as pd
import pytest
from command import fedsynth

from fedsynth_client.budget.charge_chain import read_charges
from fedsynth_common.encoding import encode
from fedsynth_release.generator import Generator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def statement(finished):
    return json.loads((finished / "generator/privacy_statement.json").read_text())


def test_the_study_finishes_and_its_generator_draws_records(finished, federation, plan):
    assert federation.state(finished)["outcome"] == "finished"
    out = federation.folder / "release"
    federation.coordinator.fedsynth("study", "export", finished, "--out", out, "--rows", 500)
    (table,) = out.rglob("*.parquet")
    rows = pd.read_parquet(table)
    assert len(rows) == 500
    encode(
        rows.astype("str").mask(rows.isna()), plan.table
    )  # all are records that the schema allows
    assert len(Generator.load(finished / "generator").sample(10, seed=1)) == 10


def test_every_step_was_charged_once_at_every_site(finished, federation, plan):
    steps = [step.step for step in plan.measure] + list(plan.discriminator.steps)
    for site in federation.sites.values():
        charges = read_charges(site.ledger)
        assert [charge.step for charge in charges] == steps
        assert {charge.study for charge in charges} == {"rand"}
        spent = site.status()["studies"]["rand"]
        assert spent["steps"] == len(steps)
        assert 0.9 * plan.epsilon < spent["epsilon"] <= plan.epsilon


def test_receipts_are_those_of_the_ledgers(finished, federation, statement):
    assert statement["private"] is True
    for said in statement["sites"]:
        site = federation.sites[said["site"]]
        receipt = json.loads(bytes.fromhex(said["receipt"]))
        ledger = site.status()["ledger"]
        assert said["status"] == "complete"
        assert said["receipt_key"] == site.keys["receipt_key"]
        assert receipt["ledger"] == {"head": ledger["head"]}


def test_an_auditor_with_the_sites_keys_finds_it_consistent(finished, federation):
    known = [f"--key={name}={site.keys['receipt_key']}" for name, site in federation.sites.items()]
    good = fedsynth("verify", finished / "generator", *known, "--json")
    assert good.returncode == 0, good.stdout + good.stderr
    assert json.loads(good.stdout)["consistent"] is True
    forged = fedsynth("verify", finished / "generator", f"--key=dayton={'0' * 64}")
    assert forged.returncode == 1


def test_nothing_of_a_record_is_in_what_the_coordinator_holds(finished, federation):
    """Its folders have only the sites' numbers: no row of any table, no count of rows."""
    held = b"".join(
        path.read_bytes()
        for path in federation.coordinator.folder.rglob("*")
        if path.is_file() and "certs" not in path.parts
    )
    assert b"fedsynth" in held
    for site in federation.sites.values():
        lines = site.data.read_text().splitlines()[1:]
        assert not any(line.encode() in held for line in lines)
