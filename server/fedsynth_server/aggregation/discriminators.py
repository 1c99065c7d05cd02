"""Averages the sites' discriminators, bounds the influence of each site, and names conspicuous sites.

Weights are public (each site's noisy share of the records). In this order:

1. A reply of the wrong length, or with a non-finite or huge value, is left out.
2. An update longer than `NORM_FACTOR` times the median length is scaled down to it, and so is each
   half of Adam's moments. Noise makes most of an update's length, so honest ones are alike: at most 1.1
   times the median in a default study, 1.4 in one of discriminators alone with very unequal sites.
3. The weighted mean.
4. A site whose updates point *against* the others' in message after message is named (`Agreement`).

Step 4 names such a site and does not exclude it. When the average is near the pooled truth, an honest
site with other patients than the rest points exactly against the rest. It cannot be told from a site
that flips the signs of its updates unless somebody is trusted (Karimireddy, He & Jaggi 2022,
"Byzantine-robust learning on heterogeneous datasets"). Measured: the largest of five honest sites, with
other wards than the rest, scores t = -18 in one message. Leaving that hospital out would be the worse
mistake. Step 2 bounds what a flipped update can do: one such site of five adds a tenth to the error of
a study of discriminators alone, in which the generator learns from nothing else
(`tests/server/aggregation/test_bad_sites.py`).

Coordinate-wise medians and trimmed means (Yin et al. 2018) are not used. They do not stop an update
that hides inside the DP noise, and they discard the signal of sites that differ from the majority.

An update that points the same way as the others' and is not longer is not stopped, however it was made
(poisoned records, a backdoor). Its influence is the site's share, and sites that work together have the
sum of their shares. If two sites disagree, nothing shows which of the two is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fedsynth_common.array_types import Float32Array, Float64Array
from fedsynth_common.errors import RefusalError
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import MOMENT_LIMIT, WEIGHT_LIMIT, unpack_floats

NORM_FACTOR = 1.5
"""An update longer than this many times the median length is scaled down to it."""
AGAINST = 6.0
"""Standard deviations of noise by which a site must point against the others to be named."""


@dataclass
class Average:
    """The average of a round, which sites were left out or scaled down, and the updates (p,)."""

    weights: Float32Array
    moments: Float32Array
    excluded: list[str] = field(default_factory=list)
    scaled: list[str] = field(default_factory=list)
    updates: dict[str, Float64Array] = field(default_factory=dict)


def average(
    replies: Mapping[str, pb.DiscriminateReply],
    shares: Mapping[str, float],
    start: Float32Array,
    moments: Float32Array,
) -> Average:
    """Weighted mean of the returned weights and of Adam's moments.

    Args:
        replies: by site, in a fixed order.
        shares: public weight of each site; one that was away when shares were measured gets the
            average share.
        start: weights that were sent (p,); without any usable reply they are returned.
        moments: Adam's moments that were sent (2p,).
    """
    result = Average(start, moments)
    read = {site: _read(reply, start.size) for site, reply in replies.items()}
    result.excluded = [site for site, vectors in read.items() if vectors is None]
    usual = sum(shares.values()) / len(shares) if shares else 1.0
    usable = {site: vectors for site, vectors in read.items() if vectors is not None}
    if not usable:
        return result
    sites = list(usable)
    updates: Float64Array = np.array([weights for weights, _ in usable.values()]) - start
    result.updates = dict(zip(sites, updates, strict=True))
    share = np.array([shares.get(site, usual) for site in sites])
    share /= share.sum()
    factors = _factors(updates)
    result.scaled = [site for site, factor in zip(sites, factors, strict=True) if factor < 1]
    step = np.tensordot(share * factors, updates, axes=1)
    result.weights = (start + step).astype(np.float32)
    states = np.array([usable[site][1] for site in sites])
    halves = [np.tensordot(share * _factors(half), half, axes=1) for half in np.split(states, 2, 1)]
    result.moments = np.concatenate(halves).astype(np.float32)
    return result


def _read(reply: pb.DiscriminateReply, size: int) -> tuple[Float64Array, Float64Array] | None:
    """Weights (p,) and moments (2p,) of a usable reply."""
    try:
        weights = unpack_floats(reply.weights, size, WEIGHT_LIMIT)
        moments = unpack_floats(reply.moments, 2 * size, MOMENT_LIMIT)
    except RefusalError:
        return None
    return weights.astype(np.float64), moments.astype(np.float64)


class Agreement:
    """Which sites point against the others, over the messages of a study.

    For an update u and the coordinate-wise median m of the other sites' directions,

        t = sum_k u_k m_k / sqrt(sum_k u_k² m_k²)

    is self-normalised: if the coordinates of u are independent and symmetric about zero, as DP noise
    is, then P(t <= -x) <= exp(-x²/2) whatever their sizes are (Efron 1969, "Student's t-test under
    symmetry conditions"), and so for the sum over R messages divided by sqrt(R). Agreement raises t.
    """

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._messages: dict[str, int] = {}

    def see(self, updates: Mapping[str, Float64Array]) -> None:
        """Take in the updates (p,) of one message, by site; with less than three they say nothing."""
        if len(updates) < 3:
            return
        scores = agreement(np.array(list(updates.values())))
        for site, score in zip(updates, scores, strict=True):
            self._sums[site] = self._sums.get(site, 0.0) + float(score)
            self._messages[site] = self._messages.get(site, 0) + 1

    @property
    def against(self) -> list[str]:
        """Sites that noise alone would put here once in 10⁷ studies."""
        return [
            site
            for site, total in self._sums.items()
            if total <= -AGAINST * self._messages[site] ** 0.5
        ]


def agreement(updates: Float64Array) -> Float64Array:
    """T of each row (p,) against the other rows' directions: a long update does not outvote others."""
    lengths = np.linalg.norm(updates, axis=1, keepdims=True)
    directions = updates / np.maximum(lengths, 1e-30)
    scores = np.zeros(len(updates))
    for row, direction in enumerate(directions):
        others = np.median(np.delete(directions, row, axis=0), axis=0)
        products = direction * others
        scores[row] = products.sum() / max(float(np.linalg.norm(products)), 1e-30)
    return scores


def _factors(updates: Float64Array) -> Float64Array:
    """Per update, the factor that brings its length within the limit."""
    norms = np.array([np.linalg.norm(update) for update in updates])
    limit = NORM_FACTOR * float(np.median(norms))
    factors: Float64Array = np.minimum(1.0, limit / np.maximum(norms, 1e-30))
    return factors
