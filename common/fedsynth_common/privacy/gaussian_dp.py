"""Gaussian DP: an event summed up in one number μ. For plans and numerics, never for a claim.

To tell two neighbouring tables apart from the output of a mechanism of μ-Gaussian DP is at least as
hard as to tell N(0, 1) from N(μ, 1) (Dong, Roth and Su 2022, arXiv:1905.02383). μ is exact for
Gaussian noise, close for discrete noise, and the limit of many small steps for DP-SGD (Bu, Dong, Long
and Su 2020, arXiv:1911.11607), where it can be too low. What was spent comes from `accounting`; it
uses μ only to choose its grid.
"""

import math
from collections.abc import Iterable

from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.events import CountsEvent, DpSgdEvent, Event, GaussianEvent


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


def dpsgd_noise_multiplier(mu: float, sampling_rate: float, steps: int) -> float:
    """Return the noise multiplier whose DP-SGD has the given μ: `mu_of` solved for it.

    >>> round(dpsgd_noise_multiplier(mu=0.5, sampling_rate=0.0625, steps=500), 3)
    2.881
    """
    if not (math.isfinite(mu) and mu > 0):
        raise PrivacyError(f"mu: {mu!r} is not a positive number")
    return 1 / math.sqrt(math.log1p((mu / sampling_rate) ** 2 / steps))


def total_mu(events: Iterable[Event]) -> float:
    """Return the μ of the composition: squares add (Dong, Roth and Su, Corollary 3.3)."""
    return math.hypot(*(mu_of(event) for event in events))


def epsilon_of_mu(mu: float, delta: float) -> float:
    """Return ε of μ-Gaussian DP at `delta` (Dong, Roth and Su, Corollary 2.13).

    >>> round(epsilon_of_mu(0.5, delta=1e-6), 4)
    2.2541
    """

    def excess(eps: float) -> float:
        second = math.exp(eps + float(log_ndtr(-eps / mu - mu / 2)))
        return float(ndtr(-eps / mu + mu / 2)) - second - delta

    if excess(0.0) <= 0:
        return 0.0
    return float(brentq(excess, 0.0, mu * mu + 40 * mu + 1))


def mu_of_epsilon(target_epsilon: float, delta: float) -> float:
    """Return the μ whose cost at `delta` is the target: `epsilon_of_mu` solved for μ.

    >>> round(mu_of_epsilon(2.2541, delta=1e-6), 3)
    0.5
    """
    if not (math.isfinite(target_epsilon) and target_epsilon > 0):
        raise PrivacyError(f"target_epsilon: {target_epsilon!r} is not a positive number")
    high = math.sqrt(2 * target_epsilon) + 1
    return float(brentq(lambda mu: epsilon_of_mu(mu, delta) - target_epsilon, 1e-9, high))
