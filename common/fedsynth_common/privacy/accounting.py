"""What the events cost: ε at a given δ, for adding or removing one privacy unit of one site.

Two independent computations:
* `epsilon`, the figure that counts: privacy loss distributions (PLD; Koskela et al. 2020,
  arXiv:1906.03049) by dp-accounting, on a "connect the dots" grid, which never under-states the
  loss (Doroshenko et al. 2022, arXiv:2207.04380).
* `epsilon_rdp`, looser, by other formulas: Rényi DP (Mironov 2017, arXiv:1702.07476). PLD above RDP
  means that one of them is wrong: `epsilon` then refuses.

Formal guarantee: if `events` were fixed beforehand and no others were released, in any order, each
request chosen after the answers to earlier ones, and some perhaps left out, then the releases
together are (epsilon(events, δ), δ)-DP (Zhu et al. (3), Theorem 10). If *what is charged* was chosen
after seeing results, as later studies are, this does not follow: `share_of_cap` is for that (see
`renyi`). Zero noise, unknown events and unbounded costs raise `PrivacyError`; nothing is ever
composed that is not understood.

| mechanism | dominating pair | source |
|---|---|---|
| `CountsEvent` | discrete Gaussian at 0 and at `sensitivity`, `blocks` times | CKS (1) |
| `GaussianEvent` | N(0, s²) and N(1, s²) | Balle and Wang (2) |
| `DpSgdEvent` | N(0, s²) and (1 - q) N(0, s²) + q N(1, s²), `steps` times | Zhu et al. (3) |
| `EitherEvent` | the pair whose δ(ε) is the larger of both parts' (`either`) | Zhu et al. (3) Prop. 8 |

(1) 2020, arXiv:2004.00010v5; σ² is the variance that the sampler really uses, `exact_variance`.
(2) 2018, arXiv:1805.06530. (3) 2022, arXiv:2106.08567, Theorem 11.
Each pair in both directions, add and remove; the larger ε counts.

A person who moves several cells of one marginal (`sensitivity` > 1) by less each is covered: the
whole move in one cell is the worst case (tested numerically, `test_accounting.py`).

Reference values, which the accountants of Opacus confirm:

>>> epsilon([DpSgdEvent(sampling_rate=0.01, noise_multiplier=1.0, steps=1000)], delta=1e-5)
1.8283
>>> epsilon([DpSgdEvent(sampling_rate=0.05, noise_multiplier=1.5, steps=500)], delta=1e-5)
3.7847
>>> epsilon([DpSgdEvent(sampling_rate=0.1, noise_multiplier=4.0, steps=2000)], delta=1e-6)
5.7057
>>> epsilon([DpSgdEvent(sampling_rate=1.0, noise_multiplier=20.0, steps=100)], delta=1e-6)
2.2541
"""

import math
from collections.abc import Iterable
from functools import lru_cache

import dp_accounting
import numpy as np
from dp_accounting.pld import privacy_loss_distribution as pld
from dp_accounting.pld.pld_pmf import create_pmf_pessimistic_connect_dots
from dp_accounting.pld.privacy_loss_mechanism import DiscreteGaussianPrivacyLoss
from scipy import fft

from fedsynth_common.privacy import PrivacyError, renyi
from fedsynth_common.privacy.either import larger
from fedsynth_common.privacy.events import (
    MAX_MECHANISMS,
    CountsEvent,
    DpSgdEvent,
    EitherEvent,
    Event,
    GaussianEvent,
    merged,
)
from fedsynth_common.privacy.gaussian_dp import mu_of, total_mu
from fedsynth_common.privacy.noise import exact_variance

_ADD_OR_REMOVE = dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE
ROUNDING = 1e-4  # ε is rounded up to a multiple of this
WIDTHS = tuple(d * 10.0**-k for k in range(4, 9) for d in (5, 2, 1))  # of the privacy loss grid
_POINTS = 200_000
_RENYI_POINTS = 10_000  # take about as long as the Rényi divergences of one event
_TRAININGS = 4  # are kept: a study has one or two parts of it, which are priced for two deltas
LARGE = 100.0  # above this RDP is returned as it is: nobody needs its digits, and grids get long


