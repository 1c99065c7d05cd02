"""A ledger that is damaged, deleted, rolled back, copied or opened twice: it blocks, or is whole.

The property everywhere: what opens has every charge that was ever made, and every stored reply as it
was first sent. The one exception is declared: a ledger and its witness that are set back together, by
somebody who has both, are beyond what a file can tell; the receipts that the coordinator holds do tell.
"""

import itertools
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys

import pytest
from small_site import Site
from vault_process import make_site

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.spending import read_ledger
from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.privacy.events import GaussianEvent

STEPS = 12
REPLY = {step: bytes([step]) * 700 for step in range(1, STEPS + 1)}
EVENTS = [GaussianEvent(noise_multiplier=9.0)]
FILES = ("ledger.db", "ledger.db-wal", "ledger.db.witness")


def charge(ledger, steps):
    for step in steps:
        ledger.charge("study", step, f"h{step}", EVENTS)
        ledger.store_reply("study", step, REPLY[step])


CRASHING = """
import os, sys
sys.path[:0] = sys.argv[2:]
from test_ledger_damage import Ledger, STEPS, charge
ledger = Ledger(sys.argv[1], "people")
ledger.accept("study", "d" * 64, b"{}")
start = ledger.head()[0] + 1
charge(ledger, range(start, start + STEPS // 2))
os._exit(0)  # like a crash: the journal is left beside the database
"""


def crashed_after_half(folder):
    """The next half of the charges, in a process that does not close its ledger."""
    places = [str(os.path.dirname(__file__)), os.path.dirname(os.path.dirname(__file__))]
    command = [sys.executable, "-c", CRASHING, str(folder / "ledger.db"), *places]
    subprocess.run(command, check=True)


