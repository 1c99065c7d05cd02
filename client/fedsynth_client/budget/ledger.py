"""The site's ledger: what was ever charged to the people in its table, and what was answered.

Order of every release: charge -> fsync -> compute -> outbox -> reply. A crash loses
budget, never privacy: a charge is never refunded, and what was not stored is never computed again.
A repeated request gets the stored bytes at no charge; the same step with other content is refused.

SQLite in WAL mode with `synchronous=FULL` (NORMAL may lose a committed charge when the power
fails). Charges form a hash chain that starts from the data set's name. A *witness* file holds the
last number and hash outside the database: an older copy of the ledger, or none at all, then blocks
(ERR_LEDGER) instead of starting a fresh budget. Keep the witness on another volume where you can;
a site that loses or restores both at once is beyond what a file can detect.

In a secure sum, what a site committed itself to is an entry of the same chain (`commit`): which
parties its masks are for, and which set it opens. So an older copy of the ledger blocks that would let
it sign a second set. Its keys and shares are kept beside (`kept`), since they must not change.

One process owns a ledger. `shared=True` is for simulations whose actors take turns.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

from fedsynth_client.budget.ledger_guards import FileLock, Witness, close_to_others
from fedsynth_common.errors import ErrorCode, InputError, RefusalError
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.events import Event, from_dict, to_dict
from fedsynth_common.protocol.plan import Plan

IN_MEMORY = ":memory:"
Head = tuple[int, str]

_TABLES = """
CREATE TABLE IF NOT EXISTS charges (seq INTEGER PRIMARY KEY, study TEXT NOT NULL, step INTEGER
  NOT NULL, request_hash TEXT NOT NULL, events_json TEXT NOT NULL, prev_hash TEXT NOT NULL,
  hash TEXT NOT NULL, UNIQUE (study, step));
CREATE TABLE IF NOT EXISTS outbox (study TEXT, step INTEGER, reply BLOB NOT NULL,
  seal TEXT NOT NULL, PRIMARY KEY (study, step));
