"""The file of a site's ledger: opened by one process, durable, checked, and closed to others.

The ledger is an SQLite database in WAL mode with `synchronous=FULL`, because NORMAL may lose a
committed charge when the power fails. Its entries form a hash chain that starts from the data set's
name (`charge_chain.py`). A *witness* file outside the database holds the number and hash of the last
entry. If the ledger is missing or is an older copy, the witness shows it, and the vault refuses every
request (ERR_LEDGER) instead of starting a new budget. Keep the witness on another volume where you
can. If a site loses or restores the ledger and the witness together, no file can show it.

One process owns a ledger. `shared=True` is for simulations whose actors take turns.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from fedsynth_client.budget.charge_chain import (
    TABLES,
    Head,
    genesis,
    of_this_version,
    verified_links,
)
from fedsynth_client.budget.ledger_guards import FileLock, Witness, close_to_others
from fedsynth_common.errors import ErrorCode, RefusalError

IN_MEMORY = ":memory:"


class LedgerFile:
    """The database of a ledger, its locks and its witness. `Ledger` says what it holds.

    Raises:
        RefusalError: ERR_LEDGER, from every method, when the ledger is in use by another process,
            missing, damaged, rolled back, of another data set, or cannot be written.
    """

    def __init__(
        self,
        path: Path | str,
        dataset: str,
        *,
        shared: bool = False,
        witness: Path | str | None = None,
    ) -> None:
        self._genesis = genesis(dataset)
        self._witness: Witness | None = None
        self._locks: list[FileLock] = []
        self._mutex = RLock()
        if str(path) != IN_MEMORY:
            self._locks.append(FileLock(f"{path}.lock", hold=not shared))
            self._witness = Witness(witness or f"{path}.witness")
        try:
            self._open(path, alone=not shared)
        except BaseException:
            self._release()
            raise

    def _open(self, path: Path | str, *, alone: bool) -> None:
        if self._witness:
            self._witness.refuse_missing_ledger(Path(path))
            if alone:  # the file itself too: it may have other names (links, mounts)
                self._locks.append(FileLock(path, hold=True))
        with self._fail_closed(), self._exclusive():
            if self._witness:
                close_to_others(Path(path))
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA busy_timeout=30000")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(TABLES)
            if not of_this_version(self._db):  # its replies cannot be told from damaged ones
                raise RefusalError(ErrorCode.LEDGER)
            self._verify()

    def close(self) -> None:
        """Close the database and release its locks."""
        self._db.close()
        self._release()

    def _release(self) -> None:
        while self._locks:
            self._locks.pop().release()

    def head(self) -> Head:
        """Number and hash of the last entry: a charge or a commitment."""
        with self._fail_closed():
            row = self._one(
                "SELECT seq, hash FROM charges UNION ALL SELECT seq, hash FROM commitments"
                " ORDER BY seq DESC LIMIT 1"
            )
        return (int(row[0]), str(row[1])) if row else (0, self._genesis)

    def _verify(self) -> None:
        """Check the file, the hash chain and the witness; ERR_LEDGER if one of them does not hold."""
        links = verified_links(self._db, self._genesis)
        if self._witness:
            self._witness.verify(links)
            self._witness.write(*self.head())

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        with self._mutex:
            row: tuple[Any, ...] | None = self._db.execute(query, values).fetchone()
        return row

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Keep out every other thread of this process and every process that shares the file."""
        with self._mutex:
            if self._locks:
                with self._locks[0].turn():
                    yield
            else:
                yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._mutex, self._fail_closed():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _fail_closed(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError):
            raise RefusalError(ErrorCode.LEDGER) from None
