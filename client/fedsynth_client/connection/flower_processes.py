"""Starts the courier's two Flower processes in an environment of their own and keeps them running.

SuperNode holds the outgoing TLS connection; SuperExec starts `flwr-clientapp`, the courier, once per
message. This module does three things that Flower (measured on 1.41) does not do:

* It starts each of the two again after a growing pause. SuperNode exits while the coordinator still
  takes the process before it to be alive, which is up to a minute after a crash. If SuperExec dies,
  nobody notices: the site stays listed, and messages to it are lost. A SuperNode that gave its
  connection up would go on running without one; `supernode` makes it end. One that does not trust the
  coordinator's certificate ends the command (`untrusted_certificate`).
* It gives the two a secret that is new with every start, so that nobody else can use the local port.
* It lets SuperExec find one command, `flwr-clientapp`, in `PATH`. Otherwise SuperExec would also start
  agents, models and connectors that a coordinator asks for.

The environment takes nothing from the caller: no key, no Python path, and no proxy, because messages
between the two processes would pass through it too. The proxy to the outside is named in courier.toml.
"""

import logging
import os
import secrets
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fedsynth_client.connection.approved_bundle import APPS
from fedsynth_client.connection.coordinator_watch import (
    NOT_REGISTERED,
    REFUSED,
    REFUSED_WORDS,
    UNREGISTERED_WORDS,
)
from fedsynth_client.connection.node_key import public_line, public_path
from fedsynth_client.connection.untrusted_certificate import CertificateFault
from fedsynth_client.settings.site_config import LONGEST_SOCKET, CourierConfig
from fedsynth_common.child_process import end, end_with_parent
from fedsynth_common.cli.main import QUIET
from fedsynth_common.errors import InputError
from fedsynth_common.local_ports import taken_ports

LOOPBACK = ("127.0.0.1:", "localhost:", "[::1]:")
_PASSED_ON = ("LANG", "TZ", "TMPDIR")
_POLL = (
    "0.2"  # seconds between SuperExec's questions for work; Flower's default of 1 delays a study
)
_FIRST_PAUSE, _LONGEST_PAUSE, _STEADY = 2.0, 60.0, 60.0  # seconds
_GRACE = 20.0
_log = logging.getLogger("fedsynth.courier")


def unsafe(config: CourierConfig) -> list[str]:
    """The reasons why the courier must not start, one line each."""
    reasons = []
    try:
        public_line(config.node_key)
        if config.node_key.stat().st_mode & 0o077:
            reasons.append(f"node key {config.node_key}: others may use it; chmod 600")
    except InputError as error:
        reasons.append(str(error))
    reasons += _no_authority(config.root_certificates)
    reasons += _unlocked(config.home)
    place = str(config.socket)
    if len(os.fsencode(place)) > LONGEST_SOCKET or any(c in place for c in "\"'\\\n"):
        reasons.append(f"socket {place}: longer than {LONGEST_SOCKET} bytes, or with a quote in it")
    ports = {"runtime_port": config.runtime_port, "health_port": config.health_port}
    reasons += taken_ports(ports, "courier.toml")
    if os.geteuid() == 0:
        reasons.append(
            "the courier must not run as root, who may write everywhere: use its own user"
        )
    return reasons


def _no_authority(path: Path) -> list[str]:
    """The reasons why this file of trusted certificates cannot be used."""
    if not path.is_file():
        return [f"root certificates {path}: no such file; ask the coordinator"]
    if path.stat().st_mode & 0o002:
        return [f"root certificates {path}: everybody may write; chmod o-w"]
    try:
        ssl.create_default_context(cafile=path)
    except OSError:  # ssl.SSLError is one
        return [f"root certificates {path}: no certificate in PEM; ask the coordinator"]
    return []


def _unlocked(home: Path) -> list[str]:
    """The reasons why a bundle that nobody here approved could be unpacked and imported."""
    apps = home / APPS
    bundles = sorted(apps.iterdir()) if apps.is_dir() else []
    if not bundles:
        return [f"home {home}: no app bundle; run `fedsynth site bundle FILE.fab --install {home}`"]
    reasons = []
    for path in (apps, *(inner for bundle in bundles for inner in (bundle, *bundle.rglob("*")))):
        if os.geteuid() != 0 and os.access(path, os.W_OK):
            reasons.append(f"{path}: this user may write there; chmod a-w")
        if path.parent in bundles and path.name not in {"pyproject.toml", "LICENSE"}:
            reasons.append(f"{path}: an app bundle may hold no code; install it with `site bundle`")
    return reasons


