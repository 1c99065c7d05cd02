"""Runs the production command `fedsynth site serve` in forked children, with faults where asked.

The libraries are loaded once; then every line on standard input is an order, answered by one line:

    {"start": [arguments of `serve`], "faults": [...], "log": path}  ->  {"pid": 123}
    {"wait": pid}                                                    ->  {"status": exit code or -signal}

A fault is `{"name": one of FAULTS, "nth": 1}`: the child kills itself with SIGKILL, or misbehaves, when
that place is reached for the nth time. Production code has no such places: functions are replaced here,
in the child, before the command starts.
"""

import ctypes
import json
import os
import signal
import sys
import time
from functools import wraps

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.ledger_guards import Witness
from fedsynth_client.preflight import preflight  # noqa: F401 - loaded once for all children
from fedsynth_client.vault import (  # noqa: F401 - likewise
    discriminate,
    measure,
    service,
    socket_server,
)
from fedsynth_common.cli.main import main as fedsynth

ASKED = ("measure", "discriminate", "keys", "shares", "agree", "unmask")


def die():
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


class Counted:
    """Calls `act` at the nth call and never again."""

    def __init__(self, nth, act=die):
        self.left, self.act = nth, act

    def __call__(self):
        self.left -= 1
        if self.left == 0:
            self.act()


def replace(owner, name, before=None, after=None, when=lambda *_: True):
    original = getattr(owner, name)

    @wraps(original)
    def replaced(*args, **kwargs):
        if before and when(*args):
            before()
        result = original(*args, **kwargs)
        if after and when(*args):
            after()
        return result

    setattr(owner, name, replaced)


def asked(_, method, *__):
    return method in ASKED


FAULTS = {
    "request read": lambda now: replace(service.Vault, "call", now, when=asked),
    "before charge": lambda now: replace(Ledger, "charge", now),
    "before keeping": lambda now: replace(Ledger, "keep", now),
    "kept": lambda now: replace(Ledger, "keep", after=now),
    "before commitment": lambda now: replace(Ledger, "commit", now),
    "committed": lambda now: replace(Ledger, "commit", after=now),
    "charged, not witnessed": lambda now: replace(Witness, "write", now),
    "charged": lambda now: replace(Ledger, "charge", after=now),
    "computing counts": lambda now: replace(measure, "noisy_counts", now),
    "computing steps": lambda now: replace(discriminate.Trainer, "step", after=now),
    "masked": lambda now: replace(service, "masked_reply", after=now),
    "computed": lambda now: replace(Ledger, "store_reply", now),
    "stored": lambda now: replace(Ledger, "store_reply", after=now),
}


def slow(seconds):
    replace(discriminate.Trainer, "step", after=lambda: time.sleep(seconds))


def unlucky(name):
    """A library that quotes what it stumbled over, or runs out of memory."""

    def fail():
        raise {"quote": ValueError("cell 'ZZCANARY-quoted'"), "memory": MemoryError()}[name]

    return fail


def install(fault):
    match fault["name"]:
        case "slow":
            slow(fault["seconds"])
        case "failing":
            FAULTS["computing counts"](Counted(1, unlucky(fault["error"])))
        case name:
            FAULTS[name](Counted(fault.get("nth", 1)))


def serve(order):
    """In the child: the production command, with its output in the log."""
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    empty = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, empty), (1, log), (2, log)):
        os.dup2(source, target)
    os.setsid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no vault outlives the tests
    for fault in order.get("faults", []):
        install(fault)
    sys.argv = ["fedsynth", "site", "serve", *order["start"]]
    code = 0
    try:
        fedsynth()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main():
    answers = os.fdopen(os.dup(1), "w")
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            status = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
            print(json.dumps({"status": status}), file=answers, flush=True)
        else:
            pid = os.fork()
            if pid == 0:
                serve(order)
            print(json.dumps({"pid": pid}), file=answers, flush=True)


if __name__ == "__main__":
    main()
