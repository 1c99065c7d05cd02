"""A party's keys: what it keeps, what it shows, and its signature under the latter.

For the study it makes one X25519 channel key, over which shares are sealed. For each step it makes an
X25519 mask key and a self-mask seed. All are drawn independently from the operating system's entropy,
so that what is put together to open one step says nothing about another. Shown are the public keys, and
of the seed a commitment: its SHA-256 tells whether a seed was put together correctly, and since the seed
is 32 random bytes it tells nothing else.

The signature is made with the receipt key that the plan names for the site, over the plan and the site.
So a coordinator can neither invent a party, nor replace its keys, nor use them again in another study.
"""

import hashlib
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from fedsynth_common.secure_sum.terms import SumTerms

KEY_BYTES = 32
SIGNATURE_BYTES = 64


def commitment(seed: bytes) -> bytes:
    """What is shown of a self-mask seed."""
    return hashlib.sha256(b"fedsynth secure sum seed\0" + seed).digest()


def public_key(private: bytes) -> bytes:
    """The public key (32 bytes) of an X25519 private key (32 bytes)."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agreed(private: bytes, public: bytes) -> bytes:
    """The X25519 secret (32 bytes) that two parties share.

    Raises:
        ValueError: the public key is one of the few that give everybody the same secret.
    """
    own = X25519PrivateKey.from_private_bytes(private)
    return own.exchange(X25519PublicKey.from_public_bytes(public))


@dataclass(frozen=True)
class StepKeys:
    """For one step: a mask key and what belongs to the self-mask, each 32 bytes.

    Attributes:
        mask: the X25519 private key, or its public half.
        seed: the self-mask seed, or its commitment.
    """

    mask: bytes
    seed: bytes


@dataclass(frozen=True)
class PartyKeys:
    """The keys of one party, either the private halves or the public ones.

    Attributes:
        channel: X25519 key.
        steps: by number of the step, in the plan's order.
    """

    channel: bytes
    steps: dict[int, StepKeys]

    @classmethod
    def new(cls, terms: SumTerms) -> "PartyKeys":
        """Fresh private keys."""
        steps = {step: StepKeys(os.urandom(32), os.urandom(32)) for step in terms.steps}
        return cls(os.urandom(KEY_BYTES), steps)

    @property
    def public(self) -> "PartyKeys":
        """What may be shown of these private keys."""
        steps = {
            step: StepKeys(public_key(keys.mask), commitment(keys.seed))
            for step, keys in self.steps.items()
        }
        return PartyKeys(public_key(self.channel), steps)

    def to_bytes(self) -> bytes:
        """32 bytes for the channel and 64 for each step."""
        return b"".join([self.channel, *(keys.mask + keys.seed for keys in self.steps.values())])

    @classmethod
    def from_bytes(cls, data: bytes, terms: SumTerms) -> "PartyKeys":
        """The keys in `data`.

        Raises:
            ValueError: another length than the plan's steps give.
        """
        if len(data) != KEY_BYTES * (1 + 2 * len(terms.steps)):
            raise ValueError("keys: not as many bytes as the plan's steps need")
        parts = [data[start : start + KEY_BYTES] for start in range(0, len(data), KEY_BYTES)]
        pairs = zip(terms.steps, parts[1::2], parts[2::2], strict=True)
        return cls(parts[0], {step: StepKeys(mask, seed) for step, mask, seed in pairs})


def keys_text(terms: SumTerms, party: int, public: bytes) -> bytes:
    """What a party signs when it shows its keys."""
    return (
        b"fedsynth secure sum keys\0" + terms.digest + terms.sites[party].encode() + b"\0" + public
    )


def sign_keys(terms: SumTerms, party: int, public: bytes, key: Ed25519PrivateKey) -> bytes:
    """The signature of a party under its public keys."""
    return key.sign(keys_text(terms, party, public))


def signed_by(terms: SumTerms, party: int, text: bytes, signature: bytes) -> bool:
    """Whether this is the signature of the party that the plan names."""
    try:
        key = Ed25519PublicKey.from_public_bytes(terms.receipt_keys[party])
        key.verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


def shown_keys(terms: SumTerms, party: int, public: bytes, signature: bytes) -> PartyKeys:
    """The keys that a party shows, once its signature was found to fit.

    Raises:
        ValueError: they are malformed, one is of the few that give everybody the same secret, or the
            party that the plan names did not sign them.
    """
    keys = PartyKeys.from_bytes(public, terms)
    for key in (keys.channel, *(step.mask for step in keys.steps.values())):
        agreed(os.urandom(KEY_BYTES), key)
    if not signed_by(terms, party, keys_text(terms, party, public), signature):
        raise ValueError("keys: not signed by the site that the plan names")
    return keys
