"""The vault: it takes a request, gives a reply, and sends nothing else.

Every step passes the same stages: the request is parsed and checked; a reply that is stored already is
sent again; else the step is admitted and charged on disk; the reply is computed on the records, stored,
and sent. The records are not touched before the charge is on disk. No method raises. A refusal is sent
as its code, and any other error as ERR_INTERNAL. The site's log says what went wrong by the kind of the
error and a line number, without the error's text, which could quote a cell. A failure after the charge
is stored like a result, so that repeating the request computes nothing.
"""

import hashlib
import logging
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from threading import RLock
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import DecodeError

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.policy import PolicySource
from fedsynth_client.budget.receipts import package_version, receipt_json
from fedsynth_client.records.records import Records
from fedsynth_client.refused import RefusedError
from fedsynth_client.vault.admission import admit_cost, admit_plan, admit_step, events_at
from fedsynth_client.vault.callers import refusal
from fedsynth_client.vault.checks import assignment_of, measurement_of, plan_of
from fedsynth_client.vault.cohorts import seal_cohort, today
from fedsynth_client.vault.discriminate import discriminate, gradient_share
from fedsynth_client.vault.measure import noisy_counts_of
from fedsynth_client.vault.request_log import Handled, RequestLog, charged_words
from fedsynth_client.vault.secure_sum import ANSWERS, SumParty, begin, masked, sums_of
from fedsynth_client.vault.templates import is_repeated
from fedsynth_common.array_types import Int64Array
from fedsynth_common.errors import ErrorCode, InputError, RefusalError
from fedsynth_common.limits import REQUEST_BYTES
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.events import Event
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.protocol import enrolment_text
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import pack, pack_counts
from fedsynth_common.protocol.content import request_hash
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import Schema

Reply = TypeVar("Reply", pb.EnrollReply, pb.MeasureReply, pb.DiscriminateReply, pb.ReceiptReply)
OK = ErrorCode.OK.value
_log = logging.getLogger("fedsynth.vault")