@dataclass(frozen=True, kw_only=True)
class Commands:
    """What is started: the two command lines, the environment of both, and what exit codes mean."""

    supernode: list[str]
    superexec: list[str]
    environment: dict[str, str] = field(repr=False)
    meanings: Mapping[int, str] = field(default_factory=dict)


def commands(config: CourierConfig, path: Path, secret: Path, plaintext: bool) -> Commands:
    """The command lines; `path` is all that the processes find commands in.

    Raises:
        InputError: `plaintext` is asked for a coordinator on another machine.
    """
    if plaintext and not config.superlink.startswith(LOOPBACK):
        raise InputError(
            f"--plaintext-loopback: {config.superlink} is not on this machine; use TLS"
        )
    runtime = f"127.0.0.1:{config.runtime_port}"
    security = (
        ["--insecure"]
        if plaintext  # Flower refuses a node key without TLS
        else [
            f"--root-certificates={config.root_certificates}",
            f"--auth-supernode-private-key={config.node_key}",
        ]
    )
    shared = f"--superexec-auth-secret-file={secret}"
    supernode = [
        *(sys.executable, "-P", "-m", "fedsynth_client.connection.supernode"),
        f"--superlink={config.superlink}",
        *security,
        "--isolation=process",
        shared,
        "--host=127.0.0.1",
        f"--port={config.runtime_port}",
        f"--health-server-address=127.0.0.1:{config.health_port}",
        f'--node-config=vault-socket="{os.path.normpath(config.socket)}"',
    ]
    superexec = [
        _script("flower-superexec"),
        f"--runtime-api-address={runtime}",
        "--insecure",
        shared,
    ]
    return Commands(
        supernode=supernode,
        superexec=superexec,
        environment=_environment(config, path),
        meanings={
            NOT_REGISTERED: UNREGISTERED_WORDS.format(key=public_path(config.node_key)),
            REFUSED: REFUSED_WORDS,
        },
    )


def _environment(config: CourierConfig, path: Path) -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    proxy = {"HTTPS_PROXY": config.proxy} if config.proxy else {}
    return {
        **passed,
        **proxy,
        **QUIET,
        "PATH": str(path),
        "HOME": str(path),
        "FLWR_HOME": str(config.home),
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": _POLL,
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


@contextmanager
def private_folder() -> Iterator[tuple[Path, Path]]:
    """A folder with `flwr-clientapp` alone and, beside it, a new shared secret; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fedsynth-courier-") as name:
        path, secret = Path(name, "bin"), Path(name, "secret")
        path.mkdir()
        path.joinpath("flwr-clientapp").symlink_to(_script("flwr-clientapp"))
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        yield path, secret


def keep_running(started: Commands) -> CertificateFault | None:
    """Run both processes until SIGTERM or SIGINT; if one ends, it is started again.

    Returns:
        Why trying again is of no use, if that is why it ended; else None.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    kept = [
        _Kept("supernode", started.supernode, started),
        _Kept("superexec", started.superexec, started),
    ]
    try:
        while not stop.wait(0.5):
            for process in kept:
                if (code := process.look()) in set(CertificateFault):
                    return CertificateFault(code)
        return None
    finally:
        for process in kept:
            process.end()


class _Kept:
    """A process that is started again when it ends, after a pause that grows if it ends at once."""

    def __init__(self, name: str, command: list[str], started: Commands) -> None:
        self._name, self._command, self._environment = name, command, started.environment
        self._meanings = started.meanings
        self._process: subprocess.Popen[bytes] | None = None
        self._due, self._pause, self._since = 0.0, _FIRST_PAUSE, 0.0

    def look(self) -> int | None:
        """Start it if it is due; returns the exit code if it has ended since."""
        now = time.monotonic()
        code = self._process.poll() if self._process else None
        if code is not None:
            self._pause = (
                _FIRST_PAUSE
                if now - self._since > _STEADY
                else min(2 * self._pause, _LONGEST_PAUSE)
            )
            why = self._meanings.get(code, f"exit code {code}")
            _log.warning("%s ended: %s; it starts again in %.0f s", self._name, why, self._pause)
            self._process, self._due = None, now + self._pause
        if self._process is None and now >= self._due:
            self._process, self._since = self._start(), now
        return code

    def _start(self) -> "subprocess.Popen[bytes]":
        _log.info("%s starts", self._name)
        return subprocess.Popen(  # noqa: S603 - the command is built above, from checked settings
            self._command,
            env=dict(self._environment),
            stdin=subprocess.DEVNULL,
            preexec_fn=end_with_parent,  # no other thread is running here
        )

    def end(self) -> None:
        """SIGTERM, so that SuperNode tells the coordinator; SIGKILL if that takes too long."""
        if self._process is not None:
            end(self._process, _GRACE)