def epsilon(events: Iterable[Event], delta: float) -> float:
    """Return ε of the composition at `delta`, an upper bound rounded up to four decimals.

    >>> epsilon([CountsEvent(scale=40.0, sensitivity=1, blocks=120)], delta=1e-5)
    1.0239
    """
    return _epsilon(merged(events), _checked(delta))


def epsilon_rdp(events: Iterable[Event], delta: float) -> float:
    """Return ε by Rényi DP: looser than `epsilon`, by independent formulas.

    >>> event = DpSgdEvent(sampling_rate=0.01, noise_multiplier=1.0, steps=1000)
    >>> round(epsilon_rdp([event], delta=1e-5), 4)
    2.1014
    """
    return _epsilon_rdp(merged(events), _checked(delta))


def share_of_cap(events: Iterable[Event], cap: float, delta: float) -> float:
    """Return how much of the Rényi filter's budget for (cap, δ) the events take; above 1: no.

    While it is at most 1, everything released is (cap, δ)-DP, whatever was chosen after seeing
    results. Shares add up. Rounded up to four decimals; infinite where the cap is too small to
    leave the filter a budget.

    >>> share_of_cap([GaussianEvent(noise_multiplier=4.0)], cap=3.0, delta=1e-5)
    0.1394
    """
    share = renyi.share_of_budget(merged(events), cap, _checked(delta))
    return share if share == math.inf else _rounded_up(share)


def grid_points(events: Iterable[Event], delta: float) -> int:
    """Return about how many points of privacy loss `epsilon` computes on.

    Its time and its memory are proportional to them. Each mechanism counts once alone and once
    repeated, on both sides of zero, and each event counts a little for its Rényi divergence.

    >>> grid_points([CountsEvent(scale=40.0, sensitivity=1, blocks=120)], delta=1e-5)
    88490
    """
    charged = merged(events)
    upper = _epsilon_rdp(charged, _checked(delta)) if charged else math.inf
    points = _RENYI_POINTS * len(charged)
    if upper > LARGE:  # no grid is needed
        return points
    grid = _grid(charged, upper)
    for event in charged:
        parts = (event.training, event.counts) if isinstance(event, EitherEvent) else (event,)
        for part in parts:
            times, reach = _extent(part)
            repeated = min(times * reach, reach + _reach(mu_of(part)))
            points += math.ceil(2 * (reach + repeated) / grid)
    return points


def _checked(delta: float) -> float:
    if not 1e-12 <= delta < 1.0:  # the tails cut from the grids weigh up to 1e-14
        raise PrivacyError(f"delta: {delta!r} is not in [1e-12, 1)")
    return delta


@lru_cache(maxsize=256)
def _epsilon(events: tuple[Event, ...], delta: float) -> float:
    if not events:
        return 0.0
    upper = _epsilon_rdp(events, delta)
    if upper > LARGE:
        return _rounded_up(upper)
    grid = _grid(events, upper)
    total = _composed(events[0], grid)
    for event in events[1:]:
        total = total.compose(_composed(event, grid))
    _forget_transforms()
    result = float(total.get_epsilon_for_delta(delta))
    if not result <= upper * (1 + 1e-6) + 1e-3:  # also if either is no number
        raise PrivacyError(f"accountants disagree: PLD {result:.6f} above RDP {upper:.6f}")
    return _rounded_up(result)


def _forget_transforms() -> None:
    """Make scipy forget its tables for long Fourier transforms, which take up to 50 MB each.

    It keeps the tables of the 16 lengths that it used last, with complex and with real numbers, for
    as long as the process lives. Transforms of 16 short lengths take their places.
    """
    for length in range(16, 32):
        fft.fft(np.zeros(length, complex))
        fft.rfft(np.zeros(length))


def _grid(events: tuple[Event, ...], upper: float) -> float:
    """Choose the width h of the grid: any is sound, narrow is tight, wide is fast.

    N mechanisms on a grid of width h cost about 0.09 h² N more in μ² (measured). Aimed at is 2e-4
    of μ², but for ε < 8 at most 1e-4, and at most `_POINTS` grid points for a single mechanism.
    """
    repetitions, ranges = zip(*(_extent(event) for event in events), strict=True)
    narrow = 0.047 * total_mu(events) / math.sqrt(sum(repetitions))
    narrow = max(narrow, max(ranges) / _POINTS)
    narrow = min(narrow, 1e-4 if upper <= 8 else 5e-4)
    return next((h for h in WIDTHS if h <= narrow), WIDTHS[-1])