def is_whole(path):
    """Whether the ledger opens; everything that it then says must be what was written."""
    try:
        ledger = Ledger(path, "people")
    except RefusalError as refused:
        assert refused.code == ErrorCode.LEDGER
        return False
    try:
        assert [charged.step for charged in ledger.charged()] == list(range(1, STEPS + 1))
        assert ledger.events() == EVENTS * STEPS
        for step, reply in REPLY.items():
            try:
                assert ledger.stored_reply("study", step, f"h{step}") == reply
            except RefusalError as refused:
                assert refused.code in (ErrorCode.LEDGER, ErrorCode.SPENT)
    finally:
        ledger.close()
    return True


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A closed ledger with all charges."""
    folder = tmp_path_factory.mktemp("written")
    ledger = Ledger(folder / "ledger.db", "people")
    ledger.accept("study", "d" * 64, b"{}")
    charge(ledger, range(1, STEPS + 1))
    ledger.close()
    return folder


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    """Two snapshots of a ledger whose process crashed: after half of the charges, and after all."""
    folder = tmp_path_factory.mktemp("crashed")
    (folder / "live").mkdir()
    for name in ("older", "latest"):
        crashed_after_half(folder / "live")
        shutil.copytree(folder / "live", folder / name)
    return folder / "older", folder / "latest"


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_blocks_or_changes_nothing(written, tmp_path, seed):
    rng, outcomes = random.Random(seed), []
    content = (written / "ledger.db").read_bytes()
    for _ in range(60):
        place, bit = rng.randrange(len(content)), rng.randrange(8)
        damaged = bytearray(content)
        damaged[place] ^= 1 << bit
        folder = tmp_path / "flipped"
        shutil.copytree(written, folder)
        (folder / "ledger.db").write_bytes(damaged)
        outcomes.append(is_whole(folder / "ledger.db"))
        shutil.rmtree(folder)
    assert not all(outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_flipped_bit_of_the_journal_blocks_or_changes_nothing(crashed, tmp_path, seed):
    rng = random.Random(seed)
    content = (crashed[1] / "ledger.db-wal").read_bytes()
    outcomes = []
    for _ in range(40):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        folder = tmp_path / "flipped"
        shutil.copytree(crashed[1], folder)
        (folder / "ledger.db-wal").write_bytes(damaged)
        outcomes.append(is_whole(folder / "ledger.db"))
        shutil.rmtree(folder)
    assert not all(outcomes)


@pytest.mark.parametrize("name", ["ledger.db", "ledger.db.witness"])
def test_a_truncated_file_blocks(written, tmp_path, name):
    content = (written / name).read_bytes()
    step = max(1, len(content) // 16)
    for length in range(0, len(content), step):
        folder = tmp_path / str(length)
        shutil.copytree(written, folder)
        (folder / name).write_bytes(content[:length])
        assert not is_whole(folder / "ledger.db"), length


def charges_after_opening(path):
    """How many charges a ledger has when it opens; None if it blocks."""
    try:
        ledger = Ledger(path, "people")
    except RefusalError as refused:
        assert refused.code == ErrorCode.LEDGER
        return None
    steps = [charged.step for charged in ledger.charged()]
    ledger.close()
    assert steps == list(range(1, len(steps) + 1))
    return len(steps)


WITNESSED = {"latest": STEPS, "older": STEPS // 2}


@pytest.mark.slow
def test_every_mixture_of_latest_older_and_missing_files_keeps_what_was_witnessed(
    crashed, tmp_path
):
    """3 x 3 x 3: database, journal and witness, each as it was, from a backup, or deleted."""
    found = {}
    for number, states in enumerate(itertools.product(("latest", "older", "gone"), repeat=3)):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, state in zip(FILES, states, strict=True):
            if state != "gone":
                shutil.copy(crashed[state == "latest"] / name, folder / name)
        found[states] = charges_after_opening(folder / "ledger.db")
    for states, charges in found.items():
        if (
            states[2] == "gone"
        ):  # blocks; an empty ledger is a new site's, and nothing tells of another
            assert charges in (None, 0), states
        else:
            assert charges is None or charges >= WITNESSED[states[2]], states
    assert found["latest", "latest", "latest"] == STEPS
    assert found["latest", "latest", "older"] == STEPS  # a crash between charge and witness
    assert sum(charges is not None for charges in found.values()) < 12


def test_a_copy_without_its_witness_blocks(written, tmp_path):
    shutil.copy(written / "ledger.db", tmp_path / "ledger.db")
    assert not is_whole(tmp_path / "ledger.db")


def test_a_copied_site_is_told_by_its_receipts(tmp_path):
    """Copied with its witness a ledger opens; two receipts of one number then have different heads."""
    (tmp_path / "one").mkdir()
    site = Site(ledger=Ledger(tmp_path / "one" / "ledger.db", "people")).enrolled()
    site.ledger.close()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    heads = []
    for step, name in ((1, "one"), (2, "two")):
        site = Site(ledger=Ledger(tmp_path / name / "ledger.db", "people"))
        assert site.vault.measure(site.measure_request(step)).status == "OK"
        heads.append(json.loads(site.vault.receipt(site.receipt_request()).receipt_json)["ledger"])
        site.ledger.close()
    assert heads[0]["head"] != heads[1]["head"]


@pytest.mark.parametrize("kind", ["symbolic link", "hard link"])
def test_a_ledger_under_another_name_is_still_one(tmp_path, kind):
    """Two vaults on one file would each see half of the charges, once their journals differ."""
    first = Ledger(tmp_path / "ledger.db", "people", witness=tmp_path / "witness")
    link = tmp_path / "other.db"
    (link.symlink_to if kind == "symbolic link" else link.hardlink_to)(tmp_path / "ledger.db")
    with pytest.raises(RefusalError, match="ERR_LEDGER"):
        Ledger(link, "people", witness=tmp_path / "witness")
    first.charge("study", 1, "h", EVENTS)
    first.close()


def test_a_plan_that_was_changed_on_disk_is_not_followed(tmp_path):
    """Less noise in the stored plan, under the digest that was approved."""
    site = Site(ledger=Ledger(tmp_path / "ledger.db", "people")).enrolled()
    plan = site.plan.to_json().replace(b'"noise_multiplier":2.0', b'"noise_multiplier":0.5')
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("UPDATE studies SET plan_json = ?", (plan,))
    database.close()
    for method in ("measure", "discriminate"):
        request = getattr(site, f"{method}_request")()
        assert getattr(site.vault, method)(request).status == "ERR_LEDGER"
    assert site.ledger.head()[0] == 0
    site.ledger.close()


def test_a_reply_that_was_changed_on_disk_is_not_sent(tmp_path):
    site = Site(ledger=Ledger(tmp_path / "ledger.db", "people")).enrolled()
    assert site.vault.measure(site.measure_request()).status == "OK"
    for change in ("substr(reply, 1, 9) || substr(reply, 11)", "CAST(reply || 'x' AS BLOB)"):
        with sqlite3.connect(tmp_path / "ledger.db") as database:
            database.execute(f"UPDATE outbox SET reply = {change}")  # noqa: S608
        database.close()
        assert site.vault.measure(site.measure_request()).status == "ERR_LEDGER"
    assert site.ledger.head()[0] == 1
    site.ledger.close()


@pytest.mark.slow
def test_a_second_vault_on_the_same_ledger_does_not_start(site, tmp_path, launcher):
    site.start()
    other = make_site(tmp_path / "south", launcher, state=site.folder)
    other.start(wait=False)
    assert other.wait() == 1
    assert "in use by another vault" in other.log.read_text()
    assert site.enroll() == "OK"


@pytest.mark.slow
@pytest.mark.parametrize("spoil", ["deleted", "older", "damaged"])
def test_a_vault_does_not_start_on_such_a_ledger(site, spoil, tmp_path):
    site.start()
    site.enroll()
    shutil.copytree(site.folder, tmp_path / "backup", ignore=shutil.ignore_patterns("*.sock"))
    assert site.status("measure", site.requests.measure_request(1)) == "OK"
    site.kill(15)
    if spoil == "deleted":
        site.ledger.unlink()
    elif spoil == "older":
        for name in FILES[:2]:
            shutil.copy(tmp_path / "backup" / name, site.folder / name)
    else:
        site.ledger.write_bytes(os.urandom(site.ledger.stat().st_size))
    site.start(wait=False)
    assert site.wait() == 1
    last = site.log.read_text().splitlines()[-1]
    assert last.startswith("error: ledger ")
    assert "ERR_LEDGER" in last
    assert read_ledger(site.ledger, "people").fault
