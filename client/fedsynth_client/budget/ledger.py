"""The site's ledger: everything that was ever charged to the people in its table, and the replies.

Every release passes the same stages in this order: charge, fsync, compute, store in the outbox,
reply. A crash can therefore cost budget but not privacy. A charge is never refunded, and a step whose
reply was not stored is never computed again. A repeated request gets the stored bytes at no charge,
and a request for the same step with other content is refused.

The ledger is an SQLite database in WAL mode with `synchronous=FULL`, because NORMAL may lose a
committed charge when the power fails. The charges form a hash chain that starts from the data set's
name (`charge_chain.py`). A *witness* file outside the database holds the number and hash of the last
charge. If the ledger is missing or is an older copy, the witness shows it, and the vault refuses every
request (ERR_LEDGER) instead of starting a new budget. Keep the witness on another volume where you
can. If a site loses or restores the ledger and the witness together, no file can show it.

In a secure sum, a site commits itself to the parties whose masks it carries and to the set that it
opens. Commitments are entries of the same chain (`commit`), so an older copy of the ledger, with which
the site could sign a second set, blocks as well. Its keys and shares are stored beside the chain
(`keep`), since they must never change.

One process owns a ledger. `shared=True` is for simulations whose actors take turns.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from fedsynth_client.budget.charge_chain import (
    TABLES,
    Charge,
    Head,
    charges_in,
    genesis,
    link_of,
    of_this_version,
    unsealed,
    verified_links,
)
from fedsynth_client.budget.ledger_guards import FileLock, Witness, close_to_others
from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.privacy.events import Event, to_dict

IN_MEMORY = ":memory:"


class Ledger:
    """Charges, accepted studies and stored replies of one data set.

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

    def accept(self, study: str, digest: str, plan_json: bytes) -> None:
        """Store an accepted plan. Accepting the same plan again changes nothing.

        Raises:
            RefusalError: ERR_CONFLICT if the study has another plan already.
        """
        with self._transaction():
            row = self._one("SELECT digest FROM studies WHERE study = ?", study)
            if row and row[0] != digest:
                raise RefusalError(ErrorCode.CONFLICT)
            if not row:
                self._db.execute("INSERT INTO studies VALUES (?, ?, ?)", (study, digest, plan_json))

    def plan(self, digest: str) -> bytes | None:
        """The accepted plan of this digest, if there is one."""
        with self._fail_closed():
            row = self._one("SELECT plan_json FROM studies WHERE digest = ?", digest)
        return bytes(row[0]) if row else None

    def charge(
        self,
        study: str,
        step: int,
        request_hash: str,
        events: Sequence[Event],
        admit: Callable[[list[Charge]], None] | None = None,
    ) -> None:
        """Charge what a step is about to release. The charge is on disk when this returns.

        `admit` is given all earlier charges within the same transaction, and raises to refuse. So
        the cap holds even if many requests arrive at once.

        Raises:
            RefusalError: ERR_CONFLICT or ERR_SPENT if the step was charged before, or whatever
                `admit` raises.
        """
        with self._exclusive():
            with self._transaction():
                self._refuse_repeated(study, step, request_hash)
                if admit:
                    admit(self._charged())
                self._append(study, step, request_hash, events)
            if self._witness:
                self._witness.write(*self.head())

    def _append(self, study: str, step: int, request: str, events: Sequence[Event]) -> None:
        seq, previous = self.head()
        text = json.dumps([to_dict(event) for event in events], sort_keys=True)
        link = link_of(previous, seq + 1, study, step, request, text)
        self._db.execute(
            "INSERT INTO charges VALUES (?, ?, ?, ?, ?, ?, ?)",
            (seq + 1, study, step, request, text, previous, link),
        )

    def _refuse_repeated(self, study: str, step: int, request_hash: str) -> None:
        query = "SELECT request_hash FROM charges WHERE study = ? AND step = ?"
        if row := self._one(query, study, step):
            same = row[0] == request_hash
            raise RefusalError(ErrorCode.SPENT if same else ErrorCode.CONFLICT)

    def stored_reply(self, study: str, step: int, request_hash: str) -> bytes | None:
        """The reply that was stored for this same request; None if the step was never charged.

        Raises:
            RefusalError: ERR_CONFLICT if the step was charged for another request, ERR_SPENT if its
                reply was lost in a crash, ERR_LEDGER if it was damaged on disk.
        """
        with self._fail_closed():
            query = (
                "SELECT reply, seal FROM outbox JOIN charges USING (study, step)"
                " WHERE study = ? AND step = ? AND request_hash = ?"
            )
            if row := self._one(query, study, step, request_hash):
                return unsealed(*row)
            self._refuse_repeated(study, step, request_hash)
        return None

    def store_reply(self, study: str, step: int, reply: bytes) -> None:
        """Store the reply of a charged step before it is sent."""
        values = (study, step, reply, hashlib.sha256(reply).hexdigest())
        with self._transaction():
            self._db.execute("INSERT INTO outbox VALUES (?, ?, ?, ?)", values)

    def commit(self, study: str, step: int, name: str, content: bytes) -> None:
        """Record what the site binds itself to at a step; durable when this returns, for good.

        Raises:
            RefusalError: ERR_CONFLICT if it bound itself to something else under this name.
        """
        with self._exclusive():
            if (bound := self.commitment(study, step, name)) is not None:
                if bound != content:
                    raise RefusalError(ErrorCode.CONFLICT)
                return
            with self._transaction():
                seq, previous = self.head()
                text = content.hex()
                link = link_of(previous, seq + 1, study, step, name, text)
                self._db.execute(
                    "INSERT INTO commitments VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (seq + 1, study, step, name, text, previous, link),
                )
            if self._witness:
                self._witness.write(*self.head())

    def commitment(self, study: str, step: int, name: str) -> bytes | None:
        """What the site bound itself to, if it did."""
        query = "SELECT content FROM commitments WHERE study = ? AND step = ? AND name = ?"
        with self._fail_closed():
            row = self._one(query, study, step, name)
        return bytes.fromhex(row[0]) if row else None

    def kept(self, study: str, name: str) -> bytes | None:
        """What was kept for a study under this name, if anything.

        Raises:
            RefusalError: ERR_LEDGER if it was damaged on disk.
        """
        with self._fail_closed():
            query = "SELECT content, seal FROM kept WHERE study = ? AND name = ?"
            row = self._one(query, study, name)
        return unsealed(*row) if row else None

    def keep(self, study: str, name: str, make: Callable[[], bytes]) -> bytes:
        """What was kept under this name; made and kept now if nothing was. Durable."""
        with self._exclusive():
            content = self.kept(study, name)
            if content is None:
                content = make()
                values = (study, name, content, hashlib.sha256(content).hexdigest())
                with self._transaction():
                    self._db.execute("INSERT INTO kept VALUES (?, ?, ?, ?)", values)
        return content

    def request_hash(self, study: str, step: int) -> str | None:
        """The hash of the request that a step was charged for, if it was."""
        with self._fail_closed():
            query = "SELECT request_hash FROM charges WHERE study = ? AND step = ?"
            row = self._one(query, study, step)
        return str(row[0]) if row else None

    def charged(self) -> list[Charge]:
        """All charges of all studies, in order."""
        with self._fail_closed():
            return self._charged()

    def events(self, study: str | None = None) -> list[Event]:
        """The events charged to one study, or to all."""
        charges = [charge for charge in self.charged() if study in (None, charge.study)]
        return [event for charge in charges for event in charge.events]

    def head(self) -> Head:
        """Number and hash of the last entry: a charge or a commitment."""
        with self._fail_closed():
            row = self._one(
                "SELECT seq, hash FROM charges UNION ALL SELECT seq, hash FROM commitments"
                " ORDER BY seq DESC LIMIT 1"
            )
        return (int(row[0]), str(row[1])) if row else (0, self._genesis)

    def _charged(self) -> list[Charge]:
        with self._mutex:
            return charges_in(self._db)

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
