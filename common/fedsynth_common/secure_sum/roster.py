"""The roster: the parties whose keys everybody has seen, and the hash that stands for all of them.

Every party fixes one roster for the study. Masks and sealed shares depend on the roster's hash, so two
parties that were shown different rosters make masks that never cancel and shares that cannot be read.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.secure_sum.keys import PartyKeys, shown_keys
from fedsynth_common.secure_sum.terms import Parties, SumTerms, pack_parties


@dataclass(frozen=True)
class Roster:
    """The parties that take part in a study's secure sums.

    Attributes:
        keys: their public keys by position, ascending.
        digest: SHA-256 over plan, positions and keys.
        threshold: how many of them it takes to open a sum.
    """

    keys: dict[int, PartyKeys]
    digest: bytes
    threshold: int

    @property
    def parties(self) -> Parties:
        """Their positions."""
        return tuple(self.keys)


def roster_of(terms: SumTerms, shown: Mapping[int, tuple[bytes, bytes]]) -> Roster:
    """The roster of these public keys and signatures, by position.

    Raises:
        RefusalError: ERR_PAYLOAD for a party that the plan does not have, for malformed keys, and for
            keys that the site of the plan did not sign; ERR_POLICY for too few parties.
    """
    parties = tuple(sorted(shown))
    if any(party >= len(terms.sites) for party in parties):
        raise RefusalError(ErrorCode.PAYLOAD)
    terms.enough(parties)
    try:
        keys = {party: shown_keys(terms, party, *shown[party]) for party in parties}
    except ValueError:
        raise RefusalError(ErrorCode.PAYLOAD) from None
    content = [terms.digest, pack_parties(parties), *(keys[p].to_bytes() for p in parties)]
    digest = hashlib.sha256(b"fedsynth secure sum roster\0" + b"".join(content)).digest()
    return Roster(keys, digest, terms.threshold(len(parties)))
