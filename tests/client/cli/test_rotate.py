"""New keys of a site: ledger and studies stay, old receipts verify, and each end is told what to do."""

import json
import stat
from datetime import UTC, datetime, timedelta

import pytest
from command import fedsynth
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from small_invitations import done, hub, join

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.running_site import authority_notes
from fedsynth_client.settings.site_config import SiteConfig
from fedsynth_common import certificate_expiry
from fedsynth_common.certificate_expiry import expiry_notes
from fedsynth_common.errors import InputError
from fedsynth_common.privacy.events import GaussianEvent
from fedsynth_common.protocol.key_change import (
    KeyChange,
    earlier_keys,
    key_change,
    read_from_site,
    read_key_change,
)
from fedsynth_common.protocol.signed_file import read_answer, signed
from fedsynth_server.coordinator.entry import admit_key
from fedsynth_server.coordinator.folder import CoordinatorFolder
from fedsynth_server.coordinator.rotation import certificate_notes
from fedsynth_server.study.folder import StudyFolder

__all__ = ["hub"]
EVENT = GaussianEvent(noise_multiplier=4.0)


@pytest.fixture
def site(hub, tmp_path):
    """A site that joined the study flu."""
    ended = join(hub, tmp_path / "site")
    assert ended.returncode == 0, ended.stderr
    return tmp_path / "site"


def rotate(site, what, *options):
    return fedsynth("site", "rotate", what, *options, "--config", site / "site.toml")


def keys(site):
    return json.loads(done("site", "key", "--config", site / "site.toml", "--json"))


def test_a_new_node_key_is_in_the_answer_that_the_receipt_key_signs(site):
    before, (answer, key) = keys(site), read_answer(site / "flu.answer")
    ended = rotate(site, "node-key")
    assert ended.returncode == 0, ended.stderr
    assert "fedsynth study admit STUDY flu.answer" in ended.stdout
    after, (again, same) = keys(site), read_answer(site / "flu.answer")
    assert after["node_key"] != before["node_key"] == answer.node_key
    assert (again.node_key, same) == (after["node_key"], key)
    private = site / "courier/node.key"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert sorted(path.name for path in private.parent.glob("node*")) == [
        "node.key",
        "node.key.pub",
    ]


def charge(site, plan, steps, dataset="people"):
    ledger = Ledger(site / "ledger.db", dataset)
    ledger.accept(plan.study, plan.digest, plan.to_json())
    for step in steps:
        ledger.charge(plan.study, step, "h", [EVENT])
    head = ledger.head()
    ledger.close()
    return head


def test_a_new_receipt_key_waits_for_studies_that_have_begun(hub, site):
    plan = StudyFolder(hub / "flu").plan()
    old, steps = keys(site)["receipt_key"], [step.step for step in plan.measure]
    charge(site, plan, steps[:1])
    ended = rotate(site, "receipt-key")
    assert ended.returncode == 1
    assert "studies that have begun: flu. Let them finish first" in ended.stderr
    assert keys(site)["receipt_key"] == old
    head = charge(site, plan, steps[1:])
    ended = rotate(site, "receipt-key")
    assert ended.returncode == 0, ended.stderr
    assert "charged in full: flu" in ended.stdout
    assert keys(site)["receipt_key"] != old
    assert not list(site.glob("*.new"))
    ledger = Ledger(site / "ledger.db", "people")
    assert ledger.head() == head
    ledger.close()


def test_a_study_that_is_given_up_holds_no_key_back(hub, site):
    charge(site, StudyFolder(hub / "flu").plan(), [1])
    ended = rotate(site, "receipt-key", "--give-up", "flu")
    assert ended.returncode == 0, ended.stderr


def test_a_vault_that_runs_keeps_its_key(site):
    old = keys(site)["receipt_key"]
    ledger = Ledger(site / "ledger.db", "people")
    try:
        ended = rotate(site, "receipt-key")
    finally:
        ledger.close()
    assert (ended.returncode, "stop it first" in ended.stderr) == (1, True)
    assert keys(site)["receipt_key"] == old


def test_a_command_that_was_cut_off_goes_on_with_the_same_new_key(site):
    new = Ed25519PrivateKey.generate()
    (site / "site.key.new").write_bytes(new.private_bytes_raw())
    (site / "site.key.new").chmod(0o600)
    assert rotate(site, "receipt-key").returncode == 0
    assert (site / "site.key").read_bytes() == new.private_bytes_raw()


def test_the_change_is_signed_by_both_keys_and_is_admitted_once(hub, site):
    old = keys(site)["receipt_key"]
    assert rotate(site, "receipt-key").returncode == 0
    (file,) = site.glob("*.key-change")
    change, before = read_from_site(file)
    assert isinstance(change, KeyChange)
    assert (before, change.new_key) == (old, keys(site)["receipt_key"])
    study = StudyFolder(hub / "flu")
    text = study.config_file.read_text()
    try:
        with pytest.raises(InputError, match="does not name the key that it replaces"):
            admit_key(study, change, before)
        study.config_file.write_text(text.replace('# north = ""', f'north = "{old}"'))
        said = done("study", "admit", hub / "flu", file)
        assert "north: its receipt key is replaced" in said
        assert study.receipt_keys()["north"].hex() == change.new_key
        assert "was replaced before" in done("study", "admit", hub / "flu", file)
        study.config_file.write_text(text.replace('# north = ""', f'north = "{old}"'))
        study.journal.mkdir()
        (study.journal / "1.request").touch()
        with pytest.raises(InputError, match="begun with the old key"):
            admit_key(study, change, before)
        assert study.receipt_keys()["north"].hex() == old
    finally:
        study.config_file.write_text(text)
        (study.journal / "1.request").unlink(missing_ok=True)
        study.journal.rmdir()


