"""`fedsynth site` as an operator types it: from an empty folder to a vault that answers."""

import contextlib
import io
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time

import grpc
import pytest
from command import fedsynth
from small_site import SCHEMA, make_plan, new_site

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.policy import Policy
from fedsynth_client.vault.callers import SocketVault
from fedsynth_client.vault.memory import memory_needed
from fedsynth_client.vault.socket_server import WAITING_BYTES
from fedsynth_common.errors import FedsynthError
from fedsynth_common.limits import LARGEST_REQUEST_BYTES
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.accounting import epsilon, epsilon_rdp, share_of_cap
from fedsynth_common.privacy.events import GaussianEvent
from fedsynth_common.protocol import PROTOCOL_VERSION
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.schema import CategoricalColumn, IdColumn

CANARY = "ZZCANARY"
ROWS = ["a,true,w", "b,false,x", "c,true,y"] * 400
EVENT = GaussianEvent(noise_multiplier=4.0)


@pytest.fixture
def site(tmp_path):
    return new_site(tmp_path, ROWS)


def run(site, command, *arguments):
    return fedsynth("site", command, *arguments, "--config", site / "s" / "site.toml")


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_init_says_what_is_next_and_replaces_nothing(site):
    again = fedsynth("site", "init", site / "s")
    assert again.returncode == 2
    assert "exists, and is not replaced" in again.stderr
    assert stat.S_IMODE((site / "s" / "site.key").stat().st_mode) == 0o600
    new = fedsynth("site", "init", site / "new")
    assert f"fedsynth site check --config {site}/new/site.toml" in new.stdout


def test_check_passes_and_changes_nothing(site):
    before = sorted(os.listdir(site / "s"))
    checked = run(site, "check")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "fit to be served (1200 records or persons)" in checked.stdout
    assert sorted(os.listdir(site / "s")) == before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", None, "no such file"),
        ("t.csv", "", "the file is empty"),
        ("t.csv", "ward,smoker,outcome\n", "no rows"),
        ("t.csv", f"ward,smoker,outcome\na,true,w,{CANARY}\n", "line 2: 4 cells"),
        ("schema.json", None, "schema.json: cannot be read"),
        ("schema.json", "{", "schema.json"),
        ("s/policy.toml", None, "cannot be read"),
        ("s/policy.toml", "max_epsilon = 1", "dataset: this required field is missing"),
        ("s/site.toml", None, "configuration"),
        ("s/site.toml", "data = 1", "data: "),
    ],
)
@pytest.mark.parametrize("command", ["check", "serve"])
def test_files_that_cannot_be_used_are_named(site, command, name, content, message):
    (site / name).unlink() if content is None else (site / name).write_text(content)
    ended = run(site, command)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert CANARY not in ended.stdout + ended.stderr
    assert len(ended.stderr.splitlines()) == 1


CANARIES = {
    "other texts": f"{CANARY},true,w",
    "a boolean": f"a,{CANARY},w",
    "an e-mail address": f"a,true,{CANARY}@example.org",
    "a missing cell": f"a,,{CANARY}",
    "every column": f"{CANARY},{CANARY},{CANARY}",
}


@pytest.mark.parametrize("line", CANARIES.values(), ids=CANARIES)
@pytest.mark.parametrize("heading", ["ward,smoker,outcome", f"{CANARY}1,{CANARY}2,{CANARY}3"])
@pytest.mark.parametrize("command", ["check", "serve"])
def test_no_cell_is_ever_printed_or_logged(site, caplog, command, heading, line):
    (site / "t.csv").write_text("\n".join([heading, *ROWS, line]))
    ended = run(site, command)
    assert ended.returncode == 1
    assert "not fit to be served" in ended.stderr
    assert CANARY not in ended.stdout + ended.stderr + caplog.text


@pytest.mark.parametrize("command", ["check", "serve"])
def test_one_record_is_too_few(site, command):
    (site / "t.csv").write_text("ward,smoker,outcome\na,true,w")
    ended = run(site, command)
    assert ended.returncode == 1
    assert "1 records: the policy's min_records wants at least 100" in ended.stderr


def with_phone_numbers(site):
    columns = (*SCHEMA.columns, CategoricalColumn(name="contact_no", categories=("x",)))
    SCHEMA.model_copy(update={"columns": columns}).save(site / "schema.json")
    rows = [f"{row},{'x' if n % 10 else f'+1 555 {CANARY}'}" for n, row in enumerate(ROWS)]
    (site / "t.csv").write_text("\n".join(["ward,smoker,outcome,contact_no", *rows]))


