"""Seals of cohorts: what the records of a cohort were when it was first charged.

Before a study of a cohort is charged, the vault seals the cohort: the ledger's chain gets an entry with
the cohort, the day, and a keyed digest of the cohort's records (HMAC; the key is in the ledger and never
leaves the site). A table in which a sealed cohort has changed is not served. Otherwise a record could be
moved from a cohort whose budget is spent into one whose budget is not.

A receipt shows the hash of the chain. Without the key nobody can learn from it whether a record is in
the cohort, however well they guess the rest.

A steward who knows why a cohort has changed, and that none of its records is in another cohort now, can
seal it anew (`fedsynth site cohorts --accept`). The chain keeps both seals.
"""

import json
import sqlite3
from dataclasses import asdict, dataclass

from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.schema import Cohort

SEAL, STEP = "cohort", 0
"""Name and step under which the chain holds the seal of a study's cohort."""
AMENDED = "cohort amended "
KEY_OF, KEY = "", "cohort key"
"""Under which study and name the ledger keeps the key of the digests; no study has an empty name."""


@dataclass(frozen=True)
class Seal:
    """The cohort of a study as it was charged.

    Attributes:
        study: that was charged, or the last one if the cohort was sealed anew.
        cohort: which records.
        schema: digest of the modelled columns, which the codes depend on.
        records: keyed digest of the records' codes.
        day: when it was sealed, in ISO 8601.
    """

    study: str
    cohort: Cohort
    schema: str
    records: str
    day: str

    def to_bytes(self) -> bytes:
        """Canonical JSON, as the chain holds it."""
        fields = asdict(self)
        if self.cohort.per_person == 1:  # as before there were persons in cohorts
            del fields["cohort"]["per_person"]
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Seal":
        """Read what the chain holds.

        Raises:
            RefusalError: ERR_LEDGER if it is no seal.
        """
        try:
            fields = json.loads(content)
            return cls(**{**fields, "cohort": Cohort(**fields["cohort"])})
        except (ValueError, TypeError, KeyError):
            raise RefusalError(ErrorCode.LEDGER) from None


@dataclass(frozen=True)
class SealBook:
    """All seals that are in force, and the key of their digests; None if nothing was ever sealed."""

    key: bytes | None = None
    seals: tuple[Seal, ...] = ()

    @property
    def last_day(self) -> str:
        """The latest day of a seal; empty without seals."""
        return max((seal.day for seal in self.seals), default="")


def has_commitments(database: sqlite3.Connection) -> bool:
    """Whether the ledger has the table of commitments; the first ones had none."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'commitments'"
    return database.execute(query).fetchone() is not None


def seals_in(database: sqlite3.Connection) -> tuple[Seal, ...]:
    """The seal in force of every study of a cohort: the last one in the chain."""
    if not has_commitments(database):
        return ()
    rows = database.execute(
        "SELECT study, content FROM commitments WHERE step = ? AND (name = ? OR name LIKE ?)"
        " ORDER BY seq",
        (STEP, SEAL, f"{AMENDED}%"),
    )
    seals = {study: Seal.from_bytes(bytes.fromhex(content)) for study, content in rows}
    return tuple(seals.values())


def book_in(database: sqlite3.Connection) -> SealBook:
    """The seals and the key of an open ledger."""
    seals = seals_in(database)
    if not seals:
        return SealBook()
    row = database.execute(
        "SELECT content FROM kept WHERE study = ? AND name = ?", (KEY_OF, KEY)
    ).fetchone()
    return SealBook(bytes(row[0]) if row else None, seals)
