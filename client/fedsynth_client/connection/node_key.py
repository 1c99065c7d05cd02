"""The site's identity at the coordinator: an ECDSA P-384 key in OpenSSH's format, as Flower wants it.

It is made at the site and its private half never leaves; the coordinator registers the public half
(`flwr supernode register`). It authenticates the courier and protects no record: whoever steals it
can take the courier's place and receives from the vault what the courier would receive. Receipts are
signed with another key, which only the vault holds.
"""

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from fedsynth_common.errors import InputError


def public_path(key: Path) -> Path:
    """Where the public half lies: beside the private one, with `.pub` added."""
    return key.with_name(f"{key.name}.pub")


def make_node_key(path: Path, comment: str) -> bool:
    """Write a new private key (0600) and its public half; False where there is a key already.

    An existing private key is never replaced; its public half is written again.

    Raises:
        InputError: if the folder cannot be written, or the existing file is no such key.
    """
    new = not path.exists()
    try:
        if new:
            private = ec.generate_private_key(ec.SECP384R1())
            text = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
        public_path(path).write_text(f"{public_line(path)} {comment}\n", encoding="ascii")
    except OSError as error:
        raise InputError(f"node key {path}: cannot be written ({error.strerror})") from None
    return new


def public_line(path: Path) -> str:
    """The public half of a private key file, as a line of OpenSSH.

    Raises:
        InputError: missing, unreadable, or not an unencrypted ECDSA key.
    """
    try:
        private = load_ssh_private_key(path.read_bytes(), None)
    except OSError as error:
        raise InputError(
            f"node key {path}: cannot be read ({error.strerror}); make one with `fedsynth site key`"
        ) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise InputError(f"node key {path}: expected an ECDSA key of OpenSSH without a passphrase")
    return private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
