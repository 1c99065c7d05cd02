"""A site's part in a secure sum: what it answers, and what it writes down before it does.

The protocol is `fedsynth_common.secure_sum`. Here is what keeps it true over crashes and whatever a
coordinator sends again:

* Private keys, the roster and the shares are made once a study and kept before they are told.
* With its masked input a site commits itself to the parties whose masks it carries, *before* the step
  is charged. So its noise is never added to the masks of another roster: the step has one request.
* Before it signs a set, or shows a share, it commits itself to that set (`SET`). Whatever it shows
  follows from the set, so it never shows both shares of a party, and it never signs two sets.

Commitments are entries of the ledger's chain, so a ledger that is set back blocks. Nothing here touches
a record, and no reply's length depends on anything but plan and request.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedsynth_client.budget.ledger import Ledger
from fedsynth_common.array_types import Int64Array
from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.limits import MAX_MESSAGE_BYTES
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.content import request_hash
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.protocol.receipt import SummedStep
from fedsynth_common.secure_sum.agreement import check_set, check_signatures, sign_set
from fedsynth_common.secure_sum.keys import PartyKeys, sign_keys
from fedsynth_common.secure_sum.masks import SumStep, mask, to_words
from fedsynth_common.secure_sum.roster import Roster, roster_of
from fedsynth_common.secure_sum.shares import (
    SEALED_BYTES,
    content_bytes,
    make_shares,
    revealed,
    seal,
)
from fedsynth_common.secure_sum.terms import Parties, SumTerms, pack_parties, unpack_parties

KEYS, ROSTER, SHARES = "secure sum: keys", "secure sum: roster", "secure sum: shares"
PARTIES, SET = "secure sum: parties", "secure sum: set"
"""Names of what is kept for a study, and of what a site commits itself to at a step."""
OK = ErrorCode.OK.value


@dataclass(frozen=True)
class SumParty:
    """This site as a party of a plan's secure sums."""

    plan: Plan
    terms: SumTerms
    party: int
    ledger: Ledger
    key: Ed25519PrivateKey

    @classmethod
    def of(cls, plan: Plan, ledger: Ledger, key: Ed25519PrivateKey) -> "SumParty":
        """The party with this receipt key.

        Raises:
            RefusalError: ERR_PLAN if the plan has no secure sum, or none with this key.
        """
        terms = SumTerms.of(plan)
        public = key.public_key().public_bytes_raw()
        if public not in terms.receipt_keys:
            raise RefusalError(ErrorCode.PLAN)
        return cls(plan, terms, terms.receipt_keys.index(public), ledger, key)

    def own(self) -> PartyKeys:
        """The private keys, made when they are first needed."""
        kept = self.ledger.keep(self.plan.study, KEYS, lambda: PartyKeys.new(self.terms).to_bytes())
        return PartyKeys.from_bytes(kept, self.terms)

    def roster(self) -> Roster:
        """The roster of the study.

        Raises:
            RefusalError: ERR_CONFLICT before there is one.
        """
        kept = self.ledger.kept(self.plan.study, ROSTER)
        if kept is None:
            raise RefusalError(ErrorCode.CONFLICT)
        return _roster_kept(kept, self.terms)

    def answered(self, step: int) -> SumStep:
        """The sum that this site has sent its masked input for.

        Raises:
            RefusalError: ERR_CONFLICT if it was not asked yet; ERR_SPENT if its input was lost.
        """
        parties = self.ledger.commitment(self.plan.study, step, PARTIES)
        request = self.ledger.request_hash(self.plan.study, step)
        if parties is None or request is None:
            raise RefusalError(ErrorCode.CONFLICT)
        stored = self.ledger.stored_reply(self.plan.study, step, request)
        # of a reply about gradients the field is the same
        if stored is None or pb.MeasureReply.FromString(stored).status != OK:
            raise RefusalError(ErrorCode.SPENT)
        roster = self.roster()
        among = unpack_parties(parties, roster.parties)
        return SumStep(step, among, bytes.fromhex(request), roster)

    def commit_to(self, at: SumStep, inside: Parties) -> None:
        """From here on this site opens this set of the sum, and no other.

        Raises:
            RefusalError: ERR_CONFLICT if it committed itself to another; see `check_set`.
        """
        check_set(self.terms, at, inside, self.party)
        self.ledger.commit(self.plan.study, at.step, SET, pack_parties(inside))


def answer_keys(site: SumParty, request: pb.KeysRequest) -> pb.KeysReply:
    """The public keys of all steps, signed."""
    public = site.own().public.to_bytes()
    signature = sign_keys(site.terms, site.party, public, site.key)
    return pb.KeysReply(status=OK, keys=public, signature=signature)


