"""What a process can do from inside its container: `check.sh` pipes it into the Python there.

    docker-compose exec -T dayton-vault python3 - vault <docker/inside.py

Prints a line per check. Tries what must not work, with the rights and programs of the container, and
what must, so that a check cannot pass because nothing works. Exit code 1 if anything is not as it
should be.
"""

import http.client
import importlib.util
import os
import shutil
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

CONNECT_SECONDS = 5
faults = []


def expect(what: str, holds: bool) -> None:
    """Print and remember how a check ended."""
    print(f"{'ok   ' if holds else 'FAULT'} {what}")
    if not holds:
        faults.append(what)


def works(act: Callable[[], object]) -> bool:
    """Whether it can be done at all."""
    try:
        act()
    except Exception:
        return False
    return True


def can_write(path: str) -> bool:
    """Whether a file can be made or added to."""
    return works(lambda: Path(path).open("a").close())


def can_connect(host: str, port: int) -> bool:
    """Whether a TCP connection can be made."""
    return works(lambda: socket.create_connection((host, port), CONNECT_SECONDS).close())


def locked() -> None:
    """No rights, nothing to write but /tmp."""
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    sets = [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")]
    expect("is not root", os.getuid() > 0 and os.getgid() > 0)
    expect("has no capability", not any(sets))
    expect("cannot gain privileges", status["NoNewPrivs"].strip() == "1")
    expect("can write to /tmp", can_write("/tmp/probe"))  # noqa: S108
    for path in (
        "/probe",
        "/etc/probe",
        "/opt/health.py",
        "/opt/fedsynth/probe",
        "/opt/ours/probe",
    ):
        expect(f"cannot write {path}", not can_write(path))
    for command in ("pip", "uv", "flwr-agentapp", "flwr-model", "flwr-connector", "gcc", "curl"):
        expect(f"has no {command}", shutil.which(command) is None)


def vault() -> None:
    """Records, ledger and socket; no network."""
    routes = Path("/proc/net/route").read_text().splitlines()[1:]
    up = [
        interface.name
        for interface in Path("/sys/class/net").iterdir()
        if (interface / "operstate").read_text().strip() == "up"
    ]
    expect("has no route", routes == [])
    expect("has no interface that is up", up == [])
    expect("cannot reach an address", not can_connect("1.1.1.1", 443))
    expect("cannot resolve a name", not works(lambda: socket.getaddrinfo("coordinator", 8443)))
    expect("reads its records", works(lambda: Path("/data/records.csv").read_bytes()))
    expect("can write its ledger", can_write("/ledger/ledger.db"))
    for path in ("/data/records.csv", "/data/probe", "/site/policy.toml", "/site/site.key"):
        expect(f"cannot write {path}", not can_write(path))
    for name in ("flwr", "fedsynth_release", "sklearn"):
        expect(f"has no {name}", importlib.util.find_spec(name) is None)


def courier() -> None:
    """A way to the coordinator and to nobody else; no records, nothing that could open a table."""
    expect("has no records", not Path("/data").exists() and not Path("/ledger").exists())
    expect("does not see the vault's files", not Path("/site").exists())
    for name in ("torch", "pandas", "pyarrow", "opacus"):
        expect(f"has no {name}", importlib.util.find_spec(name) is None)
    expect("cannot add a bundle", not works(Path("/courier/flower/apps/x").mkdir))
    expect("reaches the coordinator", can_connect("coordinator", 8443))
    expect("cannot reach an address outside", not can_connect("1.1.1.1", 443))
    expect("cannot reach the SuperLink itself", not can_connect("superlink", 8000))
    context = ssl.create_default_context(cafile="/courier/ca.crt")
    for path in ("/v1/control/list-runs", "/v1/runtime/acquire-task"):
        connection = http.client.HTTPSConnection("coordinator", 8443, context=context, timeout=20)
        connection.request("POST", path)
        expect(f"gets 403 for {path}", connection.getresponse().status == 403)


if __name__ == "__main__":
    locked()
    {"vault": vault, "courier": courier}[sys.argv[1]]()
    sys.exit(1 if faults else 0)
