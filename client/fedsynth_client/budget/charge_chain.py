"""The charges of a ledger as they are stored: tables, hash chain, reading and checking.

The functions of this file read a ledger or compute a hash. Only `ledger.Ledger` writes to one.
"""

import hashlib
import json
import sqlite3
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from fedsynth_client.budget.cohort_seals import has_commitments, seals_in
from fedsynth_common.errors import ErrorCode, InputError, RefusalError
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.events import Event, from_dict
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import Cohort
from fedsynth_common.sqlite_files import reading

Head = tuple[int, str]

TABLES = """
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
    """The events that one step of a study was charged, and the events of the study's whole plan.

    `planned` is None if the ledger holds no plan of the study that this version can read. `cohort` is
    that whose records were served, as the chain has it; None if they may have been all.
    """

    study: str
    step: int
    events: tuple[Event, ...]
    planned: tuple[Event, ...] | None = None
    cohort: Cohort | None = None


def genesis(dataset: str) -> str:
    """The hash with which the chain of a data set's charges starts."""
    return hashlib.sha256(f"fedsynth ledger: {dataset}".encode()).hexdigest()


def link_of(previous: str, seq: int, study: str, step: int, request: str, events: str) -> str:
    """The hash of an entry, which also covers the hash of the entry before it (`previous`)."""
    entry = json.dumps([previous, seq, study, step, request, events])
    return hashlib.sha256(entry.encode()).hexdigest()


def _entries(database: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """All entries of the chain in order: number, four fields, the hash before and its own.

    The name and content of a commitment stand where a charge has the hash of its request and its
    events. A ledger without the table of commitments was written before there were any.
    """
    entries = list(database.execute("SELECT * FROM charges"))
    if has_commitments(database):
        entries += database.execute("SELECT * FROM commitments")
    return sorted(entries, key=lambda entry: int(entry[0]))


def unsealed(reply: object, seal: object) -> bytes:
    """A stored reply, unless it was changed on disk.

    A changed reply would be a second answer to the same request, and so a release without a charge.

    Raises:
        RefusalError: ERR_LEDGER if the reply does not fit its hash.
    """
    if not isinstance(reply, bytes) or hashlib.sha256(reply).hexdigest() != seal:
        raise RefusalError(ErrorCode.LEDGER)
    return reply


def charges_in(database: sqlite3.Connection) -> list[Charge]:
    """All charges of an open ledger, in order."""
    plans = dict(database.execute("SELECT study, plan_json FROM studies"))
    cohorts = {seal.study: seal.cohort for seal in seals_in(database)}
    rows = database.execute("SELECT study, step, events_json FROM charges ORDER BY seq")
    return [
        Charge(
            study,
            step,
            tuple(from_dict(fields) for fields in json.loads(text)),
            _planned(bytes(plans[study])) if study in plans else None,
            cohorts.get(study),
        )
        for study, step, text in rows
    ]


@lru_cache(maxsize=64)
def _planned(plan_json: bytes) -> tuple[Event, ...] | None:
    """The events of an accepted plan; None if this version cannot read it."""
    try:
        return Plan.from_json(plan_json).planned_events()
    except (InputError, PrivacyError):
        return None


def of_this_version(database: sqlite3.Connection) -> bool:
    """Whether the ledger stores each reply with its hash. The first ledgers did not."""
    columns = {row[1] for row in database.execute("PRAGMA table_info(outbox)")}
    return not columns or "seal" in columns


def read_charges(path: Path) -> list[Charge]:
    """All charges, for a person to look at. This changes nothing and works while a vault is running.

    Raises:
        InputError: if there is no readable ledger at `path`.
    """
    try:
        with reading(path) as database:
            return charges_in(database)
    except sqlite3.Error:
        raise InputError(f"ledger {path}: missing, or not a ledger that can be read") from None


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
        expected = link_of(previous, len(links), study, step, request, events)
        sound &= (seq, before, link) == (len(links), previous, expected)
        links[seq] = previous = link
    if not sound:
        raise RefusalError(ErrorCode.LEDGER)
    return links