def answer_shares(site: SumParty, request: pb.SharesRequest) -> pb.SharesReply:
    """The shares of this site's secrets, sealed to the others of the roster, which is then fixed."""
    own, study = site.own(), site.plan.study
    roster = _roster_in(request, site.terms)
    if roster.keys.get(site.party) != own.public:
        raise RefusalError(ErrorCode.PAYLOAD)
    content = request.SerializeToString(deterministic=True)
    if site.ledger.keep(study, ROSTER, lambda: content) != content:
        raise RefusalError(ErrorCode.CONFLICT)

    def make() -> bytes:
        shares = make_shares(own, roster)
        mine = shares.pop(site.party)
        boxes = [seal(own, site.party, to, roster, share) for to, share in shares.items()]
        return mine + b"".join(boxes)

    kept = site.ledger.keep(study, SHARES, make)
    return pb.SharesReply(status=OK, sealed=kept[content_bytes(len(own.steps)) :])


@lru_cache(maxsize=2)
def _roster_kept(kept: bytes, terms: SumTerms) -> Roster:
    """The roster of a request that was kept: a study has one, and needs it for every message."""
    return _roster_in(pb.SharesRequest.FromString(kept), terms)


def _roster_in(request: pb.SharesRequest, terms: SumTerms) -> Roster:
    parties = [shown.party for shown in request.roster]
    if sorted(set(parties)) != parties:
        raise RefusalError(ErrorCode.PAYLOAD)
    return roster_of(terms, {s.party: (s.keys, s.signature) for s in request.roster})


def begin(
    site: SumParty, request: pb.MeasureRequest | pb.DiscriminateRequest, cells: int
) -> SumStep:
    """Check the parties of a request for a sum, and commit to them. Charges nothing yet.

    Raises:
        RefusalError: ERR_CONFLICT before the shares are made, or for a step with other parties;
            ERR_PAYLOAD for parties that are none, or more words than a reply holds; see `check_set`.
    """
    if cells * site.terms.of_step(request.step).word_bytes >= MAX_MESSAGE_BYTES:
        raise RefusalError(ErrorCode.PAYLOAD)
    roster = site.roster()
    if site.ledger.kept(site.plan.study, SHARES) is None:
        raise RefusalError(ErrorCode.CONFLICT)
    parties = unpack_parties(request.parties, roster.parties)
    at = SumStep(request.step, parties, request_hash(request), roster)
    check_set(site.terms, at, parties, site.party)
    site.ledger.commit(site.plan.study, at.step, PARTIES, request.parties)
    return at


def masked(site: SumParty, at: SumStep, noisy: Int64Array) -> bytes:
    """The masked input: noisy counts, or a noisy clipped sum in units, under all masks."""
    words = to_words(noisy, site.terms.of_step(at.step))
    mask(words, site.own(), site.party, at)
    return words.tobytes()


def answer_agree(site: SumParty, request: pb.AgreeRequest) -> pb.AgreeReply:
    """The signature on a set, to which this site commits itself."""
    at = site.answered(request.step)
    inside = unpack_parties(request.parties, at.parties)
    site.commit_to(at, inside)
    return pb.AgreeReply(status=OK, signature=sign_set(at, inside, site.key))


def answer_unmask(site: SumParty, request: pb.UnmaskRequest) -> pb.UnmaskReply:
    """One share of each party of the masks: for the set of all, or for one that enough sites signed."""
    at = site.answered(request.step)
    inside = unpack_parties(request.parties, at.parties) if request.parties else at.parties
    signatures = [(signed.party, signed.signature) for signed in request.signatures]
    if len(signatures) > len(inside):
        raise RefusalError(ErrorCode.PAYLOAD)
    check_signatures(site.terms, at, inside, signatures)
    own = site.own()
    others = [party for party in at.parties if party != site.party]
    if len(request.sealed) != SEALED_BYTES * len(others):
        raise RefusalError(ErrorCode.PAYLOAD)
    site.commit_to(at, inside)
    kept = site.ledger.kept(site.plan.study, SHARES) or b""
    mine = kept[: content_bytes(len(own.steps))]
    sealed = {
        sender: request.sealed[SEALED_BYTES * place : SEALED_BYTES * (place + 1)]
        for place, sender in enumerate(others)
    }
    shown = revealed(own, site.party, at.roster, at.step, mine, sealed, inside)
    return pb.UnmaskReply(status=OK, shares=b"".join(shown[party] for party in at.parties))


def sums_of(plan: Plan, ledger: Ledger) -> list[SummedStep]:
    """How many sites were in each sum that this site was charged for; for the receipt."""
    found = []
    for step in plan.summed_steps:
        masked = ledger.commitment(plan.study, step, PARTIES)
        if masked is not None and ledger.request_hash(plan.study, step) is not None:
            opened = ledger.commitment(plan.study, step, SET)
            sites = None if opened is None else len(opened) // 2  # two bytes a site
            found.append(SummedStep(step=step, masked=len(masked) // 2, opened=sites))
    return found


ANSWERS: dict[str, tuple[Any, Any, Callable[[SumParty, Any], Any]]] = {
    "keys": (pb.KeysRequest, pb.KeysReply, answer_keys),
    "shares": (pb.SharesRequest, pb.SharesReply, answer_shares),
    "agree": (pb.AgreeRequest, pb.AgreeReply, answer_agree),
    "unmask": (pb.UnmaskRequest, pb.UnmaskReply, answer_unmask),
}
"""Request, reply and function of each method that only a secure sum has."""
