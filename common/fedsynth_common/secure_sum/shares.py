"""A party's secrets, shared among the roster; each share is sealed by itself for the party it is of.

The key of a seal comes from the two channel keys (X25519, then HKDF-SHA256 over plan, roster, sender,
receiver, step and kind of share), and the seal is AES-256-GCM-SIV (RFC 8452), so the coordinator, who
carries the shares, can neither read nor change them, nor pass one of them for another. Every key seals
one share and needs no nonce. Should a site whose disk was set back share its secrets anew, a key would
seal two different shares; this mode stays secure then, and tells at most whether they are equal.

A box holds the sealed shares of all steps: for each step that of the mask key and that of the seed. To
open a step, the coordinator sends a party the one of the two that the set of the step calls for
(`agreement`). Which one is shown is decided by the party that opens it and by nobody else (`revealed`).
"""

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedsynth_common.secure_sum.keys import PartyKeys, agreed
from fedsynth_common.secure_sum.roster import Roster
from fedsynth_common.secure_sum.shamir import NO_SHARE, SHARE_BYTES, split
from fedsynth_common.secure_sum.terms import Parties

SEALED_BYTES = SHARE_BYTES + 16
"""Of one sealed share: with the tag."""
_NONCE = bytes(12)


class Kind(IntEnum):
    """Which secret of a step a share is of."""

    MASK = 0
    SEED = 1


def kind_for(party: int, inside: Parties) -> Kind:
    """What is shown of a party: of its seed if it is in the set, else of its mask key. Never both.

    With both, the masked input of that party alone could be opened.
    """
    return Kind.SEED if party in inside else Kind.MASK


def box_bytes(steps: int) -> int:
    """Length of a box of sealed shares.

    >>> box_bytes(2)
    192
    """
    return len(Kind) * SEALED_BYTES * steps


def content_bytes(steps: int) -> int:
    """Length of the same shares without seals.

    >>> content_bytes(2)
    128
    """
    return len(Kind) * SHARE_BYTES * steps


def make_shares(own: PartyKeys, roster: Roster) -> dict[int, bytes]:
    """For each party of the roster, the shares of all of this party's secrets, not yet sealed."""
    content = dict.fromkeys(roster.parties, b"")
    for keys in own.steps.values():
        for secret in (keys.mask, keys.seed):
            shares = split(secret, roster.threshold, roster.parties)
            content = {other: content[other] + share for other, share in shares.items()}
    return content


def seal(own: PartyKeys, party: int, receiver: int, roster: Roster, content: bytes) -> bytes:
    """The box in which the shares of all steps travel to another party, each sealed by itself.

    Raises:
        ValueError: the receiver's channel key is none.
    """
    secret = agreed(own.channel, roster.keys[receiver].channel)
    box = []
    for step in own.steps:
        for kind in Kind:
            share = share_in(content, tuple(own.steps), step, kind)
            cipher = _cipher(secret, roster, party, receiver, step, kind)
            box.append(cipher.encrypt(_NONCE, share, None))
    return b"".join(box)


def unseal(
    own: PartyKeys, party: int, sender: int, roster: Roster, step: int, kind: Kind, sealed: bytes
) -> bytes:
    """A share that another party sealed to this one; a share that is none if it did not."""
    try:
        secret = agreed(own.channel, roster.keys[sender].channel)
        share = _cipher(secret, roster, sender, party, step, kind).decrypt(_NONCE, sealed, None)
    except (InvalidTag, ValueError):
        return NO_SHARE
    return share if len(share) == SHARE_BYTES else NO_SHARE


def _cipher(
    secret: bytes, roster: Roster, sender: int, receiver: int, step: int, kind: Kind
) -> AESGCMSIV:
    place = struct.pack("<HHIB", sender, receiver, step, kind)
    info = b"fedsynth secure sum share\0" + roster.digest + place
    return AESGCMSIV(HKDF(SHA256(), 32, salt=None, info=info).derive(secret))


def share_in(content: bytes, steps: Sequence[int], step: int, kind: Kind) -> bytes:
    """One share of those of all `steps`."""
    return _part(content, steps, step, kind, SHARE_BYTES)


def sealed_in(box: bytes, steps: Sequence[int], step: int, kind: Kind) -> bytes:
    """One sealed share of a box of all `steps`."""
    return _part(box, steps, step, kind, SEALED_BYTES)


def _part(data: bytes, steps: Sequence[int], step: int, kind: Kind, size: int) -> bytes:
    start = size * (len(Kind) * steps.index(step) + kind)
    return data[start : start + size]


def revealed(
    own: PartyKeys,
    party: int,
    roster: Roster,
    step: int,
    mine: bytes,
    sealed: Mapping[int, bytes],
    inside: Parties,
) -> dict[int, bytes]:
    """What a party shows to open a step: of every party one share, by its position.

    Args:
        own: the private keys of this party.
        party: its position.
        roster: of the study.
        step: that is opened.
        mine: its shares of its own secrets, of all steps, not sealed.
        sealed: by sender, the one share that the coordinator passed on.
        inside: the set.
    """
    shown = {party: share_in(mine, tuple(own.steps), step, kind_for(party, inside))}
    for sender, one in sealed.items():
        shown[sender] = unseal(own, party, sender, roster, step, kind_for(sender, inside), one)
    return shown
