"""A restored site has no second budget, whatever ran between its backup and the restore (claim 14)."""

import io
import json
import tarfile

import pytest
from command import fedsynth
from small_site import SCHEMA, Site, make_plan, make_policy, make_secure_plan, run

from fedsynth_client.backup import back_up, missing_charges, restore
from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.policy import Policy
from fedsynth_client.budget.receipts import load_or_create_key
from fedsynth_client.budget.spending import read_ledger, spending
from fedsynth_client.plans.approvals import add_approval
from fedsynth_client.settings.site_config import SiteConfig
from fedsynth_common.errors import ErrorCode, InputError
from fedsynth_common.privacy.events import merged
from fedsynth_common.protocol import vault_pb2 as pb

pytestmark = pytest.mark.privacy
SPENT = ErrorCode.SPENT.value


@pytest.fixture
def folder(tmp_path):
    """A site with its files; no study has reached it."""
    SCHEMA.save(tmp_path / "schema.json")
    options = ("--schema", tmp_path / "schema.json", "--dataset", "people", "--max-epsilon", "10")
    ended = fedsynth("site", "init", tmp_path / "site", *options, "--site", "north")
    assert ended.returncode == 0, ended.stderr
    return tmp_path / "site"


def config_of(folder):
    return SiteConfig.load(folder / "site.toml")


def opened(folder, plan, **changes):
    """A vault on the ledger that lies in the folder."""
    config = config_of(folder)
    ledger = Ledger(config.ledger, "people", witness=config.witness)
    key = load_or_create_key(config.key)
    policy = changes.pop("policy", make_policy(site="north"))
    return Site(plan=plan, ledger=ledger, key=key, policy=policy, **changes)


def spent(folder):
    state = read_ledger(config_of(folder).ledger, "people")
    assert not state.fault
    return spending(state.charges, make_policy()).spent


def approve(folder, plan):
    add_approval(folder / "policy.toml", plan.digest)


def charged_between(folder, backup, plan):
    """Step 1 before the backup, steps 2 and 3 after it; returns what was really spent."""
    approve(folder, plan)
    site = opened(folder, plan).enrolled()
    first = run(site, "measure", step=1, marginals=histograms())
    assert first.status == "OK"
    back_up(folder / "site.toml", backup)
    assert run(site, "measure").status == "OK"
    assert run(site, "discriminate").status == "OK"
    site.ledger.close()
    return spent(folder)


def histograms():
    axes = [[pb.Axis(column=column, view=-1)] for column in range(3)]
    return [pb.Marginal(axes=axis, noise_variance=12) for axis in axes]


def test_a_restored_ledger_has_spent_no_less_and_answers_no_lost_step(folder, tmp_path):
    plan, backup, back = make_plan(), tmp_path / "b.tar", tmp_path / "back"
    real = charged_between(folder, backup, plan)
    done = restore(backup, back, [])
    assert done.closed == {"study": 3}  # step 2 and both messages of training
    assert spent(back) >= real
    state = read_ledger(config_of(back).ledger, "people")
    events = [event for charge in state.charges for event in charge.events]
    assert len(merged(events)) >= len(merged(plan.planned_events()))
    site = opened(back, plan)
    assert site.enroll() == SPENT
    for method, changes in (
        ("measure", {"step": 1, "marginals": histograms()}),
        ("measure", {"step": 2}),
        ("measure", {"step": 2, "variance": 100}),
        ("discriminate", {"step": 3}),
        ("discriminate", {"step": 4}),
        ("receipt", {}),
    ):
        assert run(site, method, **changes).status == SPENT, (method, changes)
    other = opened_again(site, make_plan(study="later"))
    assert other.enroll() == "OK"
    site.ledger.close()


def opened_again(site, plan):
    return Site(plan=plan, ledger=site.ledger, key=site.key, policy=site.policy)


def test_a_study_that_began_after_the_backup_is_charged_if_it_is_known(folder, tmp_path):
    plan, backup = make_plan(), tmp_path / "b.tar"
    approve(folder, plan)
    back_up(folder / "site.toml", backup)
    site = opened(folder, plan).enrolled()
    assert run(site, "measure").status == "OK"
    site.ledger.close()
    with pytest.raises(InputError, match=f"name each with --plan PLAN: {plan.digest}"):
        restore(backup, tmp_path / "back", [])
    assert list((tmp_path / "back").rglob("*.*")) == []  # nothing half-way
    done = restore(backup, tmp_path / "back", [plan])
    assert done.closed == {"study": 4}
    assert spent(tmp_path / "back") >= spent(folder)


def test_a_restored_site_signs_no_second_set_of_a_secure_sum(folder, tmp_path):
    """The set that it signed after the backup is in no file that is left."""
    key = load_or_create_key(config_of(folder).key)
    plan, backup = make_secure_plan(key), tmp_path / "b.tar"
    approve(folder, plan)
    policy = make_policy(site="north", max_epsilon_alone=50.0)
    site = opened(folder, plan, policy=policy).enrolled()
    assert site.vault.summed("keys", pb.KeysRequest(plan_digest=site.digest)).status == "OK"
    site.ledger.close()
    back_up(folder / "site.toml", backup)
    restore(backup, tmp_path / "back", [])
    again = opened(tmp_path / "back", plan, policy=policy)
    for method, request in (
        ("keys", pb.KeysRequest),
        ("shares", pb.SharesRequest),
        ("agree", pb.AgreeRequest),
        ("unmask", pb.UnmaskRequest),
    ):
        said = again.vault.summed(method, request(plan_digest=again.digest))
        assert said.status == SPENT, method
    again.ledger.close()


