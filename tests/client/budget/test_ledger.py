import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from fedsynth_client.budget.charge_chain import read_charges
from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.spending import read_ledger
from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.privacy.events import CountsEvent, DpSgdEvent, GaussianEvent

EVENTS = [
    CountsEvent(scale=40.0, sensitivity=1, blocks=3),
    DpSgdEvent(sampling_rate=0.1, noise_multiplier=2.0, steps=5),
]


@pytest.fixture(params=["memory", "file", "shared"])
def ledger(request, tmp_path):
    path = ":memory:" if request.param == "memory" else tmp_path / "ledger.db"
    ledger = Ledger(path, "people", shared=request.param == "shared")
    yield ledger
    ledger.close()


def refusal(code):
    return pytest.raises(RefusalError, match=f"^{code.value}$")


def test_charges_are_added_up_per_study_and_over_all(ledger):
    ledger.charge("a", 1, "h", EVENTS)
    ledger.charge("b", 1, "h", [GaussianEvent(noise_multiplier=2.0)])
    assert ledger.events("a") == EVENTS
    assert ledger.events() == [*EVENTS, GaussianEvent(noise_multiplier=2.0)]
    assert [(c.study, c.step) for c in ledger.charged()] == [("a", 1), ("b", 1)]
    assert ledger.head()[0] == 2


def test_the_same_request_gets_the_stored_bytes(ledger):
    assert ledger.stored_reply("a", 1, "h") is None
    ledger.charge("a", 1, "h", EVENTS)
    ledger.store_reply("a", 1, b"reply")
    assert ledger.stored_reply("a", 1, "h") == b"reply"


def test_other_content_for_a_charged_step_is_a_conflict(ledger):
    ledger.charge("a", 1, "h", EVENTS)
    ledger.store_reply("a", 1, b"reply")
    with refusal(ErrorCode.CONFLICT):
        ledger.stored_reply("a", 1, "other")
    with refusal(ErrorCode.CONFLICT):
        ledger.charge("a", 1, "other", EVENTS)
    assert ledger.head()[0] == 1


def test_a_charge_without_reply_is_spent_and_never_repeated(ledger):
    ledger.charge("a", 1, "h", EVENTS)
    with refusal(ErrorCode.SPENT):
        ledger.stored_reply("a", 1, "h")
    with refusal(ErrorCode.SPENT):
        ledger.charge("a", 1, "h", EVENTS)


def test_a_refused_admission_charges_nothing(ledger):
    def admit(charges):
        assert charges == []
        raise RefusalError(ErrorCode.BUDGET)

    with refusal(ErrorCode.BUDGET):
        ledger.charge("a", 1, "h", EVENTS, admit=admit)
    assert ledger.charged() == []
    assert ledger.stored_reply("a", 1, "h") is None


def test_a_cap_holds_for_charges_that_arrive_at_once(ledger):
    def admit(charges):
        if len(charges) >= 5:
            raise RefusalError(ErrorCode.BUDGET)

    def charge(step):
        try:
            ledger.charge("a", step, "h", EVENTS, admit=admit)
        except RefusalError as refused:
            codes.append(refused.code)

    codes: list[ErrorCode] = []
    threads = [threading.Thread(target=charge, args=(step,)) for step in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.charged()) == 5
    assert codes == [ErrorCode.BUDGET] * 7


def test_a_study_keeps_its_plan(ledger):
    ledger.accept("a", "d1", b"{}")
    ledger.accept("a", "d1", b"{}")
    assert ledger.plan("d1") == b"{}"
    assert ledger.plan("d2") is None
    with refusal(ErrorCode.CONFLICT):
        ledger.accept("a", "d2", b"{}")


def charged(path, steps=2):
    ledger = Ledger(path, "people")
    for step in range(1, steps + 1):
        ledger.charge("a", step, f"h{step}", EVENTS)
    ledger.close()


def test_charges_survive_a_restart(tmp_path):
    path = tmp_path / "ledger.db"
    charged(path)
    ledger = Ledger(path, "people")
    assert ledger.events("a") == EVENTS * 2
    ledger.charge("a", 3, "h", EVENTS)
    assert ledger.head()[0] == 3
    ledger.close()


def test_a_second_process_is_refused(tmp_path):
    path = tmp_path / "ledger.db"
    first = Ledger(path, "people")
    with refusal(ErrorCode.LEDGER):
        Ledger(path, "people")
    first.close()
    Ledger(path, "people").close()


