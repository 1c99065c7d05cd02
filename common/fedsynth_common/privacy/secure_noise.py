"""Noise that several sites make together: what each site adds, and what it costs against whom.

In a secure sum of K sites the coordinator sees the sum of the sites' counts and nothing else. The
plan names c, the number of sites that may collude or be missing, together; at least K - c honest
shares are then in every sum. Each site adds discrete Gaussian noise of variance σ² / (K - c), so
that these shares alone have the variance σ² that the plan asks for.

**The sum as one discrete Gaussian.** A sum of n discrete Gaussians of variance v is none itself.
Its probabilities are those of one of variance n v within a factor of exp(±τ), with

    τ = 10 sum_{k=1}^{n-1} exp(-2 π² v k / (k + 1))

(Kairouz, Liu and Steinke 2021, arXiv:2102.06387, "The Distributed Discrete Gaussian Mechanism for
Federated Learning with Secure Aggregation": the τ of Theorem 1; `test_secure_noise.py` computes
such sums exactly and finds the bound kept). One privacy unit moves at most `sensitivity` cells of
each of `blocks` marginals. So if one discrete Gaussian is (ε, δ)-DP, the sum is
(ε + 2 η, δ exp(η))-DP with η = sensitivity blocks τ. A share has a variance of at least 8
(`events.LEAST_SHARE`). Then η is below 1e-20 for a thousand sites and the largest event that there
is, less than the last digit of a float64 ε. `epsilon` is rounded up by more, so nothing is added.

**Why not Skellam noise** (Agarwal, Kairouz and Liu 2021, arXiv:2110.04995), whose sums are Skellam
again? By privacy loss distributions both cost the same at equal variance (`test_secure_noise.py`:
100 marginals at σ = 40, .9264 against .9268). By Rényi DP, on which the filter over several studies
rests (`renyi`), the discrete Gaussian costs α Δ² / (2 σ²) and Skellam noise a further term of order
1 / σ⁴. Skellam noise would also need a sampler of its own, to be free of a distance below 1e-20.

| question | events |
|---|---|
| against the coordinator, readers, and up to c colluding or missing sites | as charged |
| if all other sites and the coordinator work together: this site's share alone | `alone` |
| a person whose records are at m sites, against outsiders | `at_sites` |
"""

import math
from collections.abc import Iterable
from dataclasses import replace

from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.events import (
    LEAST_SHARE,
    CountsEvent,
    DpSgdEvent,
    EitherEvent,
    Event,
    GaussianEvent,
)


def share_variance(variance: int, shares: int) -> int:
    """Variance of the noise that one site adds to a count: the one place that decides it.

    Args:
        variance: that the noise of all `shares` together must have, at least.
        shares: of how many sites the noise is made; with 1 the site adds all of it.

    >>> share_variance(1000, 1), share_variance(1000, 3), share_variance(4, 3)
    (1000, 334, 8)
    """
    if variance < 1 or shares < 1:
        raise PrivacyError(
            f"variance {variance!r} of {shares!r} shares: expected 1 or more of both"
        )
    return variance if shares == 1 else max(LEAST_SHARE, -(-variance // shares))


def made_variance(variance: int, shares: int) -> int:
    """Variance of all `shares` together, which is what a site is charged for.

    >>> made_variance(1000, 1), made_variance(1000, 3), made_variance(4, 3)
    (1000, 1002, 24)
    """
    return share_variance(variance, shares) * shares


def distance(share: float, sites: int) -> float:
    """Return τ: how far the sum of `sites` discrete Gaussians of variance `share` is from one.

    Every probability is within a factor of exp(±τ).

    >>> distance(8.0, 50) < 1e-30
    True
    """
    if not share >= 0.25:  # the theorem holds from a standard deviation of 1/2 on
        raise PrivacyError(f"share: {share!r} is below 1/4")
    return 10 * math.fsum(math.exp(-2 * math.pi**2 * share * k / (k + 1)) for k in range(1, sites))


def shared(events: Iterable[Event]) -> bool:
    """Return whether the noise of any event is made by several sites together."""
    return any(getattr(event, "shares", 1) > 1 for event in events)


def alone(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return what the events are if everybody but this site tells their noise: its own share.

    >>> alone([CountsEvent(scale=40.0, sensitivity=1, blocks=100, shares=4)])
    (CountsEvent(scale=20.0, sensitivity=1, blocks=100, shares=1),)
    """
    return tuple(_alone(event) for event in events)


def _alone(event: Event) -> Event:
    match event:
        case CountsEvent():
            return replace(event, scale=event.scale / math.sqrt(event.shares), shares=1)
        case GaussianEvent() | DpSgdEvent():
            own = event.noise_multiplier / math.sqrt(event.shares)
            return replace(event, noise_multiplier=own, shares=1)
        case EitherEvent():  # a site's own noise already
            return event


def at_sites(events: Iterable[Event], sites: int) -> tuple[Event, ...]:
    """Return what the events are for a person whose records are at `sites` of the summed sites.

    The person's counts add up *before* shared noise, so every marginal moves by `sites` times as
    much. Where each site answers with all of its own noise, there are `sites` independent answers
    about the person, which compose. Of training with shared noise, each of the sites draws the person
    with rate q by itself. The number j of sites that do is told at no loss of a bound, given that it
    is not zero; then the sum moves by at most j <= `sites` times C. So the step is dominated by one of
    rate 1 - (1 - q)^sites that moves by `sites` times C.

    >>> at_sites([CountsEvent(scale=40.0, sensitivity=1, blocks=100, shares=4)], 2)
    (CountsEvent(scale=40.0, sensitivity=2, blocks=100, shares=4),)
    """
    return tuple(_at_sites(event, sites) for event in events)


def _at_sites(event: Event, sites: int) -> Event:
    match event:
        case CountsEvent() if event.shares > 1:
            return replace(event, sensitivity=event.sensitivity * sites)
        case GaussianEvent() if event.shares > 1:
            return replace(event, noise_multiplier=event.noise_multiplier / sites)
        case CountsEvent():
            return replace(event, blocks=event.blocks * sites)
        case GaussianEvent():
            return replace(event, noise_multiplier=event.noise_multiplier / math.sqrt(sites))
        case DpSgdEvent() if event.shares > 1:
            return replace(
                event,
                sampling_rate=min(1.0, -math.expm1(sites * math.log1p(-event.sampling_rate)))
                if event.sampling_rate < 1
                else 1.0,
                noise_multiplier=event.noise_multiplier / sites,
            )
        case DpSgdEvent():
            return replace(event, steps=event.steps * sites)
        case EitherEvent():
            raise PrivacyError("a secure sum has no choice between mechanisms")
