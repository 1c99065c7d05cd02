"""The file by which a site says that it signs with another receipt key from now on.

The old key signs the file, and the new key signs both keys and the site's name. So whoever knows the
old key to be the site's knows the same of the new one, and the other way round: `fedsynth verify` takes
a release that the old key signed for one of the site whose new key it was given.

A key that somebody else may have proves nothing any more, and neither does a change that it signed.
For an exposed key there is no such file: two people tell the new key by telephone.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field

from fedsynth_common.errors import InputError
from fedsynth_common.protocol.signed_file import (
    Answer,
    Content,
    Hex,
    SiteName,
    opened,
    signed,
)
from fedsynth_common.validated import validated


class KeyChange(Content):
    """A site's new receipt key; the old one is the key that signs the file.

    Attributes:
        proof: the new key's signature, so that nobody claims a key that is another's.
    """

    kind: Literal["fedsynth-key-change-1"] = "fedsynth-key-change-1"
    site: SiteName
    new_key: Hex
    proof: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


def _proof_text(site: str, old: bytes, new: bytes) -> bytes:
    return b"fedsynth new receipt key\0" + old + new + site.encode()


def key_change(site: str, old: Ed25519PrivateKey, new: Ed25519PrivateKey) -> bytes:
    """The file, signed by both keys."""
    before, after = (key.public_key().public_bytes_raw() for key in (old, new))
    proof = new.sign(_proof_text(site, before, after)).hex()
    return signed(KeyChange(site=site, new_key=after.hex(), proof=proof), old)


def read_key_change(path: Path) -> tuple[KeyChange, str]:
    """A change and the old key (hex).

    Raises:
        InputError: no such file, not a change of a key, or one that a key did not sign.
    """
    text, key = opened(path, "key change")
    return _checked(text, key, path), key


def read_from_site(path: Path) -> tuple[Answer | KeyChange, str]:
    """What a site sent, an answer or a change of its key, and the key (hex) that signed it.

    Raises:
        InputError: no such file, neither of the two, or changed since it was signed.
    """
    text, key = opened(path, "answer")
    if '"fedsynth-key-change-' in text[:40]:
        return _checked(text, key, path), key
    return validated(Answer, text, f"answer {path}"), key


def _checked(text: str, key: str, path: Path) -> KeyChange:
    change = validated(KeyChange, text, f"key change {path}")
    new = bytes.fromhex(change.new_key)
    told = _proof_text(change.site, bytes.fromhex(key), new)
    try:
        Ed25519PublicKey.from_public_bytes(new).verify(bytes.fromhex(change.proof), told)
    except (InvalidSignature, ValueError):
        raise InputError(
            f"key change {path}: the new key did not sign it; ask the site for it again"
        ) from None
    return change


def earlier_keys(site: str, key: str, changes: Iterable[tuple[KeyChange, str]]) -> set[str]:
    """`key` of a site and all keys that were replaced by it, by way of `changes`."""
    found, before = {key.lower()}, [pair for pair in changes if pair[0].site == site]
    for _ in before:
        found |= {old for change, old in before if change.new_key in found}
    return found
