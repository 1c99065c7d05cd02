"""Masks: words that look random, cancel in the sum, and depend on everything that was asked.

A mask is the ChaCha20 keystream under a key that HKDF-SHA256 derives from a secret and from the
*context* of the step: plan, step, roster and request. Two parties add and subtract the same one. Since
the context holds the hash of the whole request, with the parties whose masks it names, masks of two
different requests never cancel, and inputs to different requests cannot be subtracted from each other.
Words are unsigned, of 4 or 8 bytes, and sums are taken modulo 2^32 or 2^64.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from fedsynth_common.array_types import Int64Array
from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.secure_sum.keys import PartyKeys, agreed
from fedsynth_common.secure_sum.roster import Roster
from fedsynth_common.secure_sum.terms import Parties, SumTerms, pack_parties

Words: TypeAlias = NDArray[np.unsignedinteger]
_CHUNK = 1 << 20  # bytes of keystream at once: bounds memory, changes nothing else
_PAIR, _SELF = b"fedsynth secure sum pair\0", b"fedsynth secure sum self\0"


@dataclass(frozen=True)
class SumStep:
    """One sum, the same for all its parties.

    Attributes:
        step: number of the measure step.
        parties: those whose masks cancel.
        request: SHA-256 of the request that all of them answer.
        roster: of the study.
    """

    step: int
    parties: Parties
    request: bytes
    roster: Roster

    @property
    def context(self) -> bytes:
        """What every mask of this sum depends on, 32 bytes; the roster's digest holds the plan."""
        fields = [self.roster.digest, struct.pack("<I", self.step), self.request]
        content = b"".join([*fields, pack_parties(self.parties)])
        return hashlib.sha256(b"fedsynth secure sum step\0" + content).digest()


def to_words(counts: Int64Array, terms: SumTerms) -> Words:
    """Counts modulo 2^32 or 2^64, in memory of their own."""
    return counts.astype(np.uint64).astype(f"<u{terms.word_bytes}")


def to_counts(words: Words) -> Int64Array:
    """Words as the signed numbers that they stand for: the upper half is negative."""
    return words.view(f"<i{words.dtype.itemsize}").astype(np.int64)


def unpack_words(data: bytes, size: int, terms: SumTerms) -> Words:
    """`size` words; RefusalError(ERR_PAYLOAD) for another length."""
    if len(data) != size * terms.word_bytes:
        raise RefusalError(ErrorCode.PAYLOAD)
    return np.frombuffer(data, dtype=f"<u{terms.word_bytes}")


def mask(words: Words, own: PartyKeys, party: int, at: SumStep) -> None:
    """Add to `words` the self-mask of a party and its mask with each other party of the sum.

    Raises:
        ValueError: another party's mask key is none.
    """
    keys = own.steps[at.step]
    add_self_mask(words, keys.seed, at)
    for other in at.parties:
        if other != party:
            public = at.roster.keys[other].steps[at.step].mask
            add_pair_mask(words, agreed(keys.mask, public), party, other, at)


def add_self_mask(words: Words, seed: bytes, at: SumStep, *, remove: bool = False) -> None:
    """Add the mask of a self-mask seed in place, or take it off."""
    _add_keystream(words, _key(seed, _SELF, at), negative=remove)


def add_pair_mask(
    words: Words, secret: bytes, party: int, other: int, at: SumStep, *, remove: bool = False
) -> None:
    """Add what `party` adds for `other` in place, or take it off.

    The first of a pair adds, the second subtracts.
    """
    _add_keystream(words, _key(secret, _PAIR, at), negative=(party > other) != remove)


def _key(secret: bytes, purpose: bytes, at: SumStep) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=purpose + at.context).derive(secret)


def _add_keystream(words: Words, key: bytes, *, negative: bool) -> None:
    """Add the keystream of `key`, which is used for this alone, so the nonce is zero."""
    stream = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()
    size = words.dtype.itemsize
    zeros, room = bytes(_CHUNK), bytearray(_CHUNK)
    for start in range(0, words.size, _CHUNK // size):
        part = words[start : start + _CHUNK // size]
        length = part.size * size
        stream.update_into(memoryview(zeros)[:length], memoryview(room)[:length])
        pad = np.frombuffer(room, words.dtype, part.size)
        np.subtract(part, pad, out=part) if negative else np.add(part, pad, out=part)


def total(inputs: Mapping[int, Words], terms: SumTerms) -> Words:
    """The sum of masked inputs, in memory of its own."""
    words = np.zeros(next(iter(inputs.values())).size, f"<u{terms.word_bytes}")
    for masked in inputs.values():
        words += masked
    return words
