"""Computes the 95 % intervals of the rates of attacks, of their differences and of their ratios.

The attempts of an attack are independent yes/no trials. Their rates are often near 0 or 1. The
usual interval of two standard errors around the rate is then empty or leaves [0, 1]. The intervals
used are:

- for a rate, Wilson's score interval (1927), as in Anonymeter;
- for a difference of two rates (the *advantage*), Newcombe's combination of two score intervals
  (1998, method 10);
- for rates that prove a bound on ε, and for a difference that is compared with such a bound, the
  exact interval of Clopper and Pearson (1934), which is never too short;
- for an area under the curve, the interval of Hanley and McNeil (1982), equation 1.
"""

import math

from scipy.stats import beta

from fedsynth_release.evaluation.result_parts import Estimate

Z = 1.959963984540054
"""The quantile of the normal distribution for a two-sided 95 % interval."""


def rate(successes: float, attempts: int) -> Estimate:
    """The share of successes with Wilson's interval; without attempts, 0 with the interval [0, 1].

    `successes` may be fractional, as an expected count is.

    >>> share = rate(10, 100); round(share.low, 3), round(share.high, 3)
    (0.055, 0.174)
    """
    if attempts == 0:
        return Estimate(value=0.0, low=0.0, high=1.0)
    p = min(max(successes / attempts, 0.0), 1.0)
    centre = p + Z**2 / (2 * attempts)
    spread = Z * math.sqrt(p * (1 - p) / attempts + Z**2 / (4 * attempts**2))
    scale = 1 + Z**2 / attempts
    low, high = (centre - spread) / scale, (centre + spread) / scale
    return Estimate(value=p, low=min(max(low, 0.0), p), high=max(min(high, 1.0), p))


def widened(estimate: Estimate, deviation: float) -> Estimate:
    """An interval in [0, 1] made wider by a second, independent error of this deviation."""
    value = estimate.value
    below = math.hypot(value - estimate.low, Z * deviation)
    above = math.hypot(estimate.high - value, Z * deviation)
    return Estimate(value=value, low=max(value - below, 0.0), high=min(value + above, 1.0))


def difference(first: Estimate, second: Estimate, scale: float = 1.0) -> Estimate:
    """`scale` * (`first` - `second`) of two independent rates (Newcombe 1998, method 10).

    Cut to [-1, 1].

    >>> gap = difference(rate(56, 70), rate(48, 80)); round(gap.low, 4), round(gap.high, 4)
    (0.0524, 0.3339)
    """
    gap = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    value, low, high = (min(max(scale * end, -1.0), 1.0) for end in (gap, gap - below, gap + above))
    return Estimate(value=value, low=low, high=high)


def reduction(advantage: Estimate, reference: Estimate) -> Estimate | None:
    """1 - max(0, advantage) / reference; None if the reference's interval is not above 0.

    The interval combines the ends of the two intervals. By Bonferroni it holds with at least 90 %;
    in practice it holds with more than 95 %, because both ends have to be wrong at the same time.
    It may start below 0. It is not cut there, because that would hide a table worse than the
    reference.
    """
    if reference.low <= 0:
        return None
    low = 1 - max(0.0, advantage.high) / reference.low
    high = 1 - max(0.0, advantage.low) / reference.high
    value = 1 - max(0.0, advantage.value) / reference.value
    return Estimate(value=value, low=low, high=high)


def clopper_pearson(successes: int, attempts: int, level: float = 0.95) -> tuple[float, float]:
    """The exact two-sided interval of a rate (Clopper and Pearson 1934).

    >>> low, high = clopper_pearson(0, 100); low, round(high, 4)
    (0.0, 0.0362)
    """
    if attempts == 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else beta.ppf(tail, successes, attempts - successes + 1)
    high = 1.0 if successes == attempts else beta.ppf(1 - tail, successes + 1, attempts - successes)
    return float(low), float(high)


def exact_difference(first: tuple[int, int], second: tuple[int, int]) -> Estimate:
    """The difference of two independent rates (successes, attempts), with an exact interval.

    Each rate has its Clopper-Pearson interval of 97.5 %, so both hold together with at least 95 %.

    >>> gap = exact_difference((60, 100), (40, 100)); round(gap.low, 3), round(gap.high, 3)
    (-0.034, 0.418)
    """
    rates = [won / tried if tried else 0.0 for won, tried in (first, second)]
    (low, high), (least, most) = (clopper_pearson(*side, level=0.975) for side in (first, second))
    return Estimate(value=rates[0] - rates[1], low=low - most, high=high - least)


def area(auc: float, positives: int, negatives: int) -> Estimate:
    """An area under the ROC curve with its interval (Hanley and McNeil 1982)."""
    one, two = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (positives - 1) * (one - auc**2) + (negatives - 1) * (two - auc**2)
    spread = Z * math.sqrt(max(variance, 0.0) / (positives * negatives))
    return Estimate(value=auc, low=max(auc - spread, 0.0), high=min(auc + spread, 1.0))