def test_shared_ledgers_see_each_others_charges(tmp_path):
    one, two = (Ledger(tmp_path / "l.db", "people", shared=True) for _ in range(2))
    one.charge("a", 1, "h", EVENTS)
    two.charge("a", 2, "h", EVENTS)
    assert one.head() == two.head()
    one.close()
    two.close()
    Ledger(tmp_path / "l.db", "people").close()  # the chain is one


def test_a_deleted_ledger_blocks(tmp_path):
    path = tmp_path / "ledger.db"
    charged(path)
    path.unlink()
    with refusal(ErrorCode.LEDGER):
        Ledger(path, "people")


def test_an_older_copy_blocks(tmp_path):
    path, copy = tmp_path / "ledger.db", tmp_path / "copy.db"
    charged(path, steps=1)
    shutil.copy(path, copy)
    again = Ledger(path, "people")
    again.charge("a", 2, "h", EVENTS)
    again.close()
    shutil.copy(copy, path)
    with refusal(ErrorCode.LEDGER):
        Ledger(path, "people")


def test_a_missing_or_unreadable_witness_blocks(tmp_path):
    path = tmp_path / "ledger.db"
    charged(path)
    witness = tmp_path / "ledger.db.witness"
    witness.write_text("not json")
    with refusal(ErrorCode.LEDGER):
        Ledger(path, "people")
    witness.unlink()
    with refusal(ErrorCode.LEDGER):
        Ledger(path, "people")


def test_a_witness_one_behind_is_a_crash_not_a_rollback(tmp_path):
    path = tmp_path / "ledger.db"
    charged(path, steps=1)
    older = (tmp_path / "ledger.db.witness").read_bytes()
    again = Ledger(path, "people")
    again.charge("a", 2, "h", EVENTS)
    again.close()
    (tmp_path / "ledger.db.witness").write_bytes(older)
    Ledger(path, "people").close()


def test_another_data_set_blocks(tmp_path):
    path = tmp_path / "ledger.db"
    charged(path)
    with refusal(ErrorCode.LEDGER):
        Ledger(path, "other people")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM charges WHERE seq = 1",
        "DELETE FROM charges",
        "UPDATE charges SET events_json = '[]' WHERE seq = 1",
        "UPDATE charges SET step = 9 WHERE seq = 2",
        "UPDATE charges SET request_hash = 'x' WHERE seq = 2",
        "UPDATE charges SET study = 'b' WHERE seq = 1",
    ],
)
def test_tampering_blocks(tmp_path, statement):
    path = tmp_path / "ledger.db"
    charged(path)
    with sqlite3.connect(path) as database:
        database.execute(statement)
    database.close()
    with refusal(ErrorCode.LEDGER):
        Ledger(path, "people")


def test_a_ledger_of_an_older_version_blocks_and_is_not_touched(tmp_path):
    path = tmp_path / "ledger.db"
    charged(path)
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE outbox DROP COLUMN seal")
    database.close()
    with refusal(ErrorCode.LEDGER):
        Ledger(path, "people")
    ledger = read_ledger(path, "people")
    assert "older version" in ledger.fault
    assert not ledger.charges
    assert len(read_charges(path)) == 2


def test_a_damaged_file_blocks(tmp_path):
    path = tmp_path / "ledger.db"
    charged(path)
    content = bytearray(path.read_bytes())
    content[: len(content) // 2] = os.urandom(len(content) // 2)
    path.write_bytes(content)
    with refusal(ErrorCode.LEDGER):
        Ledger(path, "people")


def test_a_folder_that_is_missing_blocks(tmp_path):
    with refusal(ErrorCode.LEDGER):
        Ledger(tmp_path / "nowhere" / "ledger.db", "people")


def test_a_charge_that_cannot_be_written_is_refused(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db", "people")
    ledger._db.execute("PRAGMA max_page_count = 1")  # what a full disk looks like
    with refusal(ErrorCode.LEDGER):
        for step in range(200):
            ledger.charge("a", step, "h" * 1000, EVENTS)
    ledger.close()


KILLED = """
import sys
from fedsynth_client.budget.spending import read_ledger
from fedsynth_client.budget.charge_chain import read_charges
from fedsynth_client.budget.ledger import Ledger
from fedsynth_common.privacy.events import GaussianEvent
ledger = Ledger(sys.argv[1], "people")
for step in range(ledger.head()[0] + 1, 100000):
    ledger.charge("a", step, "h", [GaussianEvent(noise_multiplier=1.0)])
    print(step, flush=True)
"""


def test_what_was_announced_as_charged_survives_kill(tmp_path):
    path = tmp_path / "ledger.db"
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
        )
        process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        announced = [int(line) for line in process.stdout.read().split()]
        process.wait()
        ledger = Ledger(path, "people")
        assert ledger.head()[0] >= max(announced, default=1)
        ledger.close()
