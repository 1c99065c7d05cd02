"""Noise for a target cost. Planning only: what was spent is computed by `accounting`, never here.

All noise of a plan is scaled by one factor until the *true* accountant meets the target. The
approximations of Gaussian DP (`privacy.gaussian_dp`, and the inverse functions here) only choose where
the search begins.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.accounting import ROUNDING, epsilon
from fedsynth_common.privacy.events import Event
from fedsynth_common.privacy.gaussian_dp import total_mu

_WINDOW = 0.003  # relative width of the interval of ε that ends the search
_ATTEMPTS = 60
_STEP = 1.5  # greatest change of log(factor) in one attempt


def calibrate(
    make_events: Callable[[float], Sequence[Event]],
    target_epsilon: float,
    delta: float,
    slack: float = 0.005,
) -> float:
    """Return the least factor of noise whose events stay under the target.

    Args:
        make_events: the events of the plan with all noise multiplied by a factor (> 0).
        target_epsilon: at least 0.01; ε is reported in steps of 1e-4.
        delta: of the target.
        slack: share of the target left unused, against later rounding of the plan.

    Returns:
        A factor with (1 - slack - 0.003) target <= ε <= (1 - slack) target. Where ε jumps over
        that interval (events rounded by `make_events`), the least factor found below it.

    Raises:
        PrivacyError: no events, or no factor meets the target.
    """
    if not (0.01 <= target_epsilon <= 100 and 0 <= slack < 1):
        raise PrivacyError(f"target_epsilon {target_epsilon!r} (0.01 to 100), slack {slack!r}")
    cap = (1 - slack) * target_epsilon
    floor = min(cap - _WINDOW * target_epsilon, cap - 2 * ROUNDING)
    if not make_events(1.0):
        raise PrivacyError("there are no events to calibrate")
    search = _Search(target=math.log((cap + floor) / 2))
    # Under Gaussian DP μ is about proportional to 1 / factor.
    factor = total_mu(make_events(1.0)) / mu_of_epsilon((cap + floor) / 2, delta)
    for _ in range(_ATTEMPTS):
        reached = epsilon(make_events(factor), delta)
        if floor <= reached <= cap:
            return factor
        search.record(math.log(factor), math.log(max(reached, ROUNDING / 2)), safe=reached <= cap)
        if search.high - search.low < 1e-9:
            return math.exp(search.high)
        factor = math.exp(search.next())
    raise PrivacyError(f"no amount of noise reaches an epsilon of {target_epsilon}")


@dataclass
class _Search:
    """Secant search on log ε over log factor, kept inside a bracket that only shrinks."""

    target: float
    low: float = -math.inf  # greatest log factor known to cost too much
    high: float = math.inf  # least log factor known to be under the cap
    last: tuple[float, float] | None = None
    slope: float = -1.0

    def record(self, x: float, y: float, *, safe: bool) -> None:
        """Take in that log factor x costs log ε y."""
        if self.last is not None and x != self.last[0]:
            self.slope = min(-0.1, (y - self.last[1]) / (x - self.last[0]))
        self.last = (x, y)
        if safe:
            self.high = min(self.high, x)
        else:
            self.low = max(self.low, x)

    def next(self) -> float:
        """Return the next log factor to try."""
        x, y = self.last or (0.0, self.target)
        guess = x + max(-_STEP, min(_STEP, (self.target - y) / self.slope))
        if self.low < guess < self.high:
            return guess
        return (self.low + self.high) / 2


def dpsgd_noise_multiplier(mu: float, sampling_rate: float, steps: int) -> float:
    """Return the noise multiplier whose DP-SGD has the given μ: `mu_of` solved for it.

    >>> round(dpsgd_noise_multiplier(mu=0.5, sampling_rate=0.0625, steps=500), 3)
    2.881
    """
    if not (math.isfinite(mu) and mu > 0):
        raise PrivacyError(f"mu: {mu!r} is not a positive number")
    return 1 / math.sqrt(math.log1p((mu / sampling_rate) ** 2 / steps))


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
