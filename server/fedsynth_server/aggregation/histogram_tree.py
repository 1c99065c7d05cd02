"""Where the mass of a noisy histogram lies: the posterior mean of every split of a binary tree.

The range is halved again and again. A node's mass is known from the node above it. What is estimated is
how it splits, δ = (left - right) / mass in [-1, 1]. The noisy sums of the halves give y = left - right
with normal noise of known size, and the prior says what splits of histograms look like:

    with weight .5   near even:          N(centre, .15²), centre = the split of a flat histogram
    with weight .3   anything:           uniform on [-1, 1]
    with weight .2   one half is empty:  δ = -1 or 1

(A Pólya tree, Lavine 1992, with a prior for spikes and tails; the tree of sums is that of Hay et al.
2010.) Its posterior mean is never negative and keeps the sum. It smooths what cannot be told from noise,
and leaves what clearly exceeds the noise. The weights are constants, not fitted: other sensible ones
give the same figures (simulations/RESULTS.md).
"""

import numpy as np

from fedsynth_common.array_types import Float64Array
from fedsynth_release.histogram_noise import sum_noise

EVEN, ANY, EMPTY = 0.5, 0.3, 0.2
SPREAD = 0.15
"""Standard deviation of a near even split."""
REACH = 6.0
"""A split that is further than so many standard deviations from the measured one is not considered."""
_STEPS = np.linspace(0.0, 1.0, 65)
_LEAST = 1e-12


def tree_mass(counts: Float64Array, sigma: float, run: float = 1.0) -> Float64Array:
    """Non-negative counts with the same sum (next to nothing if that is not positive).

    Args:
        counts: noisy counts of cells in an order, (cells,).
        sigma: standard deviation of the noise of one cell; 0 for none.
        run: cells in each run whose total was measured too.

    >>> tree_mass(np.array([100.0, -2.0, 1.0, 1.0]), sigma=1.0).round(1).tolist()
    [99.3, 0.0, 0.4, 0.4]
    """
    if sigma == 0:
        return np.maximum(counts, 0.0)
    sums = np.concatenate([[0.0], np.cumsum(counts)])
    start, end = np.zeros(1, dtype=np.int64), np.full(1, len(counts))
    mass = np.array([max(float(sums[-1]), _LEAST)])
    while (end - start).max() > 1:
        middle = (start + end + 1) // 2
        left, right = middle - start, end - middle
        difference = 2 * sums[middle] - sums[start] - sums[end]
        noise = np.hypot(sum_noise(left, sigma, run), sum_noise(right, sigma, run))
        split = _split(difference, mass, noise, (left - right) / (left + right))
        split[right == 0] = 1.0
        start, end = np.stack([start, middle], 1).ravel(), np.stack([middle, end], 1).ravel()
        mass = np.stack([mass * (1 + split) / 2, mass * (1 - split) / 2], 1).ravel()
        held = end > start
        start, end, mass = start[held], end[held], np.maximum(mass[held], _LEAST)
    return mass


def _split(
    difference: Float64Array, mass: Float64Array, noise: Float64Array, centre: Float64Array
) -> Float64Array:
    """Posterior mean of δ for every node of a level, by sums over a grid where δ can be."""

    def likelihood(split: Float64Array) -> Float64Array:
        off = (difference[:, None] - mass[:, None] * split) / noise[:, None]
        return np.asarray(np.exp(-0.5 * off**2))

    low = np.clip((difference - REACH * noise) / mass, -1, 1)[:, None]
    high = np.clip((difference + REACH * noise) / mass, -1, 1)[:, None]
    grid = low + (high - low) * _STEPS
    even = np.exp(-0.5 * ((grid - centre[:, None]) / SPREAD) ** 2) / (SPREAD * np.sqrt(2 * np.pi))
    inside = (EVEN * even + ANY / 2) * likelihood(grid) * (high - low) / (len(_STEPS) - 1)
    ends = np.array([[-1.0, 1.0]])
    edge = EMPTY / 2 * likelihood(ends)
    total = inside.sum(axis=1) + edge.sum(axis=1)
    moment = (inside * grid).sum(axis=1) + (edge * ends).sum(axis=1)
    nearest = np.clip(difference / mass, -1, 1)  # where the noisy halves contradict the mass above
    return np.where(total > 1e-300, moment / np.maximum(total, 1e-300), nearest)
