"""Starts a SuperLink and SuperNodes as real processes on the loopback interface, without TLS.

For measurements of transport only: no node keys, no separation of users (see docker/ for the real
thing). Every SuperNode reaches the SuperLink through a relay that counts the bytes.
"""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from fedsynth_common.cli.main import QUIET
from fedsynth_common.errors import FedsynthError

START_SECONDS = 120.0


class CountingRelay:
    """Forwards TCP from its own port to `target`; `total` is the bytes of both directions."""

    def __init__(self, target: int) -> None:
        self.total = 0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._connected, "127.0.0.1", 0)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    async def _connected(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, forth = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(self._pump(near, forth), self._pump(far, back))

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                self.total += len(data)
                target.write(data)
                await target.drain()
        target.close()

    def close(self) -> None:
        """Stop forwarding."""
        self._loop.call_soon_threadsafe(self._loop.stop)


class Loopback:
    """One SuperLink and one SuperNode per vault socket; ended with the block.

    Raises:
        FedsynthError: a process ends or is not ready in two minutes; the log's place is named.
    """

    def __init__(self, folder: Path, sockets: Sequence[Path]) -> None:
        self._folder, self._sockets = folder, sockets
        self._end = ExitStack()
        self.port = free_port()
        self.relays: list[CountingRelay] = []

    def __enter__(self) -> Self:
        with self._end:
            self._start(
                "superlink",
                ["flower-superlink", "--insecure", "--host=127.0.0.1", f"--port={self.port}"],
                self.port,
            )
            for number, vault in enumerate(self._sockets):
                relay = CountingRelay(self.port)
                self._end.callback(relay.close)
                self.relays.append(relay)
                own = free_port()
                command = [
                    *("flower-supernode", "--insecure", f"--superlink=127.0.0.1:{relay.port}"),
                    *("--host=127.0.0.1", f"--port={own}"),
                    f'--node-config=vault-socket="{vault}"',
                ]
                self._start(f"supernode-{number}", command, own)
            self._end = self._end.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.close()

    @property
    def bytes_per_site(self) -> float:
        """Bytes between SuperLink and SuperNodes so far, both directions, per site."""
        return sum(relay.total for relay in self.relays) / len(self.relays)

    def _start(self, name: str, command: list[str], port: int) -> None:
        home, log = self._folder / name, self._folder / f"{name}.log"
        home.mkdir()
        scripts = Path(sys.executable).parent
        environment = os.environ | QUIET | {"FLWR_HOME": str(home), "OMP_NUM_THREADS": "1"}
        environment["PATH"] = f"{scripts}{os.pathsep}{environment.get('PATH', '')}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(scripts / command[0]), *command[1:]],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._end.callback(_stop, process)
        until = time.monotonic() + START_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise FedsynthError(f"{command[0]} did not start; see {log}")
            time.sleep(0.1)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """The process and those that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 15)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def free_port() -> int:
    """A port of the loopback interface that nobody uses at this moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(1.0)
        return one.connect_ex(("127.0.0.1", port)) == 0
