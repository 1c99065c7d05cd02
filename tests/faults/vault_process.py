"""A site's vault as the process it is in production, to be killed, starved and started again.

`VaultSite` holds the files of one small site (the table of `small_site`), starts `fedsynth site
serve` on them through the launcher, and keeps a record of everything the vault ever released. The
ledger is then held against it: nothing released uncharged, one output for a key.
"""

import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import grpc
from small_site import SCHEMA, Site, make_plan, make_records

from fedsynth_client.budget.spending import read_ledger
from fedsynth_client.vault.callers import SocketVault
from fedsynth_common.protocol import PROTOCOL_VERSION
from fedsynth_common.protocol import vault_pb2 as pb

REPLIES = {
    "enroll": pb.EnrollReply,
    "measure": pb.MeasureReply,
    "discriminate": pb.DiscriminateReply,
    "receipt": pb.ReceiptReply,
}
POLICY = """dataset = "people"
site = "{site}"
max_epsilon = {cap}
max_delta = 1e-5
min_records = 100
approved_plans = "any"
"""
LONG = make_plan(training={"messages": 300, "noise_multiplier": 40.0})
"""A study of many cheap messages: many chances to be killed."""


class Launcher:
    """The process that forks vaults; see `launcher.py`."""

    def __init__(self, log, environment=None):
        command = [sys.executable, str(Path(__file__).with_name("launcher.py"))]
        threads = {"OMP_NUM_THREADS": "1"}
        self._log = Path(log).open("wb")  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ | threads | (environment or {}),
        )
        self._answer()

    def _answer(self):
        return json.loads(self._process.stdout.readline())

    def order(self, **order):
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()
        self._log.close()


def make_site(folder, launcher, *, cap=50.0, table=None, schema=SCHEMA, state=None):
    """The files of a site; `state` is the folder of its ledger, by default the site's own."""
    folder.mkdir()
    (folder / "t.csv").write_bytes(table or _table().encode())
    schema.save(folder / "schema.json")
    (folder / "policy.toml").write_text(POLICY.format(cap=cap, site=folder.name))
    return VaultSite(folder, launcher, state or folder)


def _table():
    names = [column.categories for column in (SCHEMA.columns[0], SCHEMA.columns[2])]
    rows = [
        f"{names[0][ward]},{'true' if smoker else 'false'},{names[1][outcome]}"
        for ward, smoker, outcome in make_records(300).codes.tolist()
    ]
    return "\n".join([",".join(column.name for column in SCHEMA.columns), *rows])


class VaultSite:
    """One site: its files, its process, and what it ever released."""

    def __init__(self, folder, launcher, state):
        self.folder, self.launcher = folder, launcher
        self.ledger, self.log = state / "ledger.db", folder / "vault.log"
        self.witness = Path(f"{self.ledger}.witness")
        self.socket = folder / "vault.sock"
        self.vault = SocketVault(str(self.socket), timeout=60.0)
        self.plan = LONG
        self.pid = None
        self.released = {}

    def start(self, *faults, wait=True):
        """Start the process; with `wait`, until it answers."""
        places = {
            **{"data": self.folder / "t.csv", "schema": self.folder / "schema.json"},
            **{"policy": self.folder / "policy.toml", "ledger": self.ledger},
            **{"key": self.folder / "site.key", "socket": self.socket},
        }
        config = self.folder / "site.toml"
        config.write_text("\n".join(f'{name} = "{place}"' for name, place in places.items()))
        arguments = ["--config", str(config)]
        order = {"start": arguments, "faults": list(faults), "log": str(self.log)}
        self.pid = self.launcher.order(**order)["pid"]
        if wait:
            self._until_it_answers()
        return self

    def _until_it_answers(self):
        for _ in range(1200):
            with contextlib.suppress(grpc.RpcError):
                SocketVault(str(self.socket), timeout=5.0).call("receipt", b"")
                return
            if ended(self.pid):
                break
            time.sleep(0.02)
        raise AssertionError(f"the vault did not come up: {self.log.read_text()[-2000:]}")

    def wait(self):
        """The exit status, or minus the signal."""
        pid, self.pid = self.pid, None
        return self.launcher.order(wait=pid)["status"]

    def kill(self, number=signal.SIGKILL):
        """Send a signal and wait for the end."""
        os.kill(self.pid, number)
        return self.wait()

    def end(self):
        """Whatever state it is in."""
        if self.pid is not None:
            self.kill()

    def call(self, method, request):
        """Reply to a request; what is released is noted.

        Raises:
            grpc.RpcError: the vault died or is not there.
        """
        body = request.SerializeToString(deterministic=True)
        data = self.vault.call(method, body)
        reply = REPLIES[method].FromString(data)
        if method in ("measure", "discriminate") and reply.status == "OK":
            key = (self.plan.study, request.step)
            seen = self.released.setdefault(key, (hashlib.sha256(body).hexdigest(), data))
            assert seen[1] == data, f"two outputs for {key}"
        return reply

    def status(self, method, request):
        """The reply's status, or "dead" if the vault died meanwhile."""
        try:
            return self.call(method, request).status
        except grpc.RpcError:
            return "dead"

    def enroll(self, plan=None):
        """Show the plan to the vault."""
        self.plan = plan or self.plan
        request = pb.EnrollRequest(protocol_version=PROTOCOL_VERSION, plan_json=self.plan.to_json())
        return self.call("enroll", request).status

    @property
    def requests(self):
        """Makes the requests of a well-behaved coordinator for the current plan."""
        return Site(plan=self.plan)

    def check_books(self):
        """The ledger holds and covers everything released; returns the charged steps.

        Valid beside a running vault only between two requests.
        """
        ledger = read_ledger(self.ledger, "people")
        assert ledger.fault == ""
        charged = [(charge.study, charge.step) for charge in ledger.charges]
        assert len(set(charged)) == len(charged)
        assert set(self.released) <= set(charged)
        for key, (_, data) in self.released.items():
            assert self.outbox()[key] == data
        return charged

    def outbox(self):
        """What is stored, by key, as a restarted vault would answer it."""
        with closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT study, step, reply FROM outbox").fetchall()
        return {(study, step): bytes(reply) for study, step, reply in rows}


def ended(pid):
    """Whether a process has ended (and waits to be reaped)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True
