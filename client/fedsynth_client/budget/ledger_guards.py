"""Beside the ledger: a lock against a second process, a witness against an older copy.

All files of a ledger are created for their owner alone (mode 0600), whatever the umask.

The witness is a small file with the number and hash of the last charge, replaced atomically and
fsynced after each charge. A crash between charge and witness leaves it one behind, which is fine;
a ledger that is *behind its witness* was rolled back.
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
    """Number and hash of the last charge, kept outside the ledger."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)

    def refuse_missing_ledger(self, ledger: Path) -> None:
        """ERR_LEDGER if there is a witness but no ledger: it was deleted, not new."""
        if self._path.exists() and not (ledger.exists() and ledger.stat().st_size):
            raise RefusalError(ErrorCode.LEDGER)

    def verify(self, links: Mapping[int, str]) -> None:
        """Compare with a ledger's chain (number -> hash, 0 the start).

        Raises:
            RefusalError: ERR_LEDGER if the chain lacks what was witnessed, if the witness cannot be
                read, or if a ledger with charges has none.
        """
        self.compare(self.read(), links)

    def read(self) -> tuple[int, str] | None:
        """What was witnessed last; None if nothing was.

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
        """ERR_LEDGER unless the chain holds what was witnessed."""
        if seen is None:
            if len(links) == 1:
                return
            raise RefusalError(ErrorCode.LEDGER) from None
        seq, link = seen
        if links.get(seq) != link:
            raise RefusalError(ErrorCode.LEDGER)

    def write(self, seq: int, link: str) -> None:
        """Replace the witness; durable when this returns.

        Raises:
            RefusalError: ERR_LEDGER if it cannot be written.
        """
        try:
            write_durably(self._path, json.dumps([seq, link]).encode(), OWNER_ONLY)
        except OSError:
            raise RefusalError(ErrorCode.LEDGER) from None


def close_to_others(path: Path) -> None:
    """Create `path` for its owner alone; close one of our own that others may read.

    SQLite gives its journals the permissions of the database, so this is all that it takes.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
    try:
        state = os.fstat(descriptor)
        if state.st_mode & 0o077 and state.st_uid == os.geteuid():
            os.fchmod(descriptor, OWNER_ONLY)
    finally:
        os.close(descriptor)


class FileLock:
    """An advisory lock: held for life by one process, or taken in turns by several."""

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
        """Exclusive for the duration of the block."""
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
