"""Vaults that train a discriminator in a secure sum, and an honest coordinator of one step."""

from dataclasses import dataclass

from secure_sites import Sites
from small_site import make_secure_plan

from fedsynth_client.budget.receipts import new_key
from fedsynth_common.protocol.content import request_hash
from fedsynth_common.protocol.plan import DiscriminatorPlan
from fedsynth_common.secure_sum.masks import SumStep, unpack_words
from fedsynth_common.secure_sum.shamir import SHARE_BYTES
from fedsynth_common.secure_sum.terms import pack_parties
from fedsynth_server.messages import opening

STEP = 3
"""The first message of the training."""


def make_training_plan(signing, **training):
    """A secure sum of these sites with two messages of training; `training` changes its constants."""
    names = ("north", *(f"site-{i}" for i in range(1, len(signing))))
    public = [key.public_key().public_bytes_raw().hex() for key in signing]
    constants = {
        "first_step": STEP,
        "messages": 2,
        "steps_per_message": 1,
        "sampling_rate": 0.25,
        "noise_multiplier": 2.0,
        "expected_batch": 50,
        "hidden": (4,),
        "masked_columns": 2,
    }
    return make_secure_plan(
        signing[0],
        len(signing),
        receipt_keys=dict(zip(names, public, strict=True)),
        discriminator=DiscriminatorPlan(**(constants | training)),
    )


@dataclass
class TrainingSites(Sites):
    """`Sites` whose sums are those of clipped gradients."""

    @classmethod
    def of(cls, count=4, **training):
        signing = [new_key() for _ in range(count)]
        plan = make_training_plan(signing, **training)
        return cls(count, 1, plan=plan, signing=signing, policy={"max_sampling_rate": 1.0})

    def training_request(self, parties=None, step=STEP, **changes):
        parties = self.everybody if parties is None else parties
        fields = {"parties": pack_parties(parties), "moments": b""}
        return self.sites[0].discriminate_request(step, **(fields | changes))

    def answers(self, sites=None, parties=None, step=STEP):
        """Replies of these sites to one training request."""
        assert self.sealed
        request = self.training_request(parties, step)
        sites = self.everybody if sites is None else sites
        return {party: self.call(party, "discriminate", request) for party in sites}

    def opened_gradient(self, step=STEP):
        """The sum of all sites' noisy clipped sums, in units."""
        at = SumStep(
            step, self.everybody, request_hash(self.training_request(step=step)), self.roster
        )
        replies = self.answers(step=step)
        assert {reply.status for reply in replies.values()} == {"OK"}
        terms, size = self.terms.of_step(step), self.sites[0].parameters
        inputs = {p: unpack_words(reply.sums, size, terms) for p, reply in replies.items()}
        shown = {}
        for holder in self.everybody:
            reply = self.unmask(holder, self.everybody, {}, at)
            assert reply.status == "OK"
            shown[holder] = {
                p: reply.shares[SHARE_BYTES * k : SHARE_BYTES * (k + 1)]
                for k, p in enumerate(at.parties)
            }
        return opening.opened_sum(terms, at, inputs, shown)