def test_nothing_vouches_for_the_key_after_an_exposed_one(site):
    ended = rotate(site, "receipt-key", "--exposed")
    assert ended.returncode == 0, ended.stderr
    assert not list(site.glob("*.key-change"))
    assert "prove nothing any more" in ended.stdout


def test_nobody_claims_a_key_that_is_anothers(tmp_path):
    old, new, stranger = (Ed25519PrivateKey.generate() for _ in range(3))
    honest = tmp_path / "honest"
    honest.write_bytes(key_change("north", old, new))
    change, before = read_key_change(honest)
    forged = tmp_path / "forged"
    for made in (
        signed(change, stranger),
        signed(change.model_copy(update={"site": "south"}), old),
        signed(change.model_copy(update={"new_key": before}), old),
    ):
        forged.write_bytes(made)
        with pytest.raises(InputError, match="the new key did not sign it"):
            read_key_change(forged)


def test_a_chain_of_changes_leads_to_every_earlier_key(tmp_path):
    ring = [Ed25519PrivateKey.generate() for _ in range(4)]
    public = [key.public_key().public_bytes_raw().hex() for key in ring]
    changes = []
    for at, (old, new) in enumerate(zip(ring, ring[1:], strict=False)):
        file = tmp_path / str(at)
        file.write_bytes(key_change("north", old, new))
        changes.append(read_key_change(file))
    assert earlier_keys("north", public[3], changes) == set(public)
    assert earlier_keys("north", public[2], changes[::-1]) == set(public[:3])
    assert earlier_keys("south", public[3], changes) == {public[3]}


# --- the coordinator's authority -----------------------------------------------------------------


@pytest.fixture
def own_hub(tmp_path):
    """A coordinator of this test alone."""
    done("coordinator", "init", tmp_path / "hub", "--host", "fed.example.org")
    return tmp_path / "hub"


def test_a_notice_of_the_coordinator_is_taken_and_no_other(hub, site, own_hub, tmp_path):
    trusted = site / "courier/ca.crt"
    before = trusted.read_bytes()
    done("coordinator", "rotate", "authority", own_hub)
    ended = rotate(site, "authority", own_hub / "authority.notice")
    assert (ended.returncode, "with another key" in ended.stderr) == (2, True)
    assert trusted.read_bytes() == before
    (site / "coordinator.key.pub").unlink()
    ended = rotate(site, "authority", own_hub / "authority.notice")
    assert (ended.returncode, "nobody can tell whose notice" in ended.stderr) == (2, True)
    key = CoordinatorFolder(own_hub).signing_key().public_key().public_bytes_raw().hex()
    (site / "coordinator.key.pub").write_text(f"{key}\n")
    first = tmp_path / "first"
    first.write_bytes((own_hub / "authority.notice").read_bytes())
    assert "trusted until" in rotate(site, "authority", first).stdout
    both = [path.read_text() for path in (own_hub / "certs/ca.crt", own_hub / "certs/next.crt")]
    assert trusted.read_text() == "".join(both)
    done("coordinator", "rotate", "authority", own_hub, "--finish")
    last = own_hub / "authority.notice"
    content = json.loads(json.loads(last.read_text())["content"])
    assert content["authority"] == both[1]
    assert rotate(site, "authority", last).returncode == 0
    assert trusted.read_text() == both[1]


def test_an_old_notice_does_not_bring_an_old_authority_back(site, own_hub, tmp_path, monkeypatch):
    key = CoordinatorFolder(own_hub).signing_key()
    (site / "coordinator.key.pub").write_text(key.public_key().public_bytes_raw().hex())
    done("coordinator", "rotate", "authority", own_hub)
    early = tmp_path / "early"
    early.write_bytes((own_hub / "authority.notice").read_bytes())
    written = json.loads(json.loads(early.read_text())["content"])["written"]
    monkeypatch.setattr("fedsynth_server.coordinator.rotation.time.time", lambda: written + 60)
    done("coordinator", "rotate", "authority", own_hub, "--finish")
    assert rotate(site, "authority", own_hub / "authority.notice").returncode == 0
    after = (site / "courier/ca.crt").read_bytes()
    ended = rotate(site, "authority", early)
    assert (ended.returncode, "is older than the last one" in ended.stderr) == (2, True)
    assert (site / "courier/ca.crt").read_bytes() == after


def test_both_ends_are_warned_a_month_before(site, own_hub, monkeypatch):
    config = SiteConfig.load(site / "site.toml")
    folder = CoordinatorFolder(own_hub)
    assert authority_notes(config) == ()
    assert certificate_notes(folder) == []
    assert expiry_notes(folder.ca, "do", datetime.now(UTC) + timedelta(days=1790)) == ()
    (line,) = expiry_notes(folder.ca, "do", datetime.now(UTC) + timedelta(days=1800))
    assert ", in 24 days: do" in line
    monkeypatch.setattr(certificate_expiry.expiry_notes, "__defaults__", (None, 2000))
    (line,) = authority_notes(config)
    assert "then: fedsynth site rotate authority NOTICE" in line
    server, authority = certificate_notes(folder)
    assert "fedsynth coordinator rotate server" in server
    assert "fedsynth coordinator rotate authority" in authority
    said = done("site", "check", "--config", site / "site.toml")
    assert "note: certificate" in said
    said = json.loads(done("site", "status", "--config", site / "site.toml", "--json"))
    assert any("ca.crt: ends on" in fault for fault in said["running"]["faults"])
    ended = fedsynth("coordinator", "sites", own_hub)  # the SuperLink is not there; the note is
    assert "note: certificate" in ended.stderr
