"""The coordinator's three processes: SuperLink, its SuperExec, and the proxy that sites connect to.

They are started as docker/coordinator does it: TLS everywhere, node keys required, the ServerApp in a
process of its own, a database on disk, no telemetry, no proxy of the environment. A process that ends is
started again after a pause. All three end with the command.
"""

import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from fedsynth_common.child_process import end, end_with_parent
from fedsynth_common.cli.main import QUIET
from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_common.local_ports import taken_ports
from fedsynth_server.coordinator.folder import CoordinatorFolder, CoordinatorSettings

_PASSED_ON = ("LANG", "TZ", "TMPDIR", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
_FIRST_PAUSE, _LONGEST_PAUSE, _STEADY, _GRACE = 2.0, 60.0, 60.0, 20.0  # seconds
_DAY = 86400.0  # seconds
_log = logging.getLogger("fedsynth.coordinator")


def commands(folder: CoordinatorFolder, *, proxy: bool) -> dict[str, list[str]]:
    """The command line of each process by its name.

    Raises:
        InputError: nginx is wanted and is not installed, or is configured for other addresses.
    """
    settings, certificates = folder.settings(), folder.certificates
    address = f"127.0.0.1:{settings.superlink_port}"
    shared = f"--superexec-auth-secret-file={folder.secret}"
    superlink = [
        _script("flower-superlink"),
        f"--ssl-ca-certfile={folder.ca}",
        f"--ssl-certfile={certificates / 'server.pem'}",
        f"--ssl-keyfile={certificates / 'server.key'}",
        "--enable-supernode-auth",
        f"--database={folder.database}",
        "--host=127.0.0.1",
        f"--port={settings.superlink_port}",
        "--isolation=process",
        shared,
        f"--health-server-address=127.0.0.1:{settings.health_port}",
    ]
    superexec = [
        _script("flower-superexec"),
        f"--root-certificates={folder.ca}",
        f"--runtime-api-address={address}",
        shared,
    ]
    started = {"superlink": superlink, "superexec": superexec}
    if proxy:
        nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if nginx is None:
            raise InputError(
                "nginx is not installed; install it, or pass --no-proxy and let your own proxy publish "
                f"/v1/fleet/ of https://{address} as {folder.proxy} shows"
            )
        folder.check_proxy()
        started["proxy"] = [nginx, "-e", "stderr", "-c", str(folder.proxy)]
    return started


def refuse_taken_ports(settings: CoordinatorSettings, *, proxy: bool) -> None:
    """Refuse to start beside a program that has one of the coordinator's ports.

    Raises:
        FedsynthError: it names every such port as coordinator.toml does, and one that is free.
    """
    ports = {"superlink_port": settings.superlink_port, "health_port": settings.health_port}
    if proxy:
        ports["port"] = settings.port
    reasons = taken_ports(ports, "coordinator.toml", {"port": settings.listen})
    if reasons:
        raise FedsynthError("\n  ".join(["the coordinator cannot start:", *reasons]))


def environment(folder: CoordinatorFolder) -> dict[str, str]:
    """What the processes see: nothing of the caller's but language, places and the device."""
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        **QUIET,
        "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/bin",
        "HOME": str(folder.state),
        "FLWR_HOME": str(folder.state / "flower"),
        "NO_PROXY": "*",
        "no_proxy": "*",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def keep_running(
    started: Mapping[str, list[str]],
    surroundings: Mapping[str, str],
    notes: Callable[[], Iterable[str]] = tuple,
) -> None:
    """Run all processes until SIGTERM or SIGINT; one that ends is started again.

    Args:
        started: command lines by name.
        surroundings: environment of all.
        notes: what the log is to say at the start and once a day.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    kept = [_Kept(name, command, surroundings) for name, command in started.items()]
    told = -math.inf
    try:
        while not stop.wait(0.5):
            if time.monotonic() - told >= _DAY:
                told = time.monotonic()
                for note in notes():
                    _log.warning("%s", note)
            for process in kept:
                process.look()
    finally:
        for process in reversed(kept):  # the proxy first, so that no site is left half answered
            process.end()


class _Kept:
    """A process that is started again when it ends, after a pause that grows if it ends at once."""

    def __init__(self, name: str, command: list[str], surroundings: Mapping[str, str]) -> None:
        self._name, self._command, self._surroundings = name, command, dict(surroundings)
        self._process: subprocess.Popen[bytes] | None = None
        self._due, self._pause, self._since = 0.0, _FIRST_PAUSE, 0.0

    def look(self) -> None:
        """Start it if it is due."""
        now = time.monotonic()
        if self._process is not None and (code := self._process.poll()) is not None:
            steady = now - self._since > _STEADY
            self._pause = _FIRST_PAUSE if steady else min(2 * self._pause, _LONGEST_PAUSE)
            _log.warning(
                "%s ended: exit code %s; it starts again in %.0f s", self._name, code, self._pause
            )
            self._process, self._due = None, now + self._pause
        if self._process is None and now >= self._due:
            _log.info("%s starts", self._name)
            self._since = now
            self._process = subprocess.Popen(  # noqa: S603 - built above, from checked settings
                self._command,
                env=self._surroundings,
                stdin=subprocess.DEVNULL,
                preexec_fn=end_with_parent,  # no other thread is running here
            )

    def end(self) -> None:
        """SIGTERM; SIGKILL if that takes too long."""
        if self._process is not None:
            end(self._process, _GRACE)


def _script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))
