"""The receipt: what a site's vault signs about the cost of one study. This is its only definition.

A receipt lists the privacy events of a study as the site's ledger holds them. It also names the
ledger's head, so that a later claim of fewer charges can be refuted. It says nothing about the
records, and nothing about the site's other studies: how many entries the ledger has would tell of them.
The vault signs the exact bytes of the canonical JSON (sorted keys, no white space) with
Ed25519.
"""

import json
from typing import Annotated, Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field

from fedsynth_common.protocol.plan import MAX_KEYED, MAX_SITES

Name = Annotated[str, Field(max_length=200)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LedgerHead(_Frozen):
    """The hash of the last entry of a site's ledger when it signed.

    `seq` is the number of entries, in receipts of format 1 alone.
    """

    seq: Annotated[int, Field(ge=0, le=2**62)] | None = None
    head: Name


class SummedStep(_Frozen):
    """A step of a secure sum, as the site that signs took part in it.

    Attributes:
        step: its number in the plan.
        masked: of how many sites the masks are that the site's counts went out under.
        opened: over how many sites the site agreed to open the sum; None if it did not.
    """

    step: Annotated[int, Field(ge=1, le=2**31)]
    masked: Annotated[int, Field(ge=1, le=MAX_SITES)]
    opened: Annotated[int, Field(ge=1, le=MAX_SITES)] | None = None


class Receipt(_Frozen):
    """The fields of a receipt, format 2. Format 1 also told how many entries the ledger had.

    Attributes:
        events: what was charged (`privacy.events.to_dict`).
        sums: the steps of a secure sum that were charged; a receipt without any does not name them.
        seeded: noise or sampling came from a seed, so that the events protect nobody.
    """

    format_version: Literal[1, 2] = 2
    study: Name
    plan_digest: Name
    dataset: Name
    events: Annotated[tuple[dict[str, Any], ...], Field(max_length=20_000)]
    sums: Annotated[tuple[SummedStep, ...], Field(max_length=MAX_KEYED)] = ()
    ledger: LedgerHead
    package_version: Name
    seeded: bool

    def to_json(self) -> bytes:
        """Canonical JSON: the bytes that are signed."""
        fields = self.model_dump(mode="json", exclude=None if self.sums else {"sums"})
        if self.ledger.seq is None:
            del fields["ledger"]["seq"]
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def opened(cls, body: bytes, signature: bytes, key: bytes) -> "Receipt":
        """The receipt in these bytes, once its signature was found to fit.

        Raises:
            ValueError: the key is not an Ed25519 public key of 32 bytes.
            InvalidSignature: the signature does not fit the bytes and the key.
            ValidationError: the bytes are not a receipt of this format; also a ValueError.
        """
        Ed25519PublicKey.from_public_bytes(key).verify(signature, body)
        return cls.model_validate_json(body)

    @property
    def facts(self) -> dict[str, Any]:
        """What a site's line in the privacy statement repeats in the clear."""
        return {
            "dataset": self.dataset,
            "ledger_entries": self.ledger.seq or 0,
            "ledger_head": self.ledger.head,
            "package_version": self.package_version,
            "sums": self.sums,
        }
