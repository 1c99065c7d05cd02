"""Gaussian DP: an event summed up in one number μ. For plans and numerics, never for a claim.

To tell two neighbouring tables apart from the output of a mechanism of μ-Gaussian DP is at least as
hard as to tell N(0, 1) from N(μ, 1) (Dong, Roth and Su 2022, arXiv:1905.02383). μ is exact for
Gaussian noise, close for discrete noise, and the limit of many small steps for DP-SGD (Bu, Dong, Long
and Su 2020, arXiv:1911.11607), where it can be too low. What was spent comes from `accounting`; it
uses μ only to choose its grid.
"""

import math
from collections.abc import Iterable

from fedsynth_common.privacy.events import (
    CountsEvent,
    DpSgdEvent,
    EitherEvent,
    Event,
    GaussianEvent,
)


def mu_of(event: Event) -> float:
    """Return the μ of Gaussian DP that the event is equivalent to.

    >>> mu_of(CountsEvent(scale=40.0, sensitivity=1, blocks=100))
    0.25
    """
    match event:
        case CountsEvent():
            return math.sqrt(event.blocks) * event.sensitivity / event.scale
        case GaussianEvent():
            return 1 / event.noise_multiplier
        case DpSgdEvent():
            spread = math.expm1(event.noise_multiplier**-2)
            return event.sampling_rate * math.sqrt(event.steps * spread)
        case EitherEvent():
            return max(mu_of(event.training), mu_of(event.counts))


def total_mu(events: Iterable[Event]) -> float:
    """Return the μ of the composition: squares add (Dong, Roth and Su, Corollary 3.3)."""
    return math.hypot(*(mu_of(event) for event in events))