CREATE TABLE IF NOT EXISTS studies (study TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE,
  plan_json BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS commitments (seq INTEGER PRIMARY KEY, study TEXT NOT NULL, step INTEGER
  NOT NULL, name TEXT NOT NULL, content TEXT NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL,
  UNIQUE (study, step, name));
CREATE TABLE IF NOT EXISTS kept (study TEXT, name TEXT, content BLOB NOT NULL, seal TEXT NOT NULL,
  PRIMARY KEY (study, name));
"""


class Charge(NamedTuple):
    """What one step of a study was charged, and what the study's whole plan would be.

    `planned` is None where the ledger holds no plan that this version can read.
    """

    study: str
    step: int
    events: tuple[Event, ...]
    planned: tuple[Event, ...] | None = None


def genesis(dataset: str) -> str:
    """The hash that the chain of a data set's charges starts from."""
    return hashlib.sha256(f"fedsynth ledger: {dataset}".encode()).hexdigest()


def _link(previous: str, seq: int, study: str, step: int, request: str, events: str) -> str:
    entry = json.dumps([previous, seq, study, step, request, events])
    return hashlib.sha256(entry.encode()).hexdigest()


def _entries(database: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """All entries of the chain in order: number, four fields, the hash before and its own.

    A commitment's name and content stand where a charge has its request's hash and its events. A
    ledger without commitments may have been written before there were any.
    """
    entries = list(database.execute("SELECT * FROM charges"))
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'commitments'"
    if database.execute(query).fetchone():
        entries += database.execute("SELECT * FROM commitments")
    return sorted(entries, key=lambda entry: int(entry[0]))


def _unsealed(reply: object, seal: object) -> bytes:
    """A stored reply as it was first sent: another answer to the same request would be a release."""
    if not isinstance(reply, bytes) or hashlib.sha256(reply).hexdigest() != seal:
        raise RefusalError(ErrorCode.LEDGER)
    return reply


def charges_in(database: sqlite3.Connection) -> list[Charge]:
    """All charges of an open ledger, in order."""
    plans = dict(database.execute("SELECT study, plan_json FROM studies"))
    rows = database.execute("SELECT study, step, events_json FROM charges ORDER BY seq")
    return [
        Charge(
            study,
            step,
            tuple(from_dict(fields) for fields in json.loads(text)),
            _planned(bytes(plans[study])) if study in plans else None,
        )
        for study, step, text in rows
    ]


@lru_cache(maxsize=64)
def _planned(plan_json: bytes) -> tuple[Event, ...] | None:
    """The events of an accepted plan."""
    try:
        return Plan.from_json(plan_json).planned_events()
    except (InputError, PrivacyError):
        return None


def of_this_version(database: sqlite3.Connection) -> bool:
    """Whether replies are stored with their seal; the first ledgers had none."""
    columns = {row[1] for row in database.execute("PRAGMA table_info(outbox)")}
    return not columns or "seal" in columns


def read_charges(path: Path) -> list[Charge]:
    """All charges, for a person to look at, also while a vault owns the ledger. Changes nothing.

    Raises:
        InputError: if there is no readable ledger at `path`.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return charges_in(database)
    except sqlite3.Error:
        raise InputError(f"ledger {path}: missing, or not a ledger that can be read") from None


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
            self._db.executescript(_TABLES)
            if not of_this_version(self._db):  # its replies cannot be told from damaged ones
                raise RefusalError(ErrorCode.LEDGER)
            self._verify()

    def close(self) -> None:
        """Release the file and its lock."""
        self._db.close()
        self._release()

    def _release(self) -> None:
        while self._locks:
            self._locks.pop().release()

    def accept(self, study: str, digest: str, plan_json: bytes) -> None:
        """Remember an accepted plan; accepting it again changes nothing.

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
        """Record what a step is about to release; durable when this returns.

        `admit` sees all earlier charges within the same transaction and refuses by raising, so
        that a cap holds however many requests arrive at once.

        Raises:
            RefusalError: ERR_CONFLICT or ERR_SPENT if the step was charged before; what `admit`
                raises.
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
        link = _link(previous, seq + 1, study, step, request, text)
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
        """The bytes answered to this very request before; None if the step was never charged.

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
                return _unsealed(*row)
            self._refuse_repeated(study, step, request_hash)
        return None

    def store_reply(self, study: str, step: int, reply: bytes) -> None:
        """Keep the reply of a charged step, before it is sent."""
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
                link = _link(previous, seq + 1, study, step, name, text)
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
        return _unsealed(*row) if row else None

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
        """Integrity, hash chain, witness: all hold, or ERR_LEDGER."""
        links = self.verified_links(self._db, self._genesis)
        if self._witness:
            self._witness.verify(links)
            self._witness.write(*self.head())

    @staticmethod
    def verified_links(database: sqlite3.Connection, start: str) -> dict[int, str]:
        """Number and hash of every entry of a sound ledger; 0 is the start of the chain.

        Raises:
            RefusalError: ERR_LEDGER if the file is damaged or a link does not fit.
        """
        sound = database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        links, previous = {0: start}, start
        for row in _entries(database):
            seq, study, step, request, events, before, link = row
            if any(isinstance(value, bytes) for value in row):  # damage can turn text into bytes
                raise RefusalError(ErrorCode.LEDGER)
            expected = _link(previous, len(links), study, step, request, events)
            sound &= (seq, before, link) == (len(links), previous, expected)
            links[seq] = previous = link
        if not sound:
            raise RefusalError(ErrorCode.LEDGER)
        return links

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        with self._mutex:
            row: tuple[Any, ...] | None = self._db.execute(query, values).fetchone()
        return row

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """The only one in this process, and among processes that share the file."""
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