def test_identifiers_must_be_removed_declared_or_waived(site):
    with_phone_numbers(site)
    for command in ("check", "serve"):
        ended = run(site, command)
        assert ended.returncode == 1
        assert "column 'contact_no': looks like a personal detail" in ended.stderr
        assert CANARY not in ended.stdout + ended.stderr
    edit(site / "s" / "site.toml", "waived = []", 'waived = ["contact_no"]')
    waived = run(site, "check")
    assert waived.returncode == 0
    assert "waived" in waived.stdout
    edit(site / "s" / "site.toml", 'waived = ["contact_no"]', "waived = []")
    declared = SCHEMA.model_copy(update={"columns": (*SCHEMA.columns, IdColumn(name="contact_no"))})
    declared.save(site / "schema.json")
    assert run(site, "check").returncode == 0


@pytest.mark.parametrize(
    ("name", "mode", "message"),
    [("site.key", 0o644, "others may use it"), ("policy.toml", 0o606, "everybody may write")],
)
@pytest.mark.parametrize("command", ["check", "serve"])
def test_files_open_to_others_are_refused(site, command, name, mode, message):
    (site / "s" / name).chmod(mode)
    ended = run(site, command)
    assert ended.returncode == 1
    assert message in ended.stderr


def test_check_shows_what_a_plan_would_be_charged(site):
    plan = make_plan()
    shown = run(site, "check", "--plan", site / "plan.json").stdout
    assert f"epsilon {epsilon(plan.planned_events(), plan.delta):.4f}" in shown
    (site / "big.json").write_bytes(make_plan(epsilon=1.0).to_json())
    refused = run(site, "check", "--plan", site / "big.json")
    assert refused.returncode == 1
    assert "more than the 1 that it says" in refused.stderr


@pytest.mark.parametrize("arguments", [("check", "--plan"), ("approve", "--yes")])
def test_a_person_sees_what_a_plan_may_take_of_the_computer(site, arguments):
    plan = make_plan(training={"hidden": (300, 200), "sampling_rate": 0.125})
    (site / "big.json").write_bytes(plan.to_json())
    lines = [line.split() for line in run(site, *arguments, site / "big.json").stdout.splitlines()]
    parameters = 10 * 300 + 301 * 200 + 201 * 9
    for line in (
        "counts 2 requests, each for at most 16,000,000 noisy counts",
        f"network 2 hidden layers of 300, 200; up to {parameters:,} parameters, fewer where the study "
        "merges codes",
        "training 2 messages of 2 steps, 4 steps in all; each looks at about 12.5% of the records or "
        "persons",
        "predicts 2 of the 3 columns of every record it looks at",
        "messages at most 64 MiB each, either way",
        f"disk at most {-(-(2 * 64_000_000 + 2 * 12 * parameters) // 2**20)} MiB of replies, which the "
        "ledger keeps",
        f"memory at most {LARGEST_REQUEST_BYTES // 2**20:,} MiB for a request, besides the records",
    ):
        assert line.split() in lines


def test_a_plan_whose_cost_cannot_be_computed_is_one_problem_among_others(site, monkeypatch):
    def epsilon(*_):
        raise PrivacyError("accountants disagree")

    monkeypatch.setattr("fedsynth_client.plans.review.epsilon", epsilon)
    (site / "s" / "site.key").chmod(0o644)
    checked = run(site, "check", "--plan", site / "plan.json")
    assert checked.returncode == 1
    assert "others may use it" in checked.stderr
    assert "the cost of the plan cannot be computed: accountants disagree" in checked.stderr
    approved = run(site, "approve", site / "plan.json", "--yes")
    assert (approved.returncode, "accountants disagree" in approved.stderr) == (1, True)


def test_a_vault_does_not_start_without_memory_for_the_largest_request(site, monkeypatch):
    needed = []

    def prove(size):
        needed.append(size)
        raise FedsynthError("not enough memory")

    monkeypatch.setattr("fedsynth_client.vault.memory.prove_memory", prove)
    ended = run(site, "serve")
    assert (ended.returncode, "not enough memory" in ended.stderr) == (1, True)
    assert needed == [memory_needed(len(ROWS), WAITING_BYTES)]
    assert not list((site / "s").glob("*.sock"))


def test_approving_a_plan_shows_its_cost_and_adds_its_digest(site):
    plan = make_plan()
    done = run(site, "approve", site / "plan.json", "--yes")
    assert done.returncode == 0, done.stderr
    cost = epsilon(plan.planned_events(), plan.delta)
    for text in (plan.digest, "north, south", "one record", "2.000", "left of the cap  epsilon"):
        assert text in done.stdout
    assert f"with this plan   epsilon {cost:.4f} of 10" in done.stdout
    assert Policy.load(site / "s" / "policy.toml").approved_plans == (plan.digest,)
    again = run(site, "approve", site / "plan.json", "--yes")
    assert again.returncode == 0
    assert "approved before" in again.stdout


