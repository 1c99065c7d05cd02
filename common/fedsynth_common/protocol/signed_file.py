"""Signed files that coordinator and site send each other: the invitation, the answer, the notice.

The notice (`Notice`) tells the sites another authority; `key_change` has the one of a new receipt key.
Each is JSON with its content, the public key of whoever wrote it, and a signature over both. The
signature shows that nothing was changed since; who wrote it is known once two people have compared the
key's fingerprint by telephone or in writing. The signed text begins with words of its own, so that the
signature is good for nothing else: a receipt is JSON, and an enrolment begins otherwise.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field

from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_PLAN_BYTES, read_limited
from fedsynth_common.validated import validated

MOST_BYTES = 2 * MAX_PLAN_BYTES + (1 << 20)
"""Bytes of such a file: a plan with its quotes escaped, a bundle and certificates."""
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
SiteName = Annotated[str, Field(min_length=1, max_length=128)]
StudyName = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class Content(BaseModel):
    """What a signed file holds; `kind` tells them apart."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Invitation(Content):
    """What a site needs of the coordinator.

    Attributes:
        superlink: HOST:PORT that the site's courier connects to.
        authority: the certificate (PEM) of the authority that signed the one shown there.
        plan: plan.json, the text whose digest the site approves.
        bundle: the app bundle in base64.
    """

    kind: Literal["fedsynth-invitation-1"] = "fedsynth-invitation-1"
    study: StudyName
    site: SiteName
    superlink: str = Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$")
    authority: str = Field(max_length=1 << 17)
    plan: str
    bundle: Annotated[str, Field(max_length=1 << 19)]

    @property
    def bundle_bytes(self) -> bytes:
        """The app bundle.

        Raises:
            InputError: it is not base64.
        """
        try:
            return base64.b64decode(self.bundle, validate=True)
        except ValueError:
            raise InputError("invitation: its bundle is not base64; ask for it again") from None


class Answer(Content):
    """What the coordinator needs of a site; the receipt key is the one that signs the file.

    Attributes:
        node_key: the public half of the courier's key, a line of OpenSSH.
    """

    kind: Literal["fedsynth-answer-1"] = "fedsynth-answer-1"
    study: StudyName
    plan_digest: Hex
    site: SiteName
    node_key: str = Field(max_length=1000, pattern=r"^ecdsa-sha2-nistp384 [A-Za-z0-9+/=]+$")


class Notice(Content):
    """The coordinator's certificates are signed by another authority, now or soon.

    Attributes:
        written: when, in seconds since 1970; a site takes no notice older than its last.
        authority: the certificates (PEM) of all authorities that a site is to trust from now on.
    """

    kind: Literal["fedsynth-notice-1"] = "fedsynth-notice-1"
    written: Annotated[int, Field(ge=0, le=2**53)]
    authority: str = Field(max_length=1 << 17)


class _Signed(Content):
    content: str
    key: Hex
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


def _signed_text(content: str) -> bytes:
    return b"fedsynth signed file\0" + content.encode()


def signed(content: Content, key: Ed25519PrivateKey) -> bytes:
    """The bytes of a file with this content, signed with `key`."""
    text = content.model_dump_json()
    fields = {
        "content": text,
        "key": key.public_key().public_bytes_raw().hex(),
        "signature": key.sign(_signed_text(text)).hex(),
    }
    return (json.dumps(fields, indent=1) + "\n").encode()


def read_invitation(path: Path) -> tuple[Invitation, str]:
    """An invitation and the coordinator's key (hex) that it was signed with.

    Raises:
        InputError: no such file, not an invitation, or changed since it was signed.
    """
    text, key = opened(path, "invitation")
    return validated(Invitation, text, f"invitation {path}"), key


def read_answer(path: Path) -> tuple[Answer, str]:
    """A site's answer and the receipt key (hex) that it was signed with.

    Raises:
        InputError: no such file, not an answer, or changed since it was signed.
    """
    text, key = opened(path, "answer")
    return validated(Answer, text, f"answer {path}"), key


def read_notice(path: Path) -> tuple[Notice, str]:
    """A notice and the coordinator's key (hex) that it was signed with.

    Raises:
        InputError: no such file, not a notice, or changed since it was signed.
    """
    text, key = opened(path, "notice")
    return validated(Notice, text, f"notice {path}"), key


def opened(path: Path, what: str) -> tuple[str, str]:
    """The content of a signed file, whose signature fits, and the key (hex) that signed it.

    Raises:
        InputError: no such file, not a signed file, or changed since it was signed.
    """
    try:
        data = read_limited(path, MOST_BYTES)
    except OSError as error:
        raise InputError(f"{what} {path}: cannot be read ({error.strerror})") from None
    file = validated(_Signed, data, f"{what} {path}")
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(file.key))
    try:
        public.verify(bytes.fromhex(file.signature), _signed_text(file.content))
    except InvalidSignature:
        raise InputError(
            f"{what} {path}: was changed after it was signed, or is damaged; ask for it again"
        ) from None
    return file.content, file.key


def fingerprint(key: str) -> str:
    """A key (hex) as two people compare it by telephone: 32 digits in groups of four.

    >>> fingerprint("00" * 32)
    '6668 7aad f862 bd77 6c8f c18b 8e9f 8e20'
    """
    digest = hashlib.sha256(bytes.fromhex(key)).hexdigest()[:32]
    return " ".join(digest[start : start + 4] for start in range(0, 32, 4))
