"""What a choice between two mechanisms costs that is made after earlier answers were seen.

Let H_A(ε) and H_B(ε) be the δ of the two mechanisms at ε, for one direction (add or remove) of
neighbouring tables. Whichever of them is chosen, and from whatever earlier answers, its δ is at most

    H(ε) = max(H_A(ε), H_B(ε))    at every ε.

As a function of exp(ε), H is convex and falls from 1, since H_A and H_B are and do. So it belongs to a
pair of distributions (Zhu, Dong and Wang 2022, arXiv:2106.08567, Proposition 8). This pair dominates
the mechanism that runs after *every* history, so it composes with the pairs of all other steps
(Theorem 10). The larger of the two ε would be no bound: earlier answers may make one mechanism the
worse choice on some histories and the other one on others. Mechanisms of one of the two that alternate
with other steps change nothing: by induction over the steps that are left, what is left before the
choice is dominated by the product with H, and after it by a product that H dominates.

Both are given on one grid of losses (connect the dots). Between two points of the grid their H are
straight lines of exp(ε), so joining the maxima at the points by straight lines is never below H.
"""

from typing import NamedTuple

import numpy as np
from dp_accounting.pld.pld_pmf import DensePLDPmf, PLDPmf
from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution
from numpy.typing import NDArray

from fedsynth_common.privacy import PrivacyError


class _Losses(NamedTuple):
    """Probabilities (n,) of the losses from `lowest` on, in steps of the grid, and of infinity."""

    lowest: int
    chances: NDArray[np.float64]
    infinite: float

    def over(self, lowest: int, points: int) -> "_Losses":
        """The same on a wider range."""
        chances = np.zeros(points)
        chances[self.lowest - lowest :][: len(self.chances)] = self.chances
        return _Losses(lowest, chances, self.infinite)


def larger(one: PrivacyLossDistribution, other: PrivacyLossDistribution) -> PrivacyLossDistribution:
    """Return the privacy loss distribution whose δ at every ε is the larger of both.

    Raises:
        PrivacyError: the two are not on one grid.
    """
    directions = [
        _larger(one._pmf_remove, other._pmf_remove),
        _larger(one._pmf_add, other._pmf_add),
    ]
    return PrivacyLossDistribution(*directions)


def _larger(one: PLDPmf, other: PLDPmf) -> DensePLDPmf:
    """The same for one direction."""
    grid = one._discretization
    if other._discretization != grid:
        raise PrivacyError("two privacy loss distributions are not on one grid")
    a, b = _losses(one), _losses(other)
    lowest = min(a.lowest, b.lowest)
    points = max(x.lowest + len(x.chances) for x in (a, b)) - lowest
    losses = grid * (lowest + np.arange(points))
    (height_a, slope_a), (height_b, slope_b) = (
        _curve(x.over(lowest, points), losses) for x in (a, b)
    )
    height = np.maximum(height_a, height_b)
    above = height_a >= height_b
    # slopes of lines between points: exact where one of the two is above at both ends
    slope = np.where(above, slope_a, slope_b)[:-1]
    joined = np.diff(height) / (np.exp(losses[:-1]) * np.expm1(grid))
    crossing = above[:-1] != above[1:]
    slope = np.append(np.where(crossing, joined, slope), 0.0)
    chances = np.zeros(points)
    chances[1:] = np.maximum(np.exp(losses[1:]) * np.diff(slope), 0.0)
    infinite = max(a.infinite, b.infinite)
    chances[0] = max(0.0, 1.0 - infinite - float(chances[1:].sum()))
    return DensePLDPmf(grid, lowest, chances, infinite, True)


def _losses(pmf: PLDPmf) -> _Losses:
    dense = pmf.to_dense_pmf()
    return _Losses(dense._lower_loss, np.asarray(dense._probs), dense._infinity_mass)


def _curve(
    of: _Losses, losses: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """δ at each loss as ε, and the slope of the line from there to the next, by exp(ε)."""
    weighted = of.chances * np.exp(-losses)
    # of all losses above each; summed from the smallest chance on
    above = np.append(np.cumsum(of.chances[::-1])[::-1][1:], 0.0)
    weight = np.append(np.cumsum(weighted[::-1])[::-1][1:], 0.0)
    return above + of.infinite - np.exp(losses) * weight, -weight
