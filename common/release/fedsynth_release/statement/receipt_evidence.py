"""What a site's signed receipt proves about the site's line in the privacy statement.

The site's vault writes the receipt from its ledger and signs the exact bytes with Ed25519. A site
without a receipt may have spent the whole plan, so its line must list the whole plan.

The plan limits what a receipt can say. The noise on counts may be larger than planned, and training
may stop early, but nothing may cost more than planned, because a vault refuses such a request. If a
receipt says more than the plan allows, then the line, the receipt or the plan is from another
study.

Guarantee: `evidence_of` raises no error, whatever the file contains, and returns every fault that
it finds. It cannot prove that a key belongs to the site. Only a key that the auditor has from the
site itself can prove this (`known_keys`).
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.exceptions import InvalidSignature
from pydantic import ValidationError

from fedsynth_common.limits import printable
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.events import (
    DpSgdEvent,
    EitherEvent,
    Event,
    from_dict,
    merged,
)
from fedsynth_common.privacy.gaussian_dp import total_mu
from fedsynth_common.privacy.secure_noise import alone
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.protocol.receipt import Receipt
from fedsynth_common.validated import dotted, faults_of
from fedsynth_release.statement.costs import SiteCost

PROVEN = (
    *("receipt", "signature", "receipt_key"),
    *("dataset", "ledger_entries", "ledger_head", "package_version", "sums"),
)
"""Fields of a site's line that repeat the receipt; they are empty for a site without a receipt."""
Fault = tuple[str, str]
"""A field of the site's line, and what is wrong with it."""