class Vault:
    """Holds the records of a site and answers requests, one at a time."""

    def __init__(
        self,
        records: Records,
        schema: Schema,
        policy: PolicySource,
        ledger: Ledger,
        randomness: Randomness,
        signing_key: Ed25519PrivateKey,
    ) -> None:
        self._records, self._schema = records, schema
        self._policies, self._policy = policy, policy.current()
        self._requests, self._handled = RequestLog(), Handled("")
        self._ledger, self._randomness, self._key = ledger, randomness, signing_key
        self._receipt_key = signing_key.public_key().public_bytes_raw()
        self._turn = RLock()

    def call(self, method: str, request: bytes) -> bytes:
        """Answer a serialised request of `method` ("enroll", "measure"...) with a serialised reply."""
        methods: dict[str, tuple[Any, Callable[[Any], Any]]] = {
            "enroll": (pb.EnrollRequest, self.enroll),
            "measure": (pb.MeasureRequest, self.measure),
            "discriminate": (pb.DiscriminateRequest, self.discriminate),
            "receipt": (pb.ReceiptRequest, self.receipt),
            **{name: (ANSWERS[name][0], partial(self.summed, name)) for name in ANSWERS},
        }
        kind, answer = methods[method]
        if len(request) > REQUEST_BYTES[method]:
            return self._malformed(method)
        with self._turn:  # a request that waits is kept as bytes and not parsed
            try:
                message = kind.FromString(request)
            except DecodeError:
                return self._malformed(method)
            reply: bytes = answer(message).SerializeToString()
            return reply

    def _malformed(self, method: str) -> bytes:
        self._requests.refused(Handled(method), ErrorCode.PAYLOAD)
        return refusal(method, ErrorCode.PAYLOAD)

    def enroll(self, request: pb.EnrollRequest) -> pb.EnrollReply:
        """Accept a plan, or refuse it. Charges nothing."""
        return self._guarded("enroll", pb.EnrollReply, lambda: self._enroll(request))

    def measure(self, request: pb.MeasureRequest) -> pb.MeasureReply:
        """Noisy counts of the requested marginals."""
        return self._guarded("measure", pb.MeasureReply, lambda: self._measure(request))

    def discriminate(self, request: pb.DiscriminateRequest) -> pb.DiscriminateReply:
        """The discriminator after the message's DP-SGD steps."""
        return self._guarded(
            "discriminate", pb.DiscriminateReply, lambda: self._discriminate(request)
        )

    def receipt(self, request: pb.ReceiptRequest) -> pb.ReceiptReply:
        """The signed list of what this study was charged."""
        return self._guarded("receipt", pb.ReceiptReply, lambda: self._receipt(request))

    def summed(self, method: str, request: Any) -> Any:
        """Any request that only a plan with a secure sum knows (`vault.secure_sum`)."""
        _, kind, answer = ANSWERS[method]

        def answered() -> Any:
            plan = self._plan(request.plan_digest)
            return answer(SumParty.of(plan, self._ledger, self._key), request)

        return self._guarded(method, kind, answered)

    def _enroll(self, request: pb.EnrollRequest) -> pb.EnrollReply:
        plan = plan_of(request, self._policy, self._ledger)
        self._handled.of(plan)
        self._admit(plan)
        self._refuse_closed(plan)
        admit_cost(plan, self._policy, self._ledger.charged())
        if self._served(plan).units < self._policy.min_records:
            raise RefusalError(ErrorCode.RECORDS)
        self._ledger.accept(plan.study, plan.digest, plan.to_json())
        self._handled.outcome = f"the plan {plan.digest[:16]}... is accepted; nothing is charged"
        site = self._policy.site or ""
        return pb.EnrollReply(
            status=OK,
            package_version=package_version(),
            receipt_key=self._receipt_key,
            site=site,
            signature=self._key.sign(enrolment_text(bytes.fromhex(plan.digest), site)),
        )

    def _measure(self, request: pb.MeasureRequest) -> pb.MeasureReply:
        plan = self._plan(request.plan_digest)
        checked = measurement_of(request, plan, self._schema)
        events = checked.events(self._schema, plan.shares_of(request.step))

        def counts(most: int | None = None) -> Int64Array:
            shares = plan.shares_of(request.step)
            return noisy_counts_of(self._served(plan), checked, self._randomness, shares, most)

        if plan.summed(request.step):  # a share of the noise does not protect counts by itself
            site = SumParty.of(plan, self._ledger, self._key)
            at = begin(site, request, checked.cells)

            def compute() -> pb.MeasureReply:
                words = masked(site, at, counts(site.terms.most))
                return pb.MeasureReply(status=OK, counts=words)
        else:

            def compute() -> pb.MeasureReply:
                return pb.MeasureReply(status=OK, counts=pack_counts(counts()))

        return self._release(pb.MeasureReply, plan, request, events, compute)

    def _discriminate(self, request: pb.DiscriminateRequest) -> pb.DiscriminateReply:
        plan = self._plan(request.plan_digest)
        checked, shares = assignment_of(request, plan, self._schema), plan.shares_of(request.step)
        if plan.summed(request.step):
            site = SumParty.of(plan, self._ledger, self._key)
            at = begin(site, request, checked.weights.size)

            def compute() -> pb.DiscriminateReply:
                most = site.terms.of_step(at.step).most
                records = self._served(plan)
                part = gradient_share(records, checked, shares, most, self._randomness)
                return pb.DiscriminateReply(status=OK, sums=masked(site, at, part))
        else:

            def compute() -> pb.DiscriminateReply:
                served = self._served(plan)
                weights, moments = discriminate(served, checked, self._randomness)
                return pb.DiscriminateReply(
                    status=OK, weights=pack(weights, "f4"), moments=pack(moments, "f4")
                )

        events = [checked.plan.message_event(shares)]
        return self._release(pb.DiscriminateReply, plan, request, events, compute)

    def _receipt(self, request: pb.ReceiptRequest) -> pb.ReceiptReply:
        plan = self._plan(request.plan_digest)
        body = receipt_json(
            study=plan.study,
            plan_digest=plan.digest,
            dataset=self._policy.dataset,
            events=self._ledger.events(plan.study),
            head=self._ledger.head()[1],
            seeded=not self._randomness.private,
            sums=sums_of(plan, self._ledger),
        )
        return pb.ReceiptReply(status=OK, receipt_json=body, signature=self._key.sign(body))

    def _plan(self, digest: bytes) -> Plan:
        """The enrolled plan of this digest (32 bytes), if today's policy still allows it."""
        accepted = self._ledger.plan(digest.hex())
        if accepted is None:
            raise RefusedError(ErrorCode.PLAN, "it is of a plan that was not accepted here")
        if hashlib.sha256(accepted).digest() != digest:  # damage must not weaken an approved plan
            raise RefusalError(ErrorCode.LEDGER)
        try:
            plan = Plan.from_json(accepted)
        except InputError:
            words = (
                "an older version of fedsynth accepted its plan; finish the study with that version"
            )
            raise RefusedError(ErrorCode.VERSION, words) from None
        self._handled.of(plan)
        self._admit(plan)
        self._refuse_closed(plan)
        return plan

    def _refuse_closed(self, plan: Plan) -> None:
        """A restored ledger does not know what it answered, so it answers that study no more."""
        if self._ledger.is_closed(plan.study):
            words = "the ledger was restored from a backup, which charged this study in full"
            raise RefusedError(ErrorCode.SPENT, words)

    def _admit(self, plan: Plan) -> None:
        last_day = self._ledger.seals().last_day if plan.cohort else ""
        repeated = is_repeated(plan.to_json(), self._policy, self._ledger)
        terms = self._policy, self._schema, self._receipt_key
        admit_plan(plan, *terms, last_day, repeated)

    def _served(self, plan: Plan) -> Records:
        """The records that a plan is about: all, or those of its cohort."""
        every = plan.served is None and not plan.table.in_cohorts_of_persons
        return self._records if every else self._records.of(plan.served)

    def _release(
        self,
        kind: type[Reply],
        plan: Plan,
        request: pb.MeasureRequest | pb.DiscriminateRequest,
        events: Sequence[Event],
        compute: Callable[[], Reply],
    ) -> Reply:
        """Charge, then compute, then store the reply; or return the reply that is stored already."""
        key = (plan.study, request.step, request_hash(request).hex())
        self._handled.step = request.step
        stored = self._ledger.stored_reply(*key)
        if stored is not None:
            self._handled.outcome = "answered again as before; nothing is charged"
            return kind.FromString(stored)
        charges = self._ledger.charged()
        answered = {charge.step for charge in charges if charge.study == plan.study}
        events = events_at(plan, request.step, events, answered)
        seal_cohort(plan, self._records, self._ledger, today())
        self._ledger.charge(
            *key,
            events,
            admit=lambda charges: admit_step(plan, self._policy, charges, request.step, events),
        )
        try:
            reply = compute()
        except (
            Exception
        ) as error:  # nothing about the failure may leave the site, and the charge stays
            _note(error)
            reply = kind(status=ErrorCode.INTERNAL.value)
        self._ledger.store_reply(plan.study, request.step, reply.SerializeToString())
        self._handled.outcome = charged_words(plan, self._policy, self._ledger.charged())
        return reply

    def _guarded(self, method: str, kind: type[Reply], answer: Callable[[], Reply]) -> Reply:
        """The answer to one request under the policy in force, or the code of its refusal."""
        with self._turn:
            handled = self._handled = Handled(method)
            try:
                self._policy = self._policies.current()
                reply = answer()
            except RefusalError as refused:
                self._requests.refused(handled, refused.code, getattr(refused, "words", ""))
                return kind(status=refused.code.value)
            except PrivacyError:
                self._requests.refused(handled, ErrorCode.POLICY, "its cost cannot be computed")
                return kind(status=ErrorCode.POLICY.value)
            except Exception as error:
                _note(error)
                self._requests.refused(handled, ErrorCode.INTERNAL)
                return kind(status=ErrorCode.INTERNAL.value)
            self._requests.answered(handled)
            return reply


def _note(error: Exception) -> None:
    """Log the kind and the place of an error without its text, which could quote a cell."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    _log.error("%s in %s, line %s", type(error).__name__, place.name, place.lineno)
