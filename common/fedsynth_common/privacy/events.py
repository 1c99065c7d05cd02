"""What ran, as data. Costs are computed from these records and from nothing else (`accounting`).

Frozen, keyword-only, validated once; JSON round trip for the ledger and the receipt. The set is
closed: a release that is none of these cannot be charged and therefore cannot be made.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.noise import MAX_SCALE, MIN_SCALE

LEAST_SHARE = 8
"""The least variance of one of several shares of noise (`secure_noise`)."""
MAX_SHARES = 1_000
MAX_MECHANISMS = 22
"""Different mechanisms, as `merged` tells them apart, that a site can be charged with in a study."""


def _real(name: str, value: float, low: float, high: float) -> None:
    """Refuse anything but a finite number in [low, high]; NaN fails every comparison."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise PrivacyError(f"{name}: {value!r} is not a number in [{low:g}, {high:g}]")


def _whole(name: str, value: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= high:
        raise PrivacyError(f"{name}: {value!r} is not a whole number in [1, {high}]")


@dataclass(frozen=True, kw_only=True, order=True)
class CountsEvent:
    """Discrete Gaussian noise of parameter `scale` on every cell of `blocks` marginals.

    One privacy unit moves the cells of each marginal by at most `sensitivity` in total (1 for a
    record; `rows_per_person` for a person): L2 sensitivity `sensitivity` sqrt(`blocks`). With
    `shares` above 1 only the sum of that many sites' noise has this scale, and each of them added
    noise of variance scale² / shares (`secure_noise`).
    """

    kind: ClassVar[str] = "counts"
    scale: float
    sensitivity: int
    blocks: int
    shares: int = 1

    def __post_init__(self) -> None:
        _real("scale", self.scale, MIN_SCALE, MAX_SCALE)
        _whole("shares", self.shares, MAX_SHARES)
        most = 1_000 if self.shares == 1 else 1_000_000  # of one person, at all of the summed sites
        _whole("sensitivity", self.sensitivity, most)
        _whole("blocks", self.blocks, 1_000_000)
        if self.shares > 1 and self.scale**2 < LEAST_SHARE * self.shares * (1 - 1e-9):
            raise PrivacyError(f"scale: {self.scale!r} is too little for {self.shares} shares")


@dataclass(frozen=True, kw_only=True, order=True)
class GaussianEvent:
    """Gaussian noise with std = `noise_multiplier` x L2 sensitivity, once, on all records.

    `shares` as in `CountsEvent`: a plan's step before its counts are known.
    """

    kind: ClassVar[str] = "gaussian"
    noise_multiplier: float
    shares: int = 1

    def __post_init__(self) -> None:
        _real("noise_multiplier", self.noise_multiplier, 1e-4, 1e6)
        _whole("shares", self.shares, MAX_SHARES)


@dataclass(frozen=True, kw_only=True, order=True)
class DpSgdEvent:
    """`steps` sums of clipped gradients over Poisson samples, std = `noise_multiplier` x C each.

    With `shares` above 1 only the sum of that many sites' noise has this std (`gradient_sum`).
    """

    kind: ClassVar[str] = "dp-sgd"
    sampling_rate: float
    noise_multiplier: float
    steps: int
    shares: int = 1

    def __post_init__(self) -> None:
        _real("sampling_rate", self.sampling_rate, 1e-9, 1.0)
        _real("noise_multiplier", self.noise_multiplier, 0.1, 1e6)
        _whole("steps", self.steps, 1_000_000)
        _whole("shares", self.shares, MAX_SHARES)


@dataclass(frozen=True, kw_only=True)
class EitherEvent:
    """All of `training` or all of `counts`, whichever was chosen after earlier answers were seen.

    It is charged once, when the choice is made, and covers both (`either`). A site makes all of its
    own noise here.
    """

    kind: ClassVar[str] = "either"
    training: DpSgdEvent
    counts: CountsEvent | GaussianEvent

    def __post_init__(self) -> None:
        if type(self.training) is not DpSgdEvent:
            raise PrivacyError("training: expected a dp-sgd event")
        if type(self.counts) not in (CountsEvent, GaussianEvent):
            raise PrivacyError("counts: expected a counts or gaussian event")
        if self.training.shares > 1 or self.counts.shares > 1:
            raise PrivacyError("shares: a choice between mechanisms is made of a site's own noise")


Event = CountsEvent | GaussianEvent | DpSgdEvent | EitherEvent
_KINDS: dict[str, type[Event]] = {
    k.kind: k for k in (CountsEvent, GaussianEvent, DpSgdEvent, EitherEvent)
}


def _known(event: Event) -> Event:
    if type(event) not in _KINDS.values():  # a subclass could mean something else
        raise PrivacyError(f"{type(event).__name__} is not a known privacy event")
    return event


def to_dict(event: Event) -> dict[str, Any]:
    """Return the event as JSON-ready values; a single share is not named.

    >>> to_dict(CountsEvent(scale=40.0, sensitivity=1, blocks=120))
    {'kind': 'counts', 'scale': 40.0, 'sensitivity': 1, 'blocks': 120}
    """
    _known(event)
    if isinstance(event, EitherEvent):
        parts = {"training": to_dict(event.training), "counts": to_dict(event.counts)}
        return {"kind": event.kind, **parts}
    values = {"kind": event.kind, **asdict(event)}
    if values.get("shares") == 1:
        del values["shares"]
    return values


def from_dict(values: Mapping[str, Any]) -> Event:
    """Rebuild and validate an event; unknown kinds, missing and extra fields are refused.

    >>> from_dict({"kind": "gaussian", "noise_multiplier": 2.0})
    GaussianEvent(noise_multiplier=2.0, shares=1)
    """
    kind = _KINDS.get(str(values.get("kind")))
    if kind is None:
        raise PrivacyError(f"kind: {values.get('kind')!r} is not one of {sorted(_KINDS)}")
    expected = {"kind", *(f.name for f in fields(kind))}
    if expected - set(values) - {"shares"} or set(values) - expected:
        raise PrivacyError(f"{kind.kind} event: expected exactly the fields {sorted(expected)}")
    return kind(**{name: _read(value) for name, value in values.items() if name != "kind"})


def _read(value: Any) -> Any:
    """The value of a field; a part of an `EitherEvent` is an event, and never such a choice again."""
    if isinstance(value, Mapping):
        if value.get("kind") == EitherEvent.kind:
            raise PrivacyError("either event: its parts are no choices themselves")
        return from_dict(value)
    return value


def merged(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return the same composition with equal mechanisms joined, in canonical order.

    Joining is exact: composition does not depend on order, equal mechanisms add their repetitions,
    and Gaussians add their precisions 1/s² (Dong, Roth and Su 2022, arXiv:1905.02383, Cor. 3.3).

    >>> step = DpSgdEvent(sampling_rate=0.1, noise_multiplier=4.0, steps=10)
    >>> merged([step, step])
    (DpSgdEvent(sampling_rate=0.1, noise_multiplier=4.0, steps=20, shares=1),)
    """
    blocks: defaultdict[tuple[float, int, int], int] = defaultdict(int)
    steps: defaultdict[tuple[float, float, int], int] = defaultdict(int)
    precisions: defaultdict[int, list[float]] = defaultdict(list)
    choices: list[EitherEvent] = []
    for event in events:
        _known(event)
        match event:
            case CountsEvent():
                blocks[event.scale, event.sensitivity, event.shares] += event.blocks
            case DpSgdEvent():
                steps[event.sampling_rate, event.noise_multiplier, event.shares] += event.steps
            case GaussianEvent():
                precisions[event.shares].append(event.noise_multiplier**-2)
            case EitherEvent():
                choices.append(event)
    result: list[Event] = []
    for (scale, moved, shares), n in sorted(blocks.items()):
        result.append(CountsEvent(scale=scale, sensitivity=moved, blocks=n, shares=shares))
    for shares, parts in sorted(precisions.items()):
        result.append(GaussianEvent(noise_multiplier=math.fsum(parts) ** -0.5, shares=shares))
    for (rate, multiplier, shares), n in sorted(steps.items()):
        event = DpSgdEvent(sampling_rate=rate, noise_multiplier=multiplier, steps=n, shares=shares)
        result.append(event)
    return (*result, *sorted(choices, key=repr))
