"""kill -9 at every place between a request and its reply, then a restart and the same request again.

Each time: nothing was released that is not charged, no key ever has two outputs, what was charged and
not stored is spent, and what was not charged is computed as if nothing had happened.
"""

import os
import random
import signal
import threading
import time

import pytest
from tracing import WRITES, injected, needs_strace

pytestmark = pytest.mark.slow

BY_PHASE = {  # what the same request gets after the restart
    "request read": "OK",
    "before charge": "OK",
    "charged, not witnessed": "ERR_SPENT",
    "charged": "ERR_SPENT",
    "computing": "ERR_SPENT",
    "computed": "ERR_SPENT",
    "stored": "OK",
}
COMPUTING = {"measure": "computing counts", "discriminate": "computing steps"}
STEP = {"measure": 1, "discriminate": 3}


def request_for(site, method, step=None):
    return getattr(site.requests, f"{method}_request")(step or STEP[method])


def fault(phase, method):
    name = COMPUTING[method] if phase == "computing" else phase
    return {"name": name, "nth": 2 if name == "charged, not witnessed" else 1}  # once on opening


@pytest.mark.parametrize("method", ["measure", "discriminate"])
@pytest.mark.parametrize("phase", BY_PHASE)
def test_killed_at_a_phase(site, method, phase):
    site.start(fault(phase, method))
    assert site.enroll() == "OK"
    request = request_for(site, method)
    assert site.status(method, request) == "dead"
    assert site.wait() == -signal.SIGKILL
    charged = site.check_books()
    assert len(charged) == (phase not in ("request read", "before charge"))
    stored = site.outbox().get(("study", request.step))
    site.start()
    assert site.status(method, request) == BY_PHASE[phase]
    if stored is not None:
        assert site.released["study", request.step][1] == stored
    assert site.status(method, request) == BY_PHASE[phase]  # and once more
    other = "measure" if method == "discriminate" else "discriminate"
    assert site.status(other, request_for(site, other)) == "OK"  # the study goes on
    assert len(site.check_books()) == 2


def test_killed_after_the_reply_was_sent(site):
    site.start()
    site.enroll()
    request = request_for(site, "measure")
    assert site.status("measure", request) == "OK"
    site.kill()
    site.start()
    assert site.status("measure", request) == "OK"  # `call` compares the bytes
    assert len(site.check_books()) == 1


def test_killed_while_the_vault_is_starting(site):
    """Loading the table, opening the ledger, creating the key: another start finds nothing amiss."""
    for delay in (0.0, 0.02, 0.05, 0.1, 0.2):
        site.start(wait=False)
        time.sleep(delay)
        site.kill()
    site.start()
    assert site.enroll() == "OK"
    assert site.check_books() == []


@needs_strace
@pytest.mark.parametrize("method", ["measure", "discriminate"])
def test_killed_at_every_system_call_that_writes(site, method):
    """Every order in which pages, journal, witness and outbox can reach the file system."""
    outcomes = []
    for call in WRITES:
        for number in range(1, 200):
            step = 3 + len(outcomes) if method == "discriminate" else 1
            outcomes.append(killed_at(call, number, site, request_for(site, method, step), method))
            if not outcomes[-1][0]:
                break
            if method == "measure":
                fresh_ledger(site)
        else:
            raise AssertionError("never got to the end of a request")
        if method == "measure":
            fresh_ledger(site)
    assert {(True, False, "OK"), (True, True, "ERR_SPENT")} <= set(outcomes)
    assert len(outcomes) - len(WRITES) > 5
    print(f"{method}: killed at {len(outcomes) - len(WRITES)} calls: {outcomes}")


def killed_at(call, number, site, request, method):
    """Whether the vault died of the nth `call`, whether that was charged, and what it then answers."""
    site.start()
    site.enroll()
    with injected(site.pid, call, "signal=KILL", when=number):
        died = site.status(method, request) == "dead"
        site.kill()
    charged = ("study", request.step) in site.check_books()
    site.start()
    again = site.status(method, request)
    assert again in (("OK", "ERR_SPENT") if charged else ("OK",))
    if ("study", request.step) in site.released:
        assert again == "OK"
    site.kill()
    return died, charged, again


def fresh_ledger(site):
    """Another site, as it were: its only measure step of this number is used."""
    for file in site.folder.glob("ledger.db*"):
        file.unlink()
    site.released.clear()


def test_forty_kills_at_random_moments(site):
    rng = random.Random(os.environ.get("FAULT_SEED", "7"))
    step, spent, retried = 3, 0, 0
    site.start()
    site.enroll()
    for _ in range(40):
        killer = threading.Timer(rng.uniform(0.0, 0.2), os.kill, (site.pid, signal.SIGKILL))
        killer.start()
        while (status := site.status("discriminate", discriminate(site, step))) == "OK":
            step += 1
        assert status == "dead", status
        killer.join()
        assert site.wait() == -signal.SIGKILL
        site.check_books()
        site.start()
        status = site.status("discriminate", discriminate(site, step))
        assert status in ("OK", "ERR_SPENT")
        spent += status == "ERR_SPENT"
        if site.released:
            number = rng.choice(sorted(site.released))[1]
            assert site.status("discriminate", discriminate(site, number)) == "OK"
            retried += 1
        step += 1
    charged = site.check_books()
    assert len(charged) == len(site.released) + spent == step - 3
    assert retried >= 30
    print(f"40 kills: {len(charged)} charged, {len(site.released)} released, {spent} spent")


def discriminate(site, step):
    return site.requests.discriminate_request(step)
