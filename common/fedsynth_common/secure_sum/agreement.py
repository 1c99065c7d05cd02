"""The set of parties over which a sum is opened: all whose masks it carries, or t signatures on fewer.

If all parties of the masks answered, the set is the one that the request named and every mask depends
on, and nobody has to sign it. If one does not answer, the coordinator names a smaller set, and a party
that accepts it signs it. From then on it opens that set and no other; its ledger holds the set before
the signature leaves. A party that opened the set of all signs no smaller one.

Two sets of one step can therefore not both be opened, whatever the coordinator shows to whom, as long as
no more than c parties collude with it:

* Shares of *mask keys* are shown only under a smaller set with t signatures, of which t - c are of
  honest parties. Two groups of t have an honest party in common (`terms`), and it signs one set of one
  request. So there is at most one such set in a step.
* If there is one, t - c honest parties never open the set of all. Fewer than t shares of the seeds of
  the parties left out are shown, so their self-masks stay on.
* If there is none, no mask key is put together. Pair masks cancel in the sum over all parties of a
  request and nowhere else.

`test_nothing_but_one_set_is_ever_open` goes through every way to divide the parties.
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
    """Refuse a set that is smaller than that of the masks and that fewer parties signed than it takes.

    Raises:
        RefusalError: ERR_PAYLOAD for a signature that does not fit or is not of a party of the set;
            ERR_POLICY for too few.
    """
    if inside == at.parties:
        return
    text, signers = set_text(at, inside), set()
    for party, signature in signatures:
        if party not in inside or not signed_by(terms, party, text, signature):
            raise RefusalError(ErrorCode.PAYLOAD)
        signers.add(party)
    if len(signers) < at.roster.threshold:
        raise RefusalError(ErrorCode.POLICY)
