"""The set of parties over which a sum is opened: signed by each of them, and opened at t signatures.

With its masked input a party signs the set of all parties whose masks it carries. If one of these does
not answer, the coordinator names a smaller set, and a party that accepts it signs that one. From then on
it opens that set and no other; its ledger holds the set before the signature leaves. A party that opened
the first set signs no other.

Two sets of one step can therefore not both be opened, whatever the coordinator shows to whom, as long as
no more than c parties collude with it: see `terms`.
"""

from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.secure_sum.keys import signed_by
from fedsynth_common.secure_sum.masks import SumStep
from fedsynth_common.secure_sum.terms import Parties, SumTerms, pack_parties


def set_text(at: SumStep, inside: Parties) -> bytes:
    """What a party signs: the sum with all that it depends on, and the set."""
    return b"fedsynth secure sum set\0" + at.context + pack_parties(inside)


def sign_set(at: SumStep, inside: Parties, key: Ed25519PrivateKey) -> bytes:
    """A party's signature under a set."""
    return key.sign(set_text(at, inside))


def check_set(terms: SumTerms, at: SumStep, inside: Parties, party: int) -> None:
    """Refuse a set that this party may not open.

    Raises:
        RefusalError: ERR_PAYLOAD if it is no part of the sum's parties or does not hold this one;
            ERR_POLICY if it is too small.
    """
    if not set(inside) <= set(at.parties) or party not in inside:
        raise RefusalError(ErrorCode.PAYLOAD)
    if len(inside) < max(terms.least, at.roster.threshold):
        raise RefusalError(ErrorCode.POLICY)


def check_signatures(
    terms: SumTerms, at: SumStep, inside: Parties, signatures: Iterable[tuple[int, bytes]]
) -> None:
    """Refuse a set that fewer parties signed than it takes to open it.

    Raises:
        RefusalError: ERR_PAYLOAD for a signature that does not fit or is not of a party of the set;
            ERR_POLICY for too few.
    """
    text, signers = set_text(at, inside), set()
    for party, signature in signatures:
        if party not in inside or not signed_by(terms, party, text, signature):
            raise RefusalError(ErrorCode.PAYLOAD)
        signers.add(party)
    if len(signers) < at.roster.threshold:
        raise RefusalError(ErrorCode.POLICY)