class _RefusedError(Exception):
    """The receipt proves nothing; `args` hold the fault."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.fault: Fault = field, problem


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one site was charged, as far as its receipt shows it.

    Attributes:
        events: the events of the receipt; for a lost site those of the whole plan; None if the
            receipt cannot be trusted.
        seeded: whether a valid receipt says that the noise came from a seed.
        signed: whether the receipt has a valid signature.
        faults: everything that does not fit.
        facts: the fields of the receipt that the site's line must repeat; empty if there is no
            receipt that can be trusted.
    """

    events: tuple[Event, ...] | None
    seeded: bool
    signed: bool
    faults: tuple[Fault, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


def evidence_of(cost: SiteCost, plan: Plan, known_keys: Collection[str] = ()) -> Evidence:
    """Check one site's receipt against its signature, the plan and the known keys, if there are any.

    A site has several known keys if it replaced its key: the release was signed with one of them.
    """
    if cost.status == "lost":
        present = [name for name in PROVEN if getattr(cost, name)]
        faults = [(name, 'a site with status "lost" has none') for name in present]
        events = merged(plan.planned_events())
        return Evidence(events=events, seeded=False, signed=False, faults=tuple(faults))
    faults = []
    if known_keys and cost.receipt_key.lower() not in known_keys:
        faults.append(("receipt_key", "is not the key that is known for this site"))
    try:
        receipt = _opened(cost)
        faults += _of_another_study(receipt, plan)
        charged = _events(receipt.events)
    except _RefusedError as refused:
        faults.append(refused.fault)
        return Evidence(events=None, seeded=False, signed=False, faults=tuple(faults))
    if beyond(charged, plan):
        faults.append(("receipt.events", "are more than the plan allows a site"))
    faults += _of_sums(receipt, plan)
    return Evidence(
        events=charged,
        seeded=receipt.seeded,
        signed=True,
        faults=tuple(faults),
        facts=receipt.facts,
    )


def _opened(cost: SiteCost) -> Receipt:
    """The receipt, after its signature was checked."""
    if not cost.receipt:
        raise _RefusedError("receipt", 'missing; without one the status must be "lost"')
    body, signature, raw = (_unhex(cost, name) for name in ("receipt", "signature", "receipt_key"))
    try:
        return Receipt.opened(body, signature, raw)
    except InvalidSignature:
        raise _RefusedError("signature", "does not fit the receipt and its key") from None
    except ValidationError as error:
        place, fault = faults_of(error, Receipt)[0]
        where = f"{dotted(place)}: {fault}" if place else fault
        raise _RefusedError("receipt", f"damaged, or of another format: {where}") from None
    except ValueError:
        raise _RefusedError("receipt_key", "is not an Ed25519 public key of 32 bytes") from None


def _unhex(cost: SiteCost, name: str) -> bytes:
    try:
        return bytes.fromhex(getattr(cost, name))
    except ValueError:
        raise _RefusedError(name, "is not hexadecimal") from None


def _of_another_study(receipt: Receipt, plan: Plan) -> list[Fault]:
    """The faults of a receipt that was signed for another study or another plan."""
    faults = []
    if receipt.study != plan.study:
        faults.append(("receipt.study", f"is not study {plan.study!r} of the plan"))
    if receipt.plan_digest != plan.digest:
        faults.append(("receipt.plan_digest", "is not the digest of plan.json"))
    return faults


def _of_sums(receipt: Receipt, plan: Plan) -> list[Fault]:
    """The faults of sums that the plan does not allow: over fewer sites, their noise is too little."""
    sites = len(plan.sites)
    least = sites - plan.secure_sum.colluders if plan.secure_sum else math.inf
    steps = [summed.step for summed in receipt.sums]
    faults = []
    if len(set(steps)) < len(steps) or not all(map(plan.summed, steps)):
        faults.append(("receipt.sums", "are not steps of the plan"))
    for summed in receipt.sums:
        opened = summed.masked if summed.opened is None else summed.opened
        if not least <= opened <= summed.masked <= sites:
            problem = f"step {summed.step}: not as many sites as the plan says of a sum"
            faults.append(("receipt.sums", problem))
    return faults


def _events(charged: Iterable[Mapping[str, Any]]) -> tuple[Event, ...]:
    try:
        return merged(from_dict(event) for event in charged)
    except PrivacyError as error:
        fault = f"cannot be accounted ({printable(str(error))})"
        raise _RefusedError("receipt.events", fault) from None


def beyond(events: Iterable[Event], plan: Plan) -> bool:
    """Whether the events cost more than the plan allows one site.

    Counts are compared by their squared μ of Gaussian differential privacy. DP-SGD is compared by
    its number of steps, and only at exactly the planned sampling rate and noise multiplier. In a secure
    sum neither the noise of all shares nor a site's own share may be less than planned. A choice between
    two mechanisms is compared part by part.
    """
    planned, spent = merged(plan.planned_events()), merged(events)
    if _dearer_choices(spent, plan.choice):
        return True
    planned, spent = (
        tuple(e for e in side if not isinstance(e, EitherEvent)) for side in (planned, spent)
    )
    allowed = {e: e.steps for e in planned if isinstance(e, DpSgdEvent)}
    limits = {replace(e, steps=1): steps for e, steps in allowed.items()}
    training = [e for e in spent if isinstance(e, DpSgdEvent)]
    if any(e.steps > limits.get(replace(e, steps=1), 0) for e in training):
        return True
    counted = [[e for e in side if not isinstance(e, DpSgdEvent)] for side in (planned, spent)]
    return _more(*counted) or _more(*map(alone, counted))


def _dearer_choices(spent: Iterable[Event], planned: EitherEvent | None) -> bool:
    """Whether there are more choices than the plan's one, or one of other training or dearer counts."""
    found = [event for event in spent if isinstance(event, EitherEvent)]
    if not found or planned is None:
        return bool(found)
    alike = found[0].training == planned.training
    return len(found) > 1 or not alike or _more([planned.counts], [found[0].counts])


def _more(planned: Sequence[Event], spent: Sequence[Event]) -> bool:
    """Whether the counts spent cost more than those planned."""
    allowed_mu, spent_mu = (total_mu(side) if side else 0.0 for side in (planned, spent))
    return not (spent_mu <= allowed_mu or math.isclose(spent_mu, allowed_mu, rel_tol=1e-6))
