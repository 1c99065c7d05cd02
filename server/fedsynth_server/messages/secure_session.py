"""The coordinator's side of a secure sum: which message goes to whom, and what is opened in the end.

Once a study: every site shows its signed keys, then shares its secrets among those that did. For each
step: the sites that shared are asked for their masked inputs. If some of them do not answer, the others
sign the set of those that did. Then the sites of the set are given the sealed shares that others made
for them, and such signatures, and send the shares that take the masks off the sum.

All exchanges go through `Session.ask`, so each is journaled before anything is done with it, and a
resumed study names the same sets. A coordinator that did otherwise would be refused by the vaults.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.errors import ErrorCode, FedsynthError, RefusalError
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.content import request_hash
from fedsynth_common.secure_sum.agreement import set_text
from fedsynth_common.secure_sum.keys import shown_keys, signed_by
from fedsynth_common.secure_sum.masks import SumStep, Words, unpack_words
from fedsynth_common.secure_sum.roster import Roster, roster_of
from fedsynth_common.secure_sum.shamir import SHARE_BYTES
from fedsynth_common.secure_sum.shares import box_bytes, kind_for, sealed_in
from fedsynth_common.secure_sum.terms import Parties, SumTerms, pack_parties
from fedsynth_server.aggregation.marginal_queries import MarginalQueries
from fedsynth_server.messages.exchange import T, answered
from fedsynth_server.messages.opening import opened_sum
from fedsynth_server.messages.session import Session

ONCE = 0
"""The step number under which the journal holds what is done once a study; measure steps start at 1."""
NOT_ITS_KEYS = "shows keys for the secure sum that it did not sign"


@dataclass(frozen=True)
class OpenedSum:
    """What a secure sum tells.

    Attributes:
        counts: sums of the sites' noisy counts, an array per query.
        sites: whose counts are in them.
    """

    counts: list[Float64Array]
    sites: tuple[str, ...]


class SecureSums:
    """The secure sums of one plan, over the exchanges of a session."""

    def __init__(self, session: Session) -> None:
        self._session, self._plan = session, session.plan
        self._training: Parties = ()

    @cached_property
    def terms(self) -> SumTerms:
        """What the plan says of its secure sum."""
        return SumTerms.of(self._plan)

    def measure(self, queries: MarginalQueries, index: int) -> OpenedSum:
        """Ask for the sum of the sites' noisy counts and open it.

        Raises:
            FedsynthError: too few sites answer a message, or what they show does not fit together.
        """
        step = self._plan.measure[index]
        request = pb.MeasureRequest.FromString(queries.request(self._plan, step))
        counts, inside = self._opened("measure", request, queries.cells, self._senders)
        return OpenedSum(queries.tables(counts), tuple(self._names(inside)))

    def gradient(
        self, request: pb.DiscriminateRequest, parameters: int
    ) -> tuple[Int64Array, tuple[str, ...]]:
        """The sum of the sites' noisy clipped sums in units (p,), and whose are in it.

        A site that failed to answer an earlier message of the training is not asked again: each of the
        many messages would wait for it.

        Raises:
            FedsynthError: see `measure`.
        """
        parties = self._training or self._senders
        total, self._training = self._opened("discriminate", request, parameters, parties)
        return total, tuple(self._names(self._training))

    def _opened(
        self,
        method: str,
        request: pb.MeasureRequest | pb.DiscriminateRequest,
        numbers: int,
        parties: Parties,
    ) -> tuple[Int64Array, Parties]:
        """Ask the parties for their masked inputs to a request, and open the sum of those there."""
        request.parties = pack_parties(parties)
        body = request.SerializeToString(deterministic=True)
        body = self._session.first_sent(method, request.step, body)
        sent = type(request).FromString(body)  # in a resumed study what was sent before
        at = SumStep(request.step, parties, request_hash(sent), self._roster)
        replies = self._masked(method, body, at, numbers)
        inside = tuple(replies)
        signatures = {} if inside == parties else self._agreed(at, inside)
        shown = self._unmasked(at, inside, self._fitting(at, inside, signatures))
        return opened_sum(self.terms.of_step(at.step), at, replies, shown), inside

    def measure_sites(self, queries: MarginalQueries, index: int) -> dict[str, list[Float64Array]]:
        """What each site answers for itself, with all of its noise; up to c sites may be missing."""
        return self._session.measure(queries, self._plan.measure[index], self.terms.least)

    def leave_out(self, site: str, why: str) -> None:
        """See `Session.leave_out`."""
        self._session.leave_out(site, why)

    # once a study

    @cached_property
    def _shown(self) -> dict[int, tuple[bytes, bytes]]:
        """The public keys and the signature of every party that showed some."""
        request = pb.KeysRequest(plan_digest=self.terms.digest)
        replies = self._session.ask(
            "keys",
            ONCE,
            request.SerializeToString(deterministic=True),
            partial(answered, pb.KeysReply),
            least=self.terms.least,
        )
        shown = {}
        for site, reply in replies.items():
            party = self.terms.sites.index(site)
            try:
                shown_keys(self.terms, party, reply.keys, reply.signature)
            except ValueError:
                self._session.leave_out(site, NOT_ITS_KEYS)
            else:
                shown[party] = (reply.keys, reply.signature)
        return shown

    @cached_property
    def _roster(self) -> Roster:
        try:
            return roster_of(self.terms, self._shown)
        except RefusalError:
            raise FedsynthError(
                f"secure sum: {len(self._shown)} of {len(self.terms.sites)} sites showed keys that "
                f"they signed; it takes at least {self.terms.least}"
            ) from None

    @cached_property
    def _boxes(self) -> dict[tuple[int, int], bytes]:
        """The sealed shares by sender and receiver, of all that sent some."""
        parties = self._roster.parties
        request = pb.SharesRequest(
            plan_digest=self.terms.digest,
            roster=[
                pb.PartyKeys(party=p, keys=self._shown[p][0], signature=self._shown[p][1])
                for p in parties
            ],
        )
        length = box_bytes(len(self.terms.steps))
        size = length * (len(parties) - 1)
        replies = self._session.ask(
            "shares",
            ONCE,
            request.SerializeToString(deterministic=True),
            lambda data: _of_length(answered(pb.SharesReply, data).sealed, size),
            sites=self._names(parties),
            least=self._least,
        )
        boxes = {}
        for site, sealed in replies.items():
            sender = self.terms.sites.index(site)
            for place, receiver in enumerate(p for p in parties if p != sender):
                boxes[sender, receiver] = sealed[length * place : length * (place + 1)]
        return boxes

    # for each step

    @property
    def _senders(self) -> Parties:
        """Those that sent shares."""
        return tuple(sorted({sender for sender, _ in self._boxes}))

    def _masked(self, method: str, body: bytes, at: SumStep, numbers: int) -> dict[int, Words]:
        """The masked inputs by party, ascending."""
        terms = self.terms.of_step(at.step)

        def parse(data: bytes) -> Words:
            if method == "measure":
                return unpack_words(answered(pb.MeasureReply, data).counts, numbers, terms)
            return unpack_words(answered(pb.DiscriminateReply, data).sums, numbers, terms)

        replies = self._session.ask(
            method,
            at.step,
            body,
            parse,
            sites=self._names(at.parties),
            least=self._least,
        )
        return self._by_party(replies)

    def _agreed(self, at: SumStep, inside: Parties) -> dict[int, bytes]:
        """The signatures on a set that is smaller than that of the masks."""
        request = pb.AgreeRequest(
            plan_digest=self.terms.digest, step=at.step, parties=pack_parties(inside)
        )
        replies = self._session.ask(
            "agree",
            at.step,
            request.SerializeToString(deterministic=True),
            lambda data: answered(pb.AgreeReply, data).signature,
            sites=self._names(inside),
            least=at.roster.threshold,
        )
        return self._by_party(replies)

    def _unmasked(
        self, at: SumStep, inside: Parties, signatures: Mapping[int, bytes]
    ) -> dict[int, dict[int, bytes]]:
        """By party that answered, the shares that it showed, by the party they are of."""
        request = pb.UnmaskRequest(
            plan_digest=self.terms.digest,
            step=at.step,
            parties=b"" if inside == at.parties else pack_parties(inside),
            signatures=[pb.SetSignature(party=p, signature=s) for p, s in signatures.items()],
        )

        def to(site: str) -> bytes:
            party = self.terms.sites.index(site)
            sealed = [
                sealed_in(
                    self._boxes[sender, party], self.terms.steps, at.step, kind_for(sender, inside)
                )
                for sender in at.parties
                if sender != party
            ]
            return pb.UnmaskRequest(sealed=b"".join(sealed)).SerializeToString()

        size = SHARE_BYTES * len(at.parties)
        replies = self._session.ask(
            "unmask",
            at.step,
            request.SerializeToString(deterministic=True),
            lambda data: _of_length(answered(pb.UnmaskReply, data).shares, size),
            sites=self._names(inside),
            least=at.roster.threshold,
            addition=to,
        )
        return {
            holder: {
                party: shares[SHARE_BYTES * k : SHARE_BYTES * (k + 1)]
                for k, party in enumerate(at.parties)
            }
            for holder, shares in self._by_party(replies).items()
        }

    def _fitting(
        self, at: SumStep, inside: Parties, signatures: Mapping[int, bytes]
    ) -> dict[int, bytes]:
        """As many signatures as it takes, of those that fit."""
        text = set_text(at, inside)
        fits = [p for p, s in signatures.items() if signed_by(self.terms, p, text, s)]
        return {party: signatures[party] for party in fits[: at.roster.threshold]}

    @property
    def _least(self) -> int:
        """The fewest sites that a step takes."""
        return max(self.terms.least, self._roster.threshold)

    def _names(self, parties: Parties) -> list[str]:
        return [self.terms.sites[party] for party in parties]

    def _by_party(self, replies: Mapping[str, T]) -> dict[int, T]:
        return {self.terms.sites.index(site): reply for site, reply in replies.items()}


def _of_length(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise RefusalError(ErrorCode.PAYLOAD)
    return data
