"""A relay between two processes: records every byte, and can go silent or break like a network.

`Relay` listens on a TCP port of the loopback interface or on a unix socket. Silence is a partition:
connections stay open, new ones are accepted, and nothing gets through. Reset is a router that lost its
memory: all connections end at once, and new ones are refused until `mend`.
"""

import contextlib
import os
import socket
import struct
import threading
from pathlib import Path

Place = tuple[str, int] | str
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST


class Relay:
    """Forwards from `here` to `there`, both (host, port) or the path of a unix socket."""

    def __init__(self, here, there):
        self.here, self.there = here, there
        self.seen = bytearray()
        self._through = threading.Event()
        self._through.set()
        self._broken = False
        self._pairs = set()
        self._lock = threading.Lock()
        kind = socket.AF_UNIX if isinstance(here, str) else socket.AF_INET
        self._listener = socket.socket(kind)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(here)
        if isinstance(here, str):
            os.chmod(here, 0o666)  # noqa: S103 - vault and courier are two users
        else:
            self.here = self._listener.getsockname()
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self):
        return self.here[1]

    def silence(self):
        """Nothing gets through any more; nobody is told."""
        self._through.clear()

    def reset(self):
        """Every connection breaks, new ones too."""
        self._broken = True
        self._drop()

    def mend(self):
        """Like new. What was sent into the silence is lost with its connection."""
        self._drop()
        self._broken = False
        self._through.set()

    def close(self):
        self._listener.close()
        self._through.set()
        self._drop()
        if isinstance(self.here, str):
            Path(self.here).unlink(missing_ok=True)

    def _drop(self):
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for one in (end for pair in pairs for end in pair):
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self):
        while True:
            try:
                near = self._listener.accept()[0]
            except OSError:
                return
            if self._broken:
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                near.close()
                continue
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near):
        self._through.wait()
        far = socket.socket(socket.AF_UNIX if isinstance(self.there, str) else socket.AF_INET)
        try:
            far.connect(self.there)
        except OSError:
            near.close()
            far.close()
            return
        pair = (near, far)
        with self._lock:
            self._pairs.add(pair)
        for source, target in (pair, pair[::-1]):
            threading.Thread(target=self._pump, args=(pair, source, target), daemon=True).start()

    def _pump(self, pair, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._through.wait()
                self.seen += data
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
        with self._lock:
            self._pairs.discard(pair)
