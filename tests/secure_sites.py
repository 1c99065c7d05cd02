"""The vaults of a secure sum and a coordinator without a network, as several tests use them."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from small_site import SCHEMA, Site, make_policy, make_records, make_secure_plan

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.receipts import new_key
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.content import request_hash
from fedsynth_common.secure_sum.masks import SumStep, unpack_words
from fedsynth_common.secure_sum.roster import roster_of
from fedsynth_common.secure_sum.shamir import SHARE_BYTES
from fedsynth_common.secure_sum.shares import box_bytes, kind_for, sealed_in
from fedsynth_common.secure_sum.terms import SumTerms, pack_parties
from fedsynth_server.messages import opening

CELLS = 3 * 2 + 3 * 4 + 2 * 4
STEP = 2


def secure_policy(site, **changes):
    fields = {"site": site, "max_epsilon": 10.0, "max_epsilon_alone": 50.0}
    return make_policy(**(fields | changes))


@dataclass
class Sites:
    """K real vaults that enrolled, and the messages of an honest coordinator one by one."""

    count: int = 4
    colluders: int = 1
    variance: int = 48
    ledgers: dict = field(default_factory=dict)
    plan: Any = None
    signing: list = field(default_factory=list)
    schema: Any = SCHEMA
    records: Any = None
    policy: dict = field(default_factory=dict)

    def __post_init__(self):
        self.signing = self.signing or [new_key() for _ in range(self.count)]
        if self.plan is None:
            names = ("north", *(f"site-{i}" for i in range(1, self.count)))
            public = [key.public_key().public_bytes_raw().hex() for key in self.signing]
            self.plan = make_secure_plan(
                self.signing[0],
                self.count,
                colluders=self.colluders,
                receipt_keys=dict(zip(names, public, strict=True)),
            )
        self.terms = SumTerms.of(self.plan)
        self.sites = {}
        for party in range(self.count):
            self.start(party)
        self.everybody = tuple(range(self.count))

    def start(self, party):
        """A site's vault, on its ledger: again after it was stopped."""
        ledger = self.ledgers.get(party) or Ledger(":memory:", "people")
        self.ledgers[party] = ledger
        self.sites[party] = Site(
            plan=self.plan,
            policy=secure_policy(self.plan.sites[party], **self.policy),
            schema=self.schema,
            records=self.records or make_records(seed=party),
            ledger=ledger,
            key=self.signing[party],
        )
        assert self.sites[party].enroll() == "OK"

    @property
    def digest(self):
        return bytes.fromhex(self.plan.digest)

    def call(self, party, method, request):
        reply = {
            "keys": pb.KeysReply,
            "shares": pb.SharesReply,
            "measure": pb.MeasureReply,
            "discriminate": pb.DiscriminateReply,
            "agree": pb.AgreeReply,
            "unmask": pb.UnmaskReply,
            "receipt": pb.ReceiptReply,
        }[method]
        return reply.FromString(self.sites[party].vault.call(method, request.SerializeToString()))

    def keys(self, party):
        return self.call(party, "keys", pb.KeysRequest(plan_digest=self.digest))

    @cached_property
    def shown(self):
        """By party: its public keys and its signature."""
        replies = {party: self.keys(party) for party in self.everybody}
        assert {reply.status for reply in replies.values()} == {"OK"}
        return {party: (reply.keys, reply.signature) for party, reply in replies.items()}

    def shares_request(self, parties=None):
        parties = self.everybody if parties is None else parties
        roster = [
            pb.PartyKeys(party=p, keys=self.shown[p][0], signature=self.shown[p][1])
            for p in parties
        ]
        return pb.SharesRequest(plan_digest=self.digest, roster=roster)

    @cached_property
    def sealed(self):
        """Boxes by sender and receiver."""
        length, boxes = box_bytes(len(self.terms.steps)), {}
        for sender in self.everybody:
            reply = self.call(sender, "shares", self.shares_request())
            assert reply.status == "OK"
            others = [p for p in self.everybody if p != sender]
            assert len(reply.sealed) == length * len(others)
            for place, to in enumerate(others):
                boxes[sender, to] = reply.sealed[length * place : length * (place + 1)]
        return boxes

    @cached_property
    def roster(self):
        return roster_of(self.terms, self.shown)

    def measure_request(self, parties=None, step=STEP, **changes):
        parties = self.everybody if parties is None else parties
        changes = {"parties": pack_parties(parties)} | changes
        variance = changes.pop("variance", self.variance)
        return self.sites[0].measure_request(step, variance=variance, **changes)

    def at(self, parties=None, step=STEP):
        parties = self.everybody if parties is None else parties
        request = self.measure_request(parties, step)
        return SumStep(step, parties, request_hash(request), self.roster)

    def measured(self, sites, parties=None, step=STEP):
        """Replies of these sites to one measure request."""
        assert self.sealed
        request = self.measure_request(parties, step)
        return {party: self.call(party, "measure", request) for party in sites}

    def agree(self, party, inside, step=STEP):
        request = pb.AgreeRequest(plan_digest=self.digest, step=step, parties=pack_parties(inside))
        return self.call(party, "agree", request)

    def unmask_request(self, party, inside, signatures, at):
        sealed = b"".join(
            sealed_in(
                self.sealed[sender, party], self.terms.steps, at.step, kind_for(sender, inside)
            )
            for sender in at.parties
            if sender != party
        )
        return pb.UnmaskRequest(
            plan_digest=self.digest,
            step=at.step,
            parties=b"" if inside == at.parties else pack_parties(inside),
            signatures=[pb.SetSignature(party=p, signature=s) for p, s in signatures.items()],
            sealed=sealed,
        )

    def unmask(self, party, inside, signatures, at):
        return self.call(party, "unmask", self.unmask_request(party, inside, signatures, at))

    def opened(self, replies, unmasked, at):
        """The sum over the sites of `replies`."""
        inputs = {p: unpack_words(r.counts, CELLS, self.terms) for p, r in replies.items()}
        shown = {
            holder: {
                p: reply.shares[SHARE_BYTES * k : SHARE_BYTES * (k + 1)]
                for k, p in enumerate(at.parties)
            }
            for holder, reply in unmasked.items()
        }
        return opening.opened_sum(self.terms, at, inputs, shown)

    def run(self, inside=None, holders=None, step=STEP):
        """One whole step; with `inside`, the others vanish after the masks are made."""
        inside = self.everybody if inside is None else inside
        holders = inside if holders is None else holders
        at = self.at(step=step)
        replies = self.measured(inside, step=step)
        assert {reply.status for reply in replies.values()} == {"OK"}
        signatures = {}
        if inside != at.parties:
            agreed = {party: self.agree(party, inside, step) for party in holders}
            signatures = {party: reply.signature for party, reply in agreed.items()}
        shown = {party: self.unmask(party, inside, signatures, at) for party in holders}
        assert {reply.status for reply in shown.values()} == {"OK"}
        return self.opened(replies, shown, at)