def test_approving_a_second_plan_shows_both_figures_and_what_decides(site):
    plan, first = make_plan(), make_plan(study="first")
    ledger = Ledger(site / "s" / "ledger.db", "people")
    ledger.accept("first", first.digest, first.to_json())
    ledger.charge("first", 1, "h", [EVENT])
    ledger.close()
    shown = run(site, "approve", site / "plan.json", "--yes").stdout
    events = [*plan.planned_events(), EVENT]
    assert f"{epsilon(events, 1e-5):.4f} if all plans had been fixed beforehand" in shown
    share, before = share_of_cap(events, 10, 1e-5), share_of_cap([EVENT], 10, 1e-5)
    assert f"used of the cap  {share:.1%}, before this plan {before:.1%}" in shown
    assert Policy.load(site / "s" / "policy.toml").approved_plans == (plan.digest,)


def test_a_first_study_that_takes_the_whole_cap_is_named(site):
    first = make_plan(study="first", epsilon=99.0, training={"messages": 900})
    ledger = Ledger(site / "s" / "ledger.db", "people")
    ledger.accept("first", first.digest, first.to_json())
    ledger.charge("first", 1, "h", [EVENT])
    ledger.close()
    ended = run(site, "approve", site / "plan.json", "--yes")
    assert ended.returncode == 1
    assert (
        "the whole plan of first, the first study charged here, takes all of the cap"
        in ended.stderr
    )
    assert Policy.load(site / "s" / "policy.toml").approved_plans == ()


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_without_a_yes_nothing_is_approved(site, answer, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    assert run(site, "approve", site / "plan.json").returncode == 1
    assert Policy.load(site / "s" / "policy.toml").approved_plans == ()


def test_a_yes_at_the_keyboard_approves(site, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert run(site, "approve", site / "plan.json").returncode == 0
    assert Policy.load(site / "s" / "policy.toml").approved_plans == (make_plan().digest,)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"epsilon": 1.0}, "more than the 1 that it says"),
        ({"delta": 1e-3}, "delta 0.001 is above"),
        ({"sites": ("south",)}, "does not name this site (north)"),
        ({"table": SCHEMA.model_copy(update={"name": "z"})}, "schema is not this site's"),
        ({"training": {"noise_multiplier": 0.2}, "epsilon": 1e4}, "min_noise_multiplier"),
        ({"training": {"sampling_rate": 0.6}, "epsilon": 99.0}, "max_sampling_rate"),
        ({"training": {"messages": 10_000, "steps_per_message": 3}, "epsilon": 1e4}, "max_steps"),
        ({"training": {"messages": 900}, "epsilon": 99.0}, "of the cap 10"),
    ],
)
def test_a_plan_that_the_vault_would_refuse_cannot_be_approved(site, changes, reason):
    (site / "plan.json").write_bytes(make_plan(**changes).to_json())
    ended = run(site, "approve", site / "plan.json", "--yes")
    assert ended.returncode == 1
    assert reason in ended.stderr
    assert Policy.load(site / "s" / "policy.toml").approved_plans == ()


def test_names_in_a_plan_cannot_drive_the_terminal(site):
    plan = make_plan(sites=("north", "\x1b[2K\rsouth"))
    (site / "plan.json").write_bytes(plan.to_json())
    shown = run(site, "approve", site / "plan.json", "--yes").stdout
    assert "?[2K?south" in shown
    assert "\x1b" not in shown


def charge(site, study="trial", steps=2):
    ledger = Ledger(site / "s" / "ledger.db", "people")
    first = ledger.head()[0] + 1
    for step in range(first, first + steps):
        ledger.charge(study, step, "h", [EVENT])
    ledger.close()


def status(site):
    ended = run(site, "status", "--json")
    return ended.returncode, json.loads(ended.stdout)


def test_the_status_of_a_new_site(site):
    code, shown = status(site)
    assert code == 0
    assert (shown["cap"], shown["spent"], shown["left"]) == (10, 0, 10)
    assert (shown["ledger"]["sound"], shown["ledger"]["started"]) == (True, False)
    assert "not started yet" in run(site, "status").stdout
    assert not (site / "s" / "ledger.db").exists()


