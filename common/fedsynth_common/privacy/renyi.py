"""Rényi DP of the events, and the filter that holds a cap when plans are chosen after results.

A *filter* says no before a sum of costs passes a limit. Mechanisms that are chosen after earlier
results were seen may not be summed up by privacy loss distributions and stopped at the cap: that is
no filter in general (arXiv:2602.15815, arXiv:2602.06756). Rényi DP of one order α that was fixed
beforehand is one: if the divergences of order α of all mechanisms, each bounded before it runs,
never add up to more than B, then everything together is (α, B)-Rényi DP, however the mechanisms were
chosen (Feldman and Zrnic 2021, arXiv:2008.11193, Rényi filter; Lécuyer 2021, arXiv:2103.01379), also
when several studies run at once (Haney et al. 2023, arXiv:2309.05901: fixed order). Then

    B = cap - c(α, δ),   c(α, δ) = log((α - 1) / α) - log(α δ) / (α - 1)

gives (cap, δ)-DP (Canonne, Kamath and Steinke 2020, arXiv:2004.00010v5, Prop. 12). The order must
not be chosen by what was spent: a path that fits at one order and a path that fits at another would
each have their own δ. Here it follows from cap and δ alone, which the site's policy fixes.
"""

import math
from functools import lru_cache

import dp_accounting
import numpy as np
from dp_accounting.rdp import RdpAccountant
from dp_accounting.rdp.rdp_privacy_accountant import compute_epsilon
from numpy.typing import NDArray

from fedsynth_common.privacy.events import (
    CountsEvent,
    DpSgdEvent,
    EitherEvent,
    Event,
    GaussianEvent,
)

_ADD_OR_REMOVE = dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE
# Orders below 2 win only for ε above about 100, and their series do not always converge.
ORDERS: tuple[float, ...] = (*(x / 10 for x in range(20, 110)), *range(11, 64), 128, 256, 512, 1024)


@lru_cache(maxsize=256)
def divergences(events: tuple[Event, ...]) -> NDArray[np.float64]:
    """Return the Rényi divergence of all events together at each of `ORDERS`. Do not change it.

    The discrete Gaussian enters through its bound α Δ² / (2σ²), that of the continuous one (CKS
    Theorem 4). A choice enters, at each order, with the larger divergence of the two: whichever is
    chosen after earlier answers, it is bounded by that. Orders at which dp-accounting's series does not
    converge are infinite: no filter passes them.
    """
    gaussian = dp_accounting.GaussianDpEvent
    accountant = RdpAccountant(ORDERS, _ADD_OR_REMOVE)
    chosen = np.zeros(len(ORDERS))
    for event in events:
        match event:
            case CountsEvent():
                step, times = gaussian(event.scale / event.sensitivity), event.blocks
            case GaussianEvent():
                step, times = gaussian(event.noise_multiplier), 1
            case DpSgdEvent():
                single = gaussian(event.noise_multiplier)
                step = dp_accounting.PoissonSampledDpEvent(event.sampling_rate, single)
                times = event.steps
            case EitherEvent():
                parts = divergences((event.training,)), divergences((event.counts,))
                chosen = chosen + np.maximum(*parts)
                continue
        accountant.compose(step, times)
    return np.asarray(accountant.rdp) + chosen


def epsilon_of(events: tuple[Event, ...], delta: float) -> float:
    """Return ε at `delta` that follows from the divergences, at the order that suits it best."""
    return float(compute_epsilon(ORDERS, divergences(events), delta)[0])


def conversion(order: float, delta: float) -> float:
    """Return c(α, δ): what turns a Rényi divergence of order α into ε at δ."""
    return math.log1p(-1 / order) - math.log(order * delta) / (order - 1)


def filter_order(cap: float, delta: float) -> float:
    """Return the order that allows the most releases with Gaussian noise: B / α is largest.

    >>> filter_order(3.0, 1e-5), filter_order(1.0, 1e-5)
    (7.5, 18)
    """
    return max(ORDERS, key=lambda order: (cap - conversion(order, delta)) / order)


def share_of_budget(events: tuple[Event, ...], cap: float, delta: float) -> float:
    """Return the share of B that the events take; infinite where the cap leaves no B at all."""
    if not events:
        return 0.0
    order = filter_order(cap, delta)
    budget = cap - conversion(order, delta)
    spent = float(divergences(events)[ORDERS.index(order)])
    return spent / budget if budget > 0 else math.inf
