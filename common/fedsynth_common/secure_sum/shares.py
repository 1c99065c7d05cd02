"""A party's secrets, shared among the roster; each share is sealed so that only its party can read it.

The key of the seal comes from the two channel keys (X25519, then HKDF-SHA256 over plan, roster, sender
and receiver), and the seal is ChaCha20-Poly1305, so the coordinator, who carries the shares, can neither
read nor change them. A box holds the shares of all steps: for each step that of the mask key and that
of the seed, 33 bytes each. Which of the two is ever shown is decided by the set of the step
(`agreement`), by the party that opened the box and nobody else.
"""

import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedsynth_common.secure_sum.keys import PartyKeys, agreed
from fedsynth_common.secure_sum.roster import Roster
from fedsynth_common.secure_sum.shamir import NO_SHARE, SHARE_BYTES, split
from fedsynth_common.secure_sum.terms import Parties

_NONCE, _TAG = 12, 16
_STEP = 2 * SHARE_BYTES


def box_bytes(steps: int) -> int:
    """Length of a sealed box.

    >>> box_bytes(2)
    160
    """
    return _NONCE + content_bytes(steps) + _TAG


def content_bytes(steps: int) -> int:
    """Length of an open box.

    >>> content_bytes(2)
    132
    """
    return _STEP * steps


def make_shares(own: PartyKeys, roster: Roster) -> dict[int, bytes]:
    """For each party of the roster, the shares of all of this party's secrets, not yet sealed."""
    content = dict.fromkeys(roster.parties, b"")
    for keys in own.steps.values():
        for secret in (keys.mask, keys.seed):
            shares = split(secret, roster.threshold, roster.parties)
            content = {other: content[other] + share for other, share in shares.items()}
    return content


def seal(own: PartyKeys, party: int, receiver: int, roster: Roster, content: bytes) -> bytes:
    """The box in which `content` travels to another party.

    Raises:
        ValueError: the receiver's channel key is none.
    """
    nonce = os.urandom(_NONCE)
    cipher = _cipher(own, roster, other=receiver, sender=party, receiver=receiver)
    return nonce + cipher.encrypt(nonce, content, None)


def unseal(own: PartyKeys, party: int, sender: int, roster: Roster, box: bytes) -> bytes:
    """The shares that another party sealed to this one; shares that are none if it did not."""
    try:
        cipher = _cipher(own, roster, other=sender, sender=sender, receiver=party)
        content = cipher.decrypt(box[:_NONCE], box[_NONCE:], None)
    except (InvalidTag, ValueError):
        content = b""
    length = content_bytes(len(own.steps))
    return content if len(content) == length else NO_SHARE * (2 * len(own.steps))


def _cipher(
    own: PartyKeys, roster: Roster, *, other: int, sender: int, receiver: int
) -> ChaCha20Poly1305:
    secret = agreed(own.channel, roster.keys[other].channel)
    info = b"fedsynth secure sum share\0" + roster.digest + struct.pack("<HH", sender, receiver)
    return ChaCha20Poly1305(HKDF(SHA256(), 32, salt=None, info=info).derive(secret))


def mask_share(own: PartyKeys, content: bytes, step: int) -> bytes:
    """The share of the mask key of a step in an open box."""
    return _part(own, content, step, 0)


def seed_share(own: PartyKeys, content: bytes, step: int) -> bytes:
    """The share of the self-mask seed of a step in an open box."""
    return _part(own, content, step, 1)


def _part(own: PartyKeys, content: bytes, step: int, which: int) -> bytes:
    start = _STEP * list(own.steps).index(step) + SHARE_BYTES * which
    return content[start : start + SHARE_BYTES]


def revealed(
    own: PartyKeys, step: int, boxes: dict[int, bytes], inside: Parties
) -> dict[int, bytes]:
    """For each party whose box is open: the share of its seed if it is in the set, else of its mask key.

    Never both: with both, the masked input of that party alone could be opened.
    """
    return {
        party: (seed_share if party in inside else mask_share)(own, content, step)
        for party, content in boxes.items()
    }