def test_the_status_adds_up_while_a_vault_owns_the_ledger(site):
    charge(site)
    owner = Ledger(site / "s" / "ledger.db", "people")
    owner.charge("audit", 1, "h", [EVENT])
    code, shown = status(site)
    total, pld = shown["spent"], epsilon([EVENT] * 3, 1e-5)
    assert total == pytest.approx(epsilon_rdp([EVENT] * 3, 1e-5), abs=1e-4)
    assert (code, shown["spent_pld"], shown["left"]) == (0, pld, round(10 - total, 4))
    assert shown["share_used"] == share_of_cap([EVENT] * 3, 10, 1e-5)
    trial = {"epsilon": epsilon([EVENT] * 2, 1e-5), "steps": 2, "planned": None}
    assert shown["studies"]["trial"] == trial
    assert (shown["ledger"]["seq"], shown["ledger"]["head"]) == owner.head()
    owner.close()
    printed = run(site, "status").stdout
    assert f"spent     epsilon {total:8.4f}" in printed
    assert f"epsilon {pld:8.4f} if all plans had been fixed beforehand" in printed
    assert f"{shown['share_used']:.1%} of the cap (Rényi filter of order 3.4)" in printed


def tamper(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE charges SET events_json = '[]' WHERE seq = 1")
        database.commit()


FAULTS = {
    "deleted": (lambda ledger: ledger.unlink(), "missing although its witness"),
    "no ledger": (lambda ledger: ledger.write_text("x" * 2000), "not a ledger"),
    "changed": (tamper, "damaged, changed by hand"),
    "witness gone": (lambda ledger: ledger.with_name("ledger.db.witness").unlink(), "witness"),
    "witness damaged": (
        lambda ledger: ledger.with_name("ledger.db.witness").write_text("?"),
        "older than its witness",
    ),
    "rolled back": (
        lambda ledger: ledger.with_name("ledger.db.witness").write_text(f'[3, "{"0" * 64}"]'),
        "older than its witness",
    ),
}


@pytest.mark.parametrize(("damage", "message"), FAULTS.values(), ids=FAULTS)
def test_an_unsound_ledger_is_told_and_stops_everything(site, damage, message):
    charge(site)
    damage(site / "s" / "ledger.db")
    code, shown = status(site)
    assert (code, shown["ledger"]["sound"], shown["spent"]) == (1, False, None)
    assert message in shown["ledger"]["fault"]
    for command in (["check"], ["approve", site / "plan.json", "--yes"], ["serve"]):
        ended = run(site, *command)
        assert ended.returncode == 1
        assert "ledger" in ended.stderr
    assert not Policy.load(site / "s" / "policy.toml").approved_plans


def test_another_data_set_is_told(site):
    charge(site)
    edit(site / "s" / "policy.toml", 'dataset = "people"', 'dataset = "others"')
    assert status(site)[0] == 1


def test_the_files_of_a_ledger_are_closed_to_others_whatever_the_umask(site):
    before = os.umask(0)
    try:
        ledger = Ledger(site / "s" / "ledger.db", "people")
        ledger.charge("a", 1, "h", [EVENT])
        files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (site / "s").iterdir()}
        ledger.close()
    finally:
        os.umask(before)
    own = {name: mode for name, mode in files.items() if name.startswith("ledger.db")}
    assert {"ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.witness"} < set(own)
    assert set(own.values()) == {0o600}


def test_a_ledger_that_was_open_to_others_is_closed(site):
    charge(site)
    (site / "s" / "ledger.db").chmod(0o644)
    charge(site)
    assert stat.S_IMODE((site / "s" / "ledger.db").stat().st_mode) == 0o600


def test_from_init_to_a_vault_that_accepts_the_approved_plan(site):
    keyed = SCHEMA.model_copy(update={"columns": (*SCHEMA.columns, IdColumn(name="key"))})
    keyed.save(site / "schema.json")
    rows = [f"{row},{CANARY}{number}" for number, row in enumerate(ROWS)]
    (site / "t.csv").write_text("\n".join(["ward,smoker,outcome,key", *rows]))
    plan = make_plan(table=keyed)
    (site / "plan.json").write_bytes(plan.to_json())
    assert run(site, "approve", site / "plan.json", "--yes").returncode == 0
    code = "from fedsynth_common.cli.main import main; main()"
    command = [sys.executable, "-c", code, "site", "serve", f"--config={site}/s/site.toml"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    vault = SocketVault(str(site / "s" / "vault.sock"))
    request = pb.EnrollRequest(protocol_version=PROTOCOL_VERSION, plan_json=plan.to_json())
    try:
        for _ in range(1200):
            with contextlib.suppress(grpc.RpcError):
                reply = vault.call("enroll", request.SerializeToString())
                break
            time.sleep(0.1)
        second = run(site, "serve")
    finally:
        process.send_signal(signal.SIGTERM)
    assert pb.EnrollReply.FromString(reply).status == "OK"
    assert pb.EnrollReply.FromString(reply).site == "north"
    assert "in use by another vault" in second.stderr
    said = "".join(process.communicate(timeout=30))
    assert (process.returncode, CANARY in said) == (0, False)
