"""The public terms of a study's secure sum, as they follow from the plan, and how sets are written.

With K sites and c colluders: a sum is opened over at least K - c parties, since their shares of the
noise are what the plan promises. A secret is shared among n parties, those whose keys everybody has
seen, so that `threshold` of them can put it together:

    t = max(K - c, floor((n + c) / 2) + 1)

The second term makes 2 t > n + c. Two different sets can then not both be opened: each needs t parties,
two groups of t have more than c parties in common, so at least one that is honest, and an honest party
acts on one set (Bonawitz, section 6.2, has t > 2 n / 3 for c < n / 3, which is the same condition). The
first term lets c parties vanish at any time; where K <= 3 c, the second one is larger and allows fewer.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.protocol.plan import Plan

Parties = tuple[int, ...]
"""Positions of sites in the plan, ascending and different."""


@dataclass(frozen=True)
class SumTerms:
    """What all parties of a study know beforehand.

    Attributes:
        digest: the plan's, 32 bytes.
        sites: names, in the plan's order.
        receipt_keys: their Ed25519 public keys (32 bytes each), in the same order.
        colluders: how many sites may collude or be missing, together (c).
        steps: numbers of the steps that are summed, in the plan's order.
        word_bytes: bytes of a word; sums are taken modulo 256^word_bytes.
        training: those of the steps that sum gradients; their words have 8 bytes (`of_step`).
    """

    digest: bytes
    sites: tuple[str, ...]
    receipt_keys: tuple[bytes, ...]
    colluders: int
    steps: tuple[int, ...]
    word_bytes: int = 8
    training: tuple[int, ...] = ()

    def of_step(self, step: int) -> "SumTerms":
        """The terms with the words of this step."""
        return replace(self, word_bytes=8) if step in self.training else self

    @classmethod
    def of(cls, plan: Plan) -> "SumTerms":
        """The terms of a plan with a secure sum.

        Words have 4 bytes where 64 times the records that the plan declares, of all sites together, are
        within 2^30, and 8 bytes elsewhere; a table with histories counts events, whose number it does
        not declare.

        Raises:
            RefusalError: ERR_PLAN if the plan has none.
        """
        if plan.secure_sum is None:
            raise RefusalError(ErrorCode.PLAN)
        few = plan.table.histories is None and 64 * len(plan.sites) * plan.records_per_site < 2**30
        keys = plan.secure_sum.receipt_keys
        return cls(
            digest=bytes.fromhex(plan.digest),
            sites=plan.sites,
            receipt_keys=tuple(bytes.fromhex(keys[site]) for site in plan.sites),
            colluders=plan.secure_sum.colluders,
            steps=plan.summed_steps,
            training=tuple(plan.discriminator.steps) if plan.discriminator else (),
            word_bytes=4 if few else 8,
        )

    @property
    def least(self) -> int:
        """The fewest parties that a sum is opened over: K - c."""
        return len(self.sites) - self.colluders

    @property
    def most(self) -> int:
        """The most that one site adds to a cell: a quarter of the words' range for all of them.

        So the counts of honest sites never wrap around, whatever tables they serve.
        """
        return int(1 << 8 * self.word_bytes - 2) // len(self.sites)

    def threshold(self, present: int) -> int:
        """How many of `present` parties it takes to open a sum, and to put a shared secret together.

        >>> terms = SumTerms(bytes(32), tuple("abcde"), (bytes(32),) * 5, 1, (1,))
        >>> [terms.threshold(present) for present in (4, 5)]
        [4, 4]
        """
        return max(self.least, (present + self.colluders) // 2 + 1)

    def enough(self, parties: Parties) -> None:
        """Refuse a set that is too small, either for the noise or for the shared secrets.

        Raises:
            RefusalError: ERR_POLICY.
        """
        if not max(self.least, self.threshold(len(parties))) <= len(parties):
            raise RefusalError(ErrorCode.POLICY)


def pack_parties(parties: Iterable[int]) -> bytes:
    """Positions as little-endian uint16.

    >>> pack_parties([0, 2]).hex()
    '00000200'
    """
    return np.array([*parties], dtype="<u2").tobytes()


def unpack_parties(data: bytes, among: Iterable[int]) -> Parties:
    """The positions in `data`.

    Raises:
        RefusalError: ERR_PAYLOAD unless they are ascending, different and in `among`.
    """
    if not data or len(data) % 2:
        raise RefusalError(ErrorCode.PAYLOAD)
    parties = tuple(int(party) for party in np.frombuffer(data, dtype="<u2"))
    if sorted(set(parties)) != list(parties) or not set(parties) <= set(among):
        raise RefusalError(ErrorCode.PAYLOAD)
    return parties
