"""One process with a log, a start that waits until it is ready, and a certain end."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

END_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL", "--"]


class Process:
    """A command that can be started, stopped (SIGTERM), killed and started again; the log grows on."""

    def __init__(
        self,
        name: str,
        command: list[str],
        log: Path,
        *,
        env: Mapping[str, str],
        ready: Callable[[], bool],
        prefix: list[str] | None = None,
    ) -> None:
        self.name, self.command, self.log = name, command, log
        self._env, self._ready, self._prefix = dict(env), ready, prefix or []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, wait: float = 120.0) -> None:
        """Start and, unless `wait` is 0, wait until it is ready."""
        assert not self.alive, f"{self.name} is running"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, *END_WITH_PARENT, *self.command],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if wait:
            self.wait_ready(wait)

    def wait_ready(self, seconds: float = 120.0) -> None:
        until = time.monotonic() + seconds
        while not self._ready():
            if not self.alive:
                raise AssertionError(f"{self.name} ended ({self.code}):\n{self.text[-3000:]}")
            if time.monotonic() > until:
                raise AssertionError(f"{self.name} is not ready:\n{self.text[-3000:]}")
            time.sleep(0.1)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def code(self) -> int | None:
        return self._process.poll() if self._process else None

    @property
    def text(self) -> str:
        """What it has logged, over all its lives."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def terminate(self) -> None:
        """SIGTERM, and go on at once."""
        if self.alive:
            os.kill(self.pid, signal.SIGTERM)

    def stop(self, wait: float = 40.0) -> int | None:
        """SIGTERM; SIGKILL to it and all its children if it does not end."""
        if self._process is None:
            return None
        if self.alive:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(wait)
        self._end_group()
        return self._process.wait(10)

    def kill(self) -> None:
        """SIGKILL, as a crash of the machine would: no goodbye. Its children end as well."""
        if self._process is None:
            return
        if self.alive:
            self._process.kill()
        self._end_group()
        self._process.wait(10)

    def _end_group(self) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def children(pid: int) -> dict[str, int]:
    """Direct children of a process by the name of their script."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            words = status.with_name("cmdline").read_bytes().split(b"\0")
        except (OSError, IndexError, ValueError):
            continue
        if parent == pid:
            scripts = [Path(word.decode()).name for word in words[:2]]
            found[scripts[-1]] = int(status.parent.name)
    return found


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody uses at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def listens(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(1.0)
        return one.connect_ex(("127.0.0.1", port)) == 0