def _extent(event: Event) -> tuple[int, float]:
    """Return how often the event repeats a mechanism, and about how far its losses reach."""
    match event:
        case CountsEvent():
            return event.blocks, _reach(event.sensitivity / event.scale)
        case GaussianEvent():
            return 1, _reach(1 / event.noise_multiplier)
        case DpSgdEvent():
            odds = math.expm1(_reach(1 / event.noise_multiplier))
            return event.steps, math.log1p(event.sampling_rate * odds)
        case EitherEvent():
            trained, counted = _extent(event.training), _extent(event.counts)
            return max(trained[0], counted[0]), max(trained[1], counted[1])


def _reach(mu: float) -> float:
    return 12 * mu + mu * mu / 2  # the loss of a Gaussian, 12 standard deviations out


def _rounded_up(value: float) -> float:
    if not math.isfinite(value):
        raise PrivacyError("the cost of these events is unbounded at this delta")
    return math.ceil(value / ROUNDING) / round(1 / ROUNDING)


def _composed(event: Event, grid: float) -> pld.PrivacyLossDistribution:
    """Return the privacy loss distribution of all repetitions of one event."""
    match event:
        case CountsEvent():
            return _counted(event, grid)
        case GaussianEvent():
            return _sampled_gaussian(1.0, event.noise_multiplier, grid)
        case DpSgdEvent():
            return _trained(event, grid)
        case EitherEvent():
            return larger(_trained(event.training, grid), _composed(event.counts, grid))


@lru_cache(maxsize=MAX_MECHANISMS)  # all of a study: the next step finds most of them here
def _counted(event: CountsEvent, grid: float) -> pld.PrivacyLossDistribution:
    single = _discrete_gaussian(event.scale, event.sensitivity, grid)
    return single.self_compose(event.blocks)


@lru_cache(maxsize=_TRAININGS)
def _trained(event: DpSgdEvent, grid: float) -> pld.PrivacyLossDistribution:
    single = _sampled_gaussian(event.sampling_rate, event.noise_multiplier, grid)
    return single.self_compose(event.steps)


@lru_cache(maxsize=MAX_MECHANISMS)
def _discrete_gaussian(scale: float, sensitivity: int, grid: float) -> pld.PrivacyLossDistribution:
    """Return what dp-accounting's `from_discrete_gaussian_mechanism` does, without its slow loop.

    That function rounds the loss of each of 24 σ outcomes in a loop, which takes up to ten seconds.
    Here all of them are rounded at once, to the same grid points.
    """
    sigma = math.sqrt(exact_variance(scale))
    reach = math.ceil(12 * sigma) + sensitivity  # beyond it lies 1e-31, even when shifted
    mechanism = DiscreteGaussianPrivacyLoss(sigma, sensitivity, truncation_bound=reach)
    bounds = mechanism.connect_dots_bounds()
    outcomes = np.arange(bounds.upper_x, bounds.lower_x - 1, -1)
    losses = sensitivity * (-0.5 * sensitivity - outcomes) / sigma**2 / grid
    points = np.union1d(np.floor(losses), np.ceil(losses)).astype(np.int64)
    deltas = mechanism.get_delta_for_epsilon(points * grid)
    return pld.PrivacyLossDistribution(create_pmf_pessimistic_connect_dots(grid, points, deltas))


@lru_cache(maxsize=_TRAININGS)
def _sampled_gaussian(rate: float, multiplier: float, grid: float) -> pld.PrivacyLossDistribution:
    return pld.from_gaussian_mechanism(
        multiplier,
        sampling_prob=rate,
        value_discretization_interval=grid,
        use_connect_dots=True,
        neighboring_relation=_ADD_OR_REMOVE,
    )


def _epsilon_rdp(events: tuple[Event, ...], delta: float) -> float:
    return max(0.0, renyi.epsilon_of(events, delta))
