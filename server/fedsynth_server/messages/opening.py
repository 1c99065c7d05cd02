"""What the coordinator does: take the masks off the sum of a set, with the shares that it was shown.

For each party of the set the self-mask is taken off. Pair masks between two parties of the set have
cancelled; those with a party that vanished after the masks were made are computed from its mask key.
Every secret is checked against what its party showed at the beginning, so that a wrong share is noticed
and not summed.
"""

from collections.abc import Mapping

from fedsynth_common.array_types import Int64Array
from fedsynth_common.errors import FedsynthError
from fedsynth_common.secure_sum import shamir
from fedsynth_common.secure_sum.keys import agreed, commitment, public_key
from fedsynth_common.secure_sum.masks import (
    SumStep,
    Words,
    add_pair_mask,
    add_self_mask,
    to_counts,
    total,
)
from fedsynth_common.secure_sum.terms import Parties, SumTerms


def opened_sum(
    terms: SumTerms, at: SumStep, inputs: Mapping[int, Words], shown: Mapping[int, dict[int, bytes]]
) -> Int64Array:
    """The plain sum of the inputs of a set, as signed numbers.

    Args:
        terms: of the study.
        at: the sum.
        inputs: the masked inputs of the set, by party.
        shown: by party that answered, the shares that it showed, by the party they are of.

    Raises:
        FedsynthError: too few usable shares of a party's secret, or shares that do not fit.
    """
    inside = tuple(sorted(inputs))
    words = total(inputs, terms)
    for party in at.parties:
        secret = _secret(terms, at, party, shown)
        keys = at.roster.keys[party].steps[at.step]
        if party in inside:
            _check(terms, party, commitment(secret) == keys.seed)
            add_self_mask(words, secret, at, remove=True)
        else:
            _check(terms, party, public_key(secret) == keys.mask)
            _remove_pairs(words, secret, party, inside, at)
    return to_counts(words)


def _remove_pairs(words: Words, secret: bytes, gone: int, inside: Parties, at: SumStep) -> None:
    """Take off what the parties of the set added for one that is gone."""
    for party in inside:
        pair = agreed(secret, at.roster.keys[party].steps[at.step].mask)
        add_pair_mask(words, pair, party, gone, at, remove=True)


def _secret(
    terms: SumTerms, at: SumStep, party: int, shown: Mapping[int, dict[int, bytes]]
) -> bytes:
    """The secret of a party, from as many shares as it takes."""
    shares = {
        holder: parts[party]
        for holder, parts in shown.items()
        if shamir.usable(parts.get(party, b""))
    }
    needed = sorted(shares)[: at.roster.threshold]
    if len(needed) < at.roster.threshold:
        raise FedsynthError(
            f"secure sum: step {at.step} cannot be opened, since only {len(needed)} of the "
            f"{at.roster.threshold} sites that it takes sent usable shares of {terms.sites[party]}"
        )
    try:
        return shamir.combine({p: shares[p] for p in needed}, shamir.weights(needed))
    except ValueError:
        return bytes(shamir.SECRET_BYTES)  # fits nothing that was shown


def _check(terms: SumTerms, party: int, fits: bool) -> None:
    if not fits:
        raise FedsynthError(
            f"secure sum: the shares of {terms.sites[party]} do not give what it showed at the "
            "beginning; it, or a site that holds its shares, does not follow the protocol"
        )
