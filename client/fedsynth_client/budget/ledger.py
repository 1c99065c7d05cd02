"""The site's ledger: everything that was ever charged to the people in its table, and the replies.

Every release passes the same stages in this order: charge, fsync, compute, store in the outbox,
reply. A crash can therefore cost budget but not privacy. A charge is never refunded, and a step whose
reply was not stored is never computed again. A repeated request gets the stored bytes at no charge,
and a request for the same step with other content is refused.

`ledger_file.py` keeps the ledger on disk, and tells when it is missing or an older copy.

In a secure sum, a site commits itself to the parties whose masks it carries and to the set that it
opens. Commitments are entries of the same chain (`commit`), so an older copy of the ledger, with which
the site could sign a second set, blocks as well. Its keys and shares are stored beside the chain
(`keep`), since they must never change.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence

from fedsynth_client.budget.charge_chain import (
    Charge,
    charges_in,
    link_of,
    unsealed,
)
from fedsynth_client.budget.cohort_seals import KEY, KEY_OF, SealBook, book_in
from fedsynth_client.budget.ledger_file import LedgerFile
from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.privacy.events import Event, to_dict
from fedsynth_common.protocol.plan import Plan

CLOSED = "closed by a restore"
NO_REQUEST = "charged by a restore"
"""In the place of a request's hash: no request has it, so such a step is never answered."""


class Ledger(LedgerFile):
    """Charges, accepted studies and stored replies of one data set.

    Raises:
        RefusalError: ERR_LEDGER, from every method, when the ledger is in use by another process,
            missing, damaged, rolled back, of another data set, or cannot be written.
    """

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

    def seals(self) -> SealBook:
        """The seals of all cohorts that were charged, and the key of their digests."""
        with self._fail_closed(), self._mutex:
            return book_in(self._db)

    def cohort_key(self) -> bytes:
        """The key of the digests of cohorts; made now if there is none. It never leaves the site."""
        return self.keep(KEY_OF, KEY, lambda: os.urandom(32))

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

    def close_study(self, plan: Plan) -> int:
        """Charge every step of a plan that was not charged yet, and answer its study no more.

        For a ledger that was restored, which may lack charges. No cap refuses these charges, since
        they may have been made. Returns how many steps were charged.

        Raises:
            RefusalError: ERR_CONFLICT if the study has another plan here.
        """
        self.accept(plan.study, plan.digest, plan.to_json())
        done = {charge.step for charge in self.charged() if charge.study == plan.study}
        left = [(n, run) for run in plan.message_runs for n in run.numbers if n not in done]
        for number, run in left:
            events = [] if run.paid(done) else [run.event]
            self.charge(plan.study, number, NO_REQUEST, events)
            done.add(number)
        self.commit(plan.study, 0, CLOSED, b"")
        return len(left)

    def is_closed(self, study: str) -> bool:
        """Whether this study is answered no more."""
        return self.commitment(study, 0, CLOSED) is not None

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

    def _charged(self) -> list[Charge]:
        with self._mutex:
            return charges_in(self._db)
