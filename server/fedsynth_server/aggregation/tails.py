"""What lies beyond the last well-measured quantile of a number: a law of tails in place of noise.

Few records are far out, and each of the many cells there has noise. A histogram that is made
non-negative cell by cell therefore puts mass near the bound of the schema, where a little of it
moves mean and standard deviation a lot. Beyond the last cell whose noisy sum outwards is clearly more
than noise, the mass of the tail is kept, but its form is that of a generalised Pareto distribution
(Pickands 1975, "Statistical inference using extreme order statistics"):

    share of the mass above u that is above u + x  =  (1 + ξ x / β) ** (-1 / ξ)

cut at the schema's bound. The tail is at most a twentieth of the mass, since a column may have any form
further in. u is a quantile with `ABOVE` times the mass of the tail above it. (ξ, β) is not chosen: the
form is the mean over a grid of both, weighted by the likelihood of the noisy sums of runs of cells above
u and by a prior for ξ. A run without records, whose sum is zero up to its noise, thus says how far the
tail does not reach. Post-processing: costs nothing.
"""

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_release.histogram_noise import sum_noise

SIGNIFICANT = 3.0
"""A sum outwards counts as more than noise beyond so many standard deviations."""
ABOVE = 4.0
"""How much more mass than the tail lies above the quantile from which the law starts."""
LARGEST = 0.05
"""Largest share of the mass that counts as a tail. Where noise hides more, a falling law would be no
better than the cells."""
RUNS = 24
"""Runs of cells whose sums say which law it is."""
CENTRE, SPREAD = 0.2, 0.3
"""Mean and standard deviation of the normal prior of ξ; 0 is the exponential, 0.2 a little heavier."""
_FORMS = np.linspace(-0.7, 0.7, 8)  # 0, the exponential, is between two of them
_SCALES = np.geomspace(1 / 64, 2.0, 22)


def with_tails(
    mass: Float64Array, counts: Float64Array, edges: Float64Array, sigma: float, run: float
) -> Float64Array:
    """The mass of each cell, of both tails by the law; the whole mass stays the same.

    Args:
        mass: non-negative mass of cells in their order, (cells,).
        counts: their noisy counts, (cells,).
        edges: where each cell starts and the last one ends, ascending, (cells + 1,).
        sigma: standard deviation of the noise of one count, above 0.
        run: cells in each run whose total was measured too (`histogram_noise.sum_noise`).
    """
    upper = _with_upper_tail(mass, counts, edges, sigma, run)
    return _with_upper_tail(upper[::-1], counts[::-1], -edges[::-1], sigma, run)[::-1]


def _with_upper_tail(
    mass: Float64Array, counts: Float64Array, edges: Float64Array, sigma: float, run: float
) -> Float64Array:
    outwards = np.cumsum(counts[::-1])[::-1]
    noise = sum_noise(np.arange(len(counts), 0, -1), sigma, run)
    clear = np.flatnonzero(outwards >= SIGNIFICANT * noise)
    if not len(clear) or clear[-1] == len(mass) - 1:
        return mass
    start = int(clear[-1])
    if counts[start] >= SIGNIFICANT * noise[-1]:  # a value of its own, and no part of the tail
        start += 1
    above = np.cumsum(mass[::-1])[::-1]
    small = np.flatnonzero(above <= LARGEST * above[0])
    if not len(small) or above[max(start, small[0])] <= 0:
        return mass
    start = max(start, int(small[0]))
    tail = above[start]
    origin = int(np.flatnonzero(above >= ABOVE * tail)[-1])
    laws = _laws(edges[origin:] - edges[origin])
    weights = _weights(laws, counts[origin:], above[origin], sigma, run)
    beyond = laws[..., start - origin :]
    share = -np.diff(beyond, axis=-1) / np.maximum(beyond[..., :1], 1e-12)
    form = np.einsum("xs,xsc->c", weights, share)
    if form.sum() <= 0:
        return mass
    result = mass.copy()
    result[start:] = tail * form / form.sum()
    return result


def _laws(distances: Float64Array) -> Float64Array:
    """The share beyond each distance, under each form and scale: (forms, scales, edges)."""
    form = _FORMS[:, None, None]
    ratio = distances / (_SCALES[:, None] * distances[-1])
    beyond = np.maximum(1 + form * ratio, 0.0)
    # 0 ** (-1 / ξ) is only taken for ξ < 0, where it is 0: the distribution has ended
    law = beyond ** (-1 / form)
    return np.asarray((law - law[..., -1:]) / (1 - law[..., -1:]))


def _weights(
    laws: Float64Array, counts: Float64Array, mass: float, sigma: float, run: float
) -> Float64Array:
    """Posterior weight of each form and scale, given the noisy sums of runs of cells."""
    ends: Int64Array = np.unique(np.linspace(0, len(counts), RUNS + 1).astype(np.int64))
    seen = np.diff(np.append(0.0, np.cumsum(counts))[ends])
    expected = mass * -np.diff(laws[..., ends], axis=-1)
    off = (seen - expected) / sum_noise(np.diff(ends), sigma, run)
    log = -0.5 * (off**2).sum(axis=-1) - 0.5 * ((_FORMS[:, None] - CENTRE) / SPREAD) ** 2
    weights = np.exp(log - log.max())
    return np.asarray(weights / weights.sum())
