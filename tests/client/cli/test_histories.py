"""`fedsynth site` with persons and events in two tables: checked, approved, served."""

import numpy as np
import pytest
from command import fedsynth
from small_histories import HISTORIES, events_of
from small_site import make_plan, make_policy

from fedsynth_client.budget.cohort_seals import SealBook
from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.receipts import new_key
from fedsynth_client.cli.serve import _read
from fedsynth_client.settings.site_config import SiteConfig
from fedsynth_client.vault.service import Vault
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.protocol import PROTOCOL_VERSION
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import unpack_counts
from fedsynth_common.protocol.counting import Over

PLAN = make_plan(table=HISTORIES, discriminator=None)
PERSONS = 60


@pytest.fixture
def site(tmp_path):
    events = events_of(np.random.default_rng(0), PERSONS)
    first = events.drop_duplicates("id")
    first[["id", "sex"]].to_csv(tmp_path / "persons.csv", index=False)
    events.drop(columns="sex").to_csv(tmp_path / "visits.csv", index=False)
    (tmp_path / "t.toml").write_text(
        'file = "visits.csv"\npersons = "persons.csv"\nperson_key = "id"\n'
    )
    HISTORIES.save(tmp_path / "schema.json")
    (tmp_path / "plan.json").write_bytes(PLAN.to_json())
    options = [f"--data={tmp_path}/t.toml", f"--schema={tmp_path}/schema.json", "--dataset=people"]
    made = fedsynth("site", "init", tmp_path / "s", *options, "--site=north", "--max-epsilon=10")
    assert made.returncode == 0, made.stderr
    policy = tmp_path / "s/policy.toml"
    policy.write_text(policy.read_text().replace("min_records = 100 ", "min_records = 50 "))
    assert "min_records = 50 " in policy.read_text()
    return tmp_path


def test_check_and_approve_speak_of_persons_and_events(site):
    config = site / "s/site.toml"
    checked = fedsynth("site", "check", "--config", config)
    assert checked.returncode == 0, checked.stderr
    assert f"histories: {PERSONS} persons with" in checked.stdout
    assert "persons have more than max_events (3) events" in checked.stdout
    assert "'age': it is listed in grows, but its value falls" in checked.stdout
    approved = fedsynth("site", "approve", site / "plan.json", "--yes", "--config", config)
    assert approved.returncode == 0, approved.stderr
    assert "one person ('id') with all events, of which up to 3 are used" in approved.stdout


def test_a_vault_serves_both_tables(site):
    config = SiteConfig.load(site / "s/site.toml")
    records = _read(config, HISTORIES, make_policy(), Randomness(), SealBook())
    ledger = Ledger(":memory:", "people")
    vault = Vault(records, HISTORIES, make_policy(), ledger, Randomness(), new_key())
    enrol = pb.EnrollRequest(protocol_version=PROTOCOL_VERSION, plan_json=PLAN.to_json())
    assert vault.enroll(enrol).status == "OK"
    lengths = pb.Marginal(
        axes=[pb.Axis(column=2, view=-1)], noise_variance=4, over=int(Over.PERSONS)
    )
    request = pb.MeasureRequest(plan_digest=bytes.fromhex(PLAN.digest), step=1, marginals=[lengths])
    reply = vault.measure(request)
    assert reply.status == "OK"
    counts = unpack_counts(reply.counts, 3)
    assert abs(counts.sum() - PERSONS) < 25  # seven standard deviations of the noise
