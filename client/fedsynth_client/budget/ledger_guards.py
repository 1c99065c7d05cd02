"""Two guards of the ledger: a lock keeps out a second process, a witness shows an older copy.

All files of a ledger are created for their owner alone (mode 0600), whatever the umask is.

The witness is a small file with the number and hash of the last charge. It is replaced atomically and
fsynced after each charge. If the vault crashes between the charge and the witness, the witness is one
charge behind the ledger, which is allowed. A ledger that is *behind its witness* is an older copy.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fedsynth_common.durable import write_durably
from fedsynth_common.errors import ErrorCode, RefusalError

OWNER_ONLY = 0o600


class Witness:
    """The file that holds the number and hash of the last charge outside the ledger."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)

    def refuse_missing_ledger(self, ledger: Path) -> None:
        """Refuse (ERR_LEDGER) if there is a witness but no ledger, which must have been deleted."""
        if self._path.exists() and not (ledger.exists() and ledger.stat().st_size):
            raise RefusalError(ErrorCode.LEDGER)

    def verify(self, links: Mapping[int, str]) -> None:
        """Compare the witness with a ledger's chain (number -> hash; 0 is the start of the chain).

        Raises:
            RefusalError: ERR_LEDGER if the chain does not hold the witnessed charge, if the witness
                cannot be read, or if a ledger with charges has no witness.
        """
        self.compare(self.read(), links)

    def read(self) -> tuple[int, str] | None:
        """The number and hash in the witness; None if there is no witness.

        Raises:
            RefusalError: ERR_LEDGER if the witness cannot be read.
        """
        try:
            seq, link = json.loads(self._path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError):
            raise RefusalError(ErrorCode.LEDGER) from None
        return seq, link

    @staticmethod
    def compare(seen: tuple[int, str] | None, links: Mapping[int, str]) -> None:
        """Refuse (ERR_LEDGER) unless the chain holds the witnessed charge."""
        if seen is None:
            if len(links) == 1:
                return
            raise RefusalError(ErrorCode.LEDGER) from None
        seq, link = seen
        if links.get(seq) != link:
            raise RefusalError(ErrorCode.LEDGER)

    def write(self, seq: int, link: str) -> None:
        """Replace the witness. The new one is on disk when this returns.

        Raises:
            RefusalError: ERR_LEDGER if it cannot be written.
        """
        try:
            write_durably(self._path, json.dumps([seq, link]).encode(), OWNER_ONLY)
        except OSError:
            raise RefusalError(ErrorCode.LEDGER) from None


def close_to_others(path: Path) -> None:
    """Create `path` for its owner alone, or take the permissions of others from our own file.

    SQLite gives its journals the permissions of the database, so nothing more is needed.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
    try:
        state = os.fstat(descriptor)
        if state.st_mode & 0o077 and state.st_uid == os.geteuid():
            os.fchmod(descriptor, OWNER_ONLY)
    finally:
        os.close(descriptor)


class FileLock:
    """An advisory lock that one process holds until it ends, or that several take in turns."""

    def __init__(self, path: Path | str, *, hold: bool) -> None:
        self._hold = hold
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
            if hold:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RefusalError(ErrorCode.LEDGER) from None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the lock while the block runs."""
        if self._hold:
            yield
            return
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def release(self) -> None:
        """Give the lock up."""
        os.close(self._descriptor)


def in_use(ledger: Path) -> bool:
    """Whether a process holds this ledger now, under this name or another one of the same file."""
    for path in (Path(f"{ledger}.lock"), ledger):
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            continue
    return False