@pytest.mark.parametrize("left", ["ledger.db", "ledger.db.witness"])
def test_a_ledger_that_may_be_found_is_not_replaced(folder, tmp_path, left):
    backup, back = tmp_path / "b.tar", tmp_path / "back"
    charged_between(folder, backup, make_plan())
    text = (folder / "site.toml").read_text()
    kept = tmp_path / "volume"
    kept.mkdir()
    (kept / left).write_bytes((folder / left).read_bytes())
    (folder / "site.toml").write_text(
        text.replace('ledger = "ledger.db"', f'ledger = "{kept / "ledger.db"}"').replace(
            '"' + str(folder / "ledger.db") + '"', f'"{kept / "ledger.db"}"'
        )
    )
    other = tmp_path / "c.tar"
    if left == "ledger.db":
        (kept / "ledger.db.witness").write_bytes((folder / "ledger.db.witness").read_bytes())
        back_up(folder / "site.toml", other)
    else:
        (kept / "ledger.db").write_bytes((folder / "ledger.db").read_bytes())
        back_up(folder / "site.toml", other)
        (kept / "ledger.db").unlink()
    with pytest.raises(InputError, match="the latest ledger may still be found"):
        restore(other, back, [])
    assert [path for path in back.rglob("*") if path.is_file()] == []


def test_a_ledger_set_back_by_other_means_is_found_by_a_receipt(folder, tmp_path):
    """A snapshot takes ledger and witness back together: no file of the site shows it."""
    plan = make_plan()
    approve(folder, plan)
    site = opened(folder, plan).enrolled()
    assert run(site, "measure").status == "OK"
    ledger, witness = folder / "ledger.db", folder / "ledger.db.witness"
    site.ledger.close()
    snapshot = ledger.read_bytes(), witness.read_bytes()
    site = opened(folder, plan)
    assert run(site, "discriminate").status == "OK"
    reply = run(site, "receipt")
    site.ledger.close()
    public = site.key.public_key().public_bytes_raw().hex()
    line = {
        "site": "north",
        "receipt": reply.receipt_json.hex(),
        "signature": reply.signature.hex(),
        "receipt_key": public,
    }
    statement = tmp_path / "privacy_statement.json"
    statement.write_text(json.dumps({"sites": [line]}))
    policy = Policy.load(folder / "policy.toml")
    assert not missing_charges(statement, config_of(folder), policy)
    ledger.write_bytes(snapshot[0])
    witness.write_bytes(snapshot[1])
    assert not read_ledger(ledger, "people").fault  # nothing here shows it
    assert missing_charges(statement, config_of(folder), policy)
    statement.write_text(json.dumps({"sites": [line | {"receipt": "00"}]}))
    with pytest.raises(InputError, match="expected a privacy_statement"):
        missing_charges(statement, config_of(folder), policy)


# --- the file ------------------------------------------------------------------------------------


def test_a_backup_is_closed_holds_no_record_and_replaces_nothing(folder, tmp_path):
    (folder / "records.csv").write_text("ward,smoker,outcome\nZZCANARY,true,w\n")
    backup = tmp_path / "b.tar"
    back_up(folder / "site.toml", backup)
    assert backup.stat().st_mode & 0o077 == 0
    assert b"ZZCANARY" not in backup.read_bytes()
    with pytest.raises(InputError, match="exists, and is not replaced"):
        back_up(folder / "site.toml", backup)


def test_a_damaged_or_foreign_backup_is_refused(folder, tmp_path):
    backup = tmp_path / "b.tar"
    charged_between(folder, backup, make_plan())
    data = bytearray(backup.read_bytes())
    at = data.index(b"SQLite format 3") + 2000
    data[at] ^= 1
    for name, content in (("damaged", bytes(data)), ("text", b"text"), ("short", data[:2000])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="backup"):
            restore(tmp_path / name, tmp_path / "back", [])
    with tarfile.open(tmp_path / "evil", "w") as archive:
        text = json.dumps(
            {"kind": "fedsynth-site-backup-1", "made": 0, "files": {"../out": "0" * 64}}
        ).encode()
        for member, content in (("manifest.json", text), ("../out", b"x")):
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    with pytest.raises(InputError, match="no plain file"):
        restore(tmp_path / "evil", tmp_path / "back", [])
    assert [path for path in (tmp_path / "back").rglob("*") if path.is_file()] == []
    assert not (tmp_path / "out").exists()


def test_the_commands_say_what_is_forgotten(folder, tmp_path):
    plan, backup = make_plan(), tmp_path / "b.tar"
    ended = fedsynth("site", "backup", "--config", folder / "site.toml", "--out", backup)
    assert ended.returncode == 0, ended.stderr
    assert "It holds private keys" in ended.stdout
    (tmp_path / "plan.json").write_bytes(plan.to_json())
    ended = fedsynth("site", "restore", backup, tmp_path / "back", "--plan", tmp_path / "plan.json")
    assert (ended.returncode, "would be served twice" in ended.stdout) == (1, True)
    words = ("restore", backup, tmp_path / "back", "--plan", tmp_path / "plan.json", "--yes")
    ended = fedsynth("site", *words)
    assert ended.returncode == 0, ended.stderr
    assert "study study: closed, 4 steps charged" in ended.stdout
    said = fedsynth("site", "status", "--config", tmp_path / "back/site.toml", "--json")
    assert json.loads(said.stdout)["ledger"]["sound"]
    assert (tmp_path / "back/site.key").read_bytes() == (folder / "site.key").read_bytes()
