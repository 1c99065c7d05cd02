"""Makes the receipts of a site, and the key that signs them.

The format of a receipt is defined in `fedsynth_common.protocol.receipt`.
"""

import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedsynth_common.errors import InputError
from fedsynth_common.privacy.events import Event, to_dict
from fedsynth_common.protocol.receipt import LedgerHead, Receipt, SummedStep


def package_version() -> str:
    """Version of the installed client."""
    try:
        return version("fedsynth-client")
    except PackageNotFoundError:  # run from a source tree
        return "0+unknown"


def receipt_json(
    *,
    study: str,
    plan_digest: str,
    dataset: str,
    events: Sequence[Event],
    head: str,
    seeded: bool,
    sums: Sequence[SummedStep] = (),
) -> bytes:
    """The receipt's bytes. Everything in a receipt is public or already charged."""
    receipt = Receipt(
        study=study,
        plan_digest=plan_digest,
        dataset=dataset,
        events=tuple(to_dict(event) for event in events),
        ledger=LedgerHead(head=head),
        package_version=package_version(),
        seeded=seeded,
        sums=tuple(sums),
    )
    return receipt.to_json()


def new_key() -> Ed25519PrivateKey:
    """A fresh signing key."""
    return Ed25519PrivateKey.generate()


def load_or_create_key(path: Path) -> Ed25519PrivateKey:
    """The site's signing key: 32 raw bytes, readable by the owner alone.

    Raises:
        InputError: if the file is not such a key.
    """
    if not path.exists():
        key = new_key()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.private_bytes_raw())
        return key
    try:
        return Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    except (OSError, ValueError):
        raise InputError(f"signing key {path}: expected 32 raw bytes of an Ed25519 key") from None
