"""What the sites' replies say one by one, beyond their sum.

Every site adds its own noise, so a plain sum over K sites has K times the noise of one. Two things help,
both post-processing of differentially private replies that the coordinator has by site anyway. With w_s
a site's share of the records, p_sa its margin of column a and p_a the pooled one, the law of total
covariance splits a pair of columns:

    P_ab - p_a p_bᵀ = sum_s w_s (p_sa - p_a)(p_sb - p_b)ᵀ  +  sum_s D_s

*Between sites.* The first term follows from the sites' margins, far less noisy than a pair's cells.
Noise in p_s - p is shrunk, per column, by how much the sites differ beyond it (empirical Bayes: Efron
& Morris 1972), so that sites with alike records add nothing.

*Within sites.* D_s, the dependence within a site, is small where the site has few records or its margin
hardly varies: a hospital that never runs a test has nothing to say on it but noise. If two columns are
linked alike everywhere (one odds ratio), D_s is in proportion to

    g_s = w_s p_sa (1 - p_sa) p_sb (1 - p_sb)    for every cell,

and the least-squares estimate of the sum is G = sum g_s times sum g_s D_s / sum g_s², with G² / sum g_s²
<= K times the noise variance of one site. Where the sites' links differ it is biased; the plain sum is
not. What the two differ by is therefore kept as far as it exceeds its noise, pair by pair (positive-part
James & Stein 1961; the two estimates' difference has the difference of their variances).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedsynth_server.aggregation.marginal_queries import Order
from fedsynth_server.aggregation.marginals import Floats, Marginal, averaged

LEAST_SPREAD = 2e-3
"""p (1 - p) of a cell is never taken for less: margins are noisy, and a site may know a rare value."""


@dataclass(frozen=True)
class Sites:
    """The sites' noisy pairs, and how their margins differ from the pooled ones.

    Attributes:
        shares: of the records, (sites,); they sum to one.
        deviations: per column (sites, width): every row sums to zero, and so do the rows by share.
        pairs: by columns (a, b), (sites, width of a, width of b): frequencies of all records, so that
            their sum over the sites is the pooled pair.
    """

    shares: Floats
    deviations: Sequence[Floats]
    pairs: Mapping[tuple[int, int], Floats]

    def between(self, a: int, b: int) -> Floats:
        """Dependence of a pair that comes from differences between sites."""
        found: Floats = (self.deviations[a].T * self.shares) @ self.deviations[b]
        return found

    def within(self, pair: Marginal, first: Sequence[Marginal]) -> tuple[Floats, float]:
        """Dependence within sites, centred, and the noise variance of one of its cells.

        Args:
            pair: the pooled pair.
            first: pooled one-way marginals by column.
        """
        a, b = pair.columns
        rows, columns = (np.clip(first[j].frequencies + self.deviations[j], 0, 1) for j in (a, b))
        weight = self.shares[:, None, None]
        found = centred(self.pairs[a, b] - weight * rows[:, :, None] * columns[:, None, :])
        g = weight * _spread(rows)[:, :, None] * _spread(columns)[:, None, :]
        weights = best_weights(g)
        plain, best = found.sum(0), centred((weights * found).sum(0))
        noise = np.square(weights).sum(0)  # in units of one site's; that of `plain` is their number
        spare = np.maximum(len(g) - noise, 0.0)
        kept = _excess(plain - best, spare * (pair.variance / len(g)))
        noise = noise + kept**2 * spare
        return best + kept * (plain - best), pair.variance * float(noise.mean()) / len(g)


def best_weights(g: Floats) -> Floats:
    """What each site's D_s (first axis) counts in the least-squares estimate of their sum.

    1 where all sites are alike, more for a site that knows more than the others, and at most
    (1 + sqrt(K)) / 2 among K sites (Cauchy's inequality): so much can a site gain by lying.

    >>> best_weights(np.array([3.0, 1.0, 1.0])).round(2).tolist()
    [1.36, 0.45, 0.45]
    """
    weights: Floats = g * g.sum(0) / np.square(g).sum(0)
    return weights


def centred(cells: Floats) -> Floats:
    """Less the means of rows and columns, for the last two axes."""
    lines = cells.mean(-1, keepdims=True) + cells.mean(-2, keepdims=True)
    found: Floats = cells - lines + cells.mean((-2, -1), keepdims=True)
    return found


def one_site(pairs: Sequence[Marginal], widths: Sequence[int]) -> Sites:
    """All records in one place, or sites that are known by their sum alone."""
    return Sites(
        np.ones(1),
        [np.zeros((1, width)) for width in widths],
        {(m.columns[0], m.columns[1]): m.frequencies[None] for m in pairs},
    )


def read_sites(
    order: Order,
    counts: Mapping[str, Sequence[Floats]],
    records: Mapping[str, float],
    widths: Sequence[int],
) -> Sites:
    """The sites from the pairs that each of them sent.

    Args:
        order: of pairs that hold every column.
        counts: noisy, by site, an array per item of the order.
        records: noisy number of records of each of these sites.
        widths: number of codes per column.
    """
    sizes = [records[site] for site in counts]
    shares = np.array(sizes) / sum(sizes)
    margins = [
        averaged(order.marginals(own, records[site]), widths) for site, own in counts.items()
    ]
    pairs = {
        (item.columns[0], item.columns[1]): np.array(cells) / sum(sizes)
        for item, *cells in zip(order.items, *counts.values(), strict=True)
    }
    deviations = [_deviations(column, shares) for column in zip(*margins, strict=True)]
    return Sites(shares, deviations, pairs)


def _deviations(margins: Sequence[Marginal], shares: Floats) -> Floats:
    """Of one column, (sites, width): noisy deviations, each shrunk by t / (t + its noise)."""
    noise = np.array([margin.variance for margin in margins])
    own = np.array([m.frequencies - m.frequencies.mean() for m in margins])
    found = own - shares @ own
    expected = noise * (1 - 2 * shares) + shares**2 @ noise
    spread = max(0.0, float(shares @ (np.square(found).mean(axis=1) - expected)))
    shrunk: Floats = (spread / (spread + noise))[:, None] * found
    return shrunk - shares @ shrunk


def _spread(margins: Floats) -> Floats:
    """Variance p (1 - p) of every value's indicator, (sites, width)."""
    return np.maximum(margins * (1 - margins), LEAST_SPREAD)


def _excess(difference: Floats, variance: Floats) -> float:
    """The part of a centred difference that its noise does not explain, 0 to 1."""
    rows, columns = difference.shape
    explained = variance.sum() * (1 - 1 / rows) * (1 - 1 / columns)
    seen = float(np.square(difference).sum())
    return max(0.0, 1.0 - float(explained) / seen) if seen > 0 else 0.0
