"""Parties of a secure sum without vaults: keys, shares and masked inputs, as several tests use them."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedsynth_common.secure_sum import masks, shares
from fedsynth_common.secure_sum.keys import PartyKeys, sign_keys
from fedsynth_common.secure_sum.masks import SumStep
from fedsynth_common.secure_sum.roster import roster_of
from fedsynth_common.secure_sum.terms import SumTerms
from fedsynth_server.messages import opening

REQUEST = bytes(range(32))


@dataclass
class Parties:
    """K parties that follow the protocol; `present` are those whose keys everybody has seen."""

    count: int = 5
    colluders: int = 1
    word_bytes: int = 8
    steps: tuple = (1, 2)
    present: tuple = ()
    digest: bytes = bytes(32)
    signing: list = field(default_factory=list)

    def __post_init__(self):
        self.present = self.present or tuple(range(self.count))
        self.signing = self.signing or [Ed25519PrivateKey.generate() for _ in range(self.count)]
        self.terms = SumTerms(
            digest=self.digest,
            sites=tuple(f"site {k}" for k in range(self.count)),
            receipt_keys=tuple(key.public_key().public_bytes_raw() for key in self.signing),
            colluders=self.colluders,
            steps=self.steps,
            word_bytes=self.word_bytes,
        )
        self.own = {party: PartyKeys.new(self.terms) for party in self.present}

    def shown(self, party):
        public = self.own[party].public.to_bytes()
        return public, sign_keys(self.terms, party, public, self.signing[party])

    @cached_property
    def roster(self):
        return roster_of(self.terms, {party: self.shown(party) for party in self.present})

    @cached_property
    def boxes(self):
        """By receiver and sender: sealed shares of all steps; what a party keeps of its own is open."""
        boxes = {receiver: {} for receiver in self.present}
        for sender in self.present:
            for receiver, content in shares.make_shares(self.own[sender], self.roster).items():
                if receiver != sender:
                    content = shares.seal(self.own[sender], sender, receiver, self.roster, content)
                boxes[receiver][sender] = content
        return boxes

    def sealed(self, holder, sender, step, kind):
        """One share that `sender` sealed to `holder`."""
        return shares.sealed_in(self.boxes[holder][sender], self.steps, step, kind)

    def at(self, step=1, parties=None, request=REQUEST):
        return SumStep(step, parties or self.present, request, self.roster)

    def masked(self, counts, party, at):
        words = masks.to_words(counts, self.terms)
        masks.mask(words, self.own[party], party, at)
        return words

    def shown_shares(self, holders, at, inside):
        """What each holder shows for a set."""
        result = {}
        for holder in holders:
            sealed = {
                sender: self.sealed(holder, sender, at.step, shares.kind_for(sender, inside))
                for sender in at.parties
                if sender != holder
            }
            mine = self.boxes[holder][holder]
            own = self.own[holder]
            result[holder] = shares.revealed(
                own, holder, self.roster, at.step, mine, sealed, inside
            )
        return result

    def opened(self, counts, inside, holders, at=None):
        """The sum of `counts` (by party) over the set `inside`."""
        at = at or self.at()
        inputs = {party: self.masked(counts[party], party, at) for party in inside}
        return opening.opened_sum(self.terms, at, inputs, self.shown_shares(holders, at, inside))


def make_counts(parties, cells=50, seed=0, scale=10_000):
    rng = np.random.default_rng(seed)
    return {party: rng.integers(-scale, scale, cells) for party in parties}
