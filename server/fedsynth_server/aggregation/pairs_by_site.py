"""Pairs of columns by site: what the sites' replies say one by one, beyond their sum.

Every site adds its own noise, so a plain sum over K sites has K times the noise of one. Two estimates
reduce it. Both are post-processing of differentially private replies that the coordinator has by site
anyway. With w_s a site's share of the records, p_sa its one-way marginal of column a and p_a the pooled
one, the law of total covariance splits a pair of columns:

    P_ab - p_a p_bᵀ = sum_s w_s (p_sa - p_a)(p_sb - p_b)ᵀ  +  sum_s D_s

*Between sites.* The first term follows from the sites' one-way marginals, which are far less noisy
than a pair's cells. The difference p_s - p of a column is shrunk by how much the sites differ beyond
the noise (empirical Bayes: Efron & Morris 1972), so that sites with similar records add nothing.

*Within sites.* D_s, the dependence within a site, is small where the site has few records or where
one of the columns hardly varies: the reply of a hospital that never runs a test holds nothing but
noise about that test. If two columns depend on each other alike at every site (one odds ratio), D_s
is proportional to

    g_s = w_s p_sa (1 - p_sa) p_sb (1 - p_sb)    for every cell,

and the least-squares estimate of the sum is G = sum g_s times sum g_s D_s / sum g_s², with G² / sum g_s²
<= K times the noise variance of one site. Where the dependence differs between sites this estimate is
biased; the plain sum is not. So the difference of the two estimates is computed for each pair, and the
part of it that is larger than its noise explains is added to the least-squares estimate (positive-part
James & Stein 1961; the noise variance of the difference is the difference of the two variances).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fedsynth_common.array_types import Float64Array
from fedsynth_common.errors import FedsynthError
from fedsynth_server.aggregation.histograms import Histograms
from fedsynth_server.aggregation.marginal_queries import MarginalQueries, summed
from fedsynth_server.aggregation.marginals import MarginalEstimate, one_way_marginals

LEAST_SPREAD = 2e-3
"""The least p (1 - p) that is assumed of a value: p is noisy, and a site may have a rare value."""


class BySite(Protocol):
    """What the sites' replies say of pairs one by one."""

    def between(self, a: int, b: int) -> Float64Array:
        """Dependence of a pair that comes from differences between sites."""

    def within(
        self, pair: MarginalEstimate, one_way: Sequence[MarginalEstimate]
    ) -> tuple[Float64Array, float]:
        """Dependence within sites, centred, and the noise variance of one of its cells."""


@dataclass(frozen=True)
class SitesApart:
    """How the sites' one-way marginals differ from the pooled ones.

    Attributes:
        shares: of the records, (sites,); they sum to one.
        deviations: per column (sites, width): every row sums to zero, and so do the rows by share.
    """

    shares: Float64Array
    deviations: Sequence[Float64Array]

    def between(self, a: int, b: int) -> Float64Array:
        """Dependence of a pair that comes from differences between sites."""
        dependence: Float64Array = (self.deviations[a].T * self.shares) @ self.deviations[b]
        return dependence

    def by_column(self, one_way: Sequence[MarginalEstimate], column: int) -> Float64Array:
        """One-way marginals of a column at every site, (sites, width)."""
        whole: Float64Array = one_way[column].frequencies + self.deviations[column]
        return np.clip(whole, 0, 1)


@dataclass(frozen=True)
class PairsBySite(SitesApart):
    """The sites' noisy pairs, beside how their one-way marginals differ.

    Attributes:
        pairs: by columns (a, b), (sites, width of a, width of b): frequencies of all records, so that
            their sum over the sites is the pooled pair.
    """

    pairs: Mapping[tuple[int, int], Float64Array]

    def within(
        self, pair: MarginalEstimate, one_way: Sequence[MarginalEstimate]
    ) -> tuple[Float64Array, float]:
        """Dependence within sites, centred, and the noise variance of one of its cells.

        Args:
            pair: the pooled pair.
            one_way: pooled one-way marginals by column.
        """
        a, b = pair.columns
        rows, columns = (self.by_column(one_way, column) for column in (a, b))
        weight = self.shares[:, None, None]
        by_site = centred(self.pairs[a, b] - weight * rows[:, :, None] * columns[:, None, :])
        g = weight * _spread(rows)[:, :, None] * _spread(columns)[:, None, :]
        weights = best_weights(g)
        plain, best = by_site.sum(0), centred((weights * by_site).sum(0))
        noise = np.square(weights).sum(0)  # in units of one site's; that of `plain` is their number
        spare = np.maximum(len(g) - noise, 0.0)
        kept = _excess_over_noise(plain - best, spare * (pair.variance / len(g)))
        noise = noise + kept**2 * spare
        return best + kept * (plain - best), pair.variance * float(noise.mean()) / len(g)


def best_weights(g: Float64Array) -> Float64Array:
    """Weight of each site's D_s (first axis) in the least-squares estimate of their sum.

    It is 1 where all sites are alike and larger for a site that knows more than the others. Among K
    sites it is at most (1 + sqrt(K)) / 2 (Cauchy's inequality), so a site that lies gains no more.

    >>> best_weights(np.array([3.0, 1.0, 1.0])).round(2).tolist()
    [1.36, 0.45, 0.45]
    """
    weights: Float64Array = g * g.sum(0) / np.square(g).sum(0)
    return weights


def centred(cells: Float64Array) -> Float64Array:
    """The cells minus the means of their row and column (the last two axes)."""
    lines = cells.mean(-1, keepdims=True) + cells.mean(-2, keepdims=True)
    result: Float64Array = cells - lines + cells.mean((-2, -1), keepdims=True)
    return result


def single_site(pairs: Sequence[MarginalEstimate], widths: Sequence[int]) -> PairsBySite:
    """All records in one place, or sites of which only the sum is known."""
    return PairsBySite(
        np.ones(1),
        [np.zeros((1, width)) for width in widths],
        {(m.columns[0], m.columns[1]): m.frequencies[None] for m in pairs},
    )


def pairs_by_site(
    queries: MarginalQueries,
    counts: Mapping[str, Sequence[Float64Array]],
    records: Mapping[str, float],
    widths: Sequence[int],
) -> PairsBySite:
    """The pairs by site, from what each site sent.

    Args:
        queries: pairs that contain every column.
        counts: noisy, by site, an array per query.
        records: noisy number of records of each of these sites.
        widths: number of codes per column.
    """
    sizes = [records[site] for site in counts]
    shares = np.array(sizes) / sum(sizes)
    one_way = [
        one_way_marginals(queries.estimates(own, records[site]), widths)
        for site, own in counts.items()
    ]
    pairs = {
        (query.columns[0], query.columns[1]): np.array(cells) / sum(sizes)
        for query, *cells in zip(queries.marginals, *counts.values(), strict=True)
    }
    deviations = [deviations_of(column, shares) for column in zip(*one_way, strict=True)]
    return PairsBySite(shares, deviations, pairs)


def pooled_and_by_site(
    queries: MarginalQueries, counts: Mapping[str, Sequence[Float64Array]], histograms: Histograms
) -> tuple[list[MarginalEstimate], PairsBySite]:
    """One-way marginals and pooled pairs as frequencies of the records of the sites that replied.

    A site whose histograms are missing is left out: nobody knows how many records it has.
    """
    known = {site: tables for site, tables in counts.items() if site in histograms.shares}
    if not known:
        raise FedsynthError("measure: no site answered both for histograms and for marginals")
    records = {site: histograms.records * histograms.shares[site] for site in known}
    pooled = queries.estimates(summed(known.values()), sum(records.values()), len(known))
    by_site = pairs_by_site(queries, known, records, histograms.codebook.widths)
    return [*histograms.one_way, *pooled], by_site


def deviations_of(marginals: Sequence[MarginalEstimate], shares: Float64Array) -> Float64Array:
    """Of one column, (sites, width): noisy deviations, each shrunk by t / (t + its noise)."""
    noise = np.array([marginal.variance for marginal in marginals])
    own = np.array([m.frequencies - m.frequencies.mean() for m in marginals])
    noisy = own - shares @ own
    expected = noise * (1 - 2 * shares) + shares**2 @ noise
    spread = max(0.0, float(shares @ (np.square(noisy).mean(axis=1) - expected)))
    shrunk: Float64Array = (spread / (spread + noise))[:, None] * noisy
    return shrunk - shares @ shrunk


def _spread(frequencies: Float64Array) -> Float64Array:
    """Variance p (1 - p) of every value's indicator, (sites, width)."""
    return np.maximum(frequencies * (1 - frequencies), LEAST_SPREAD)


def _excess_over_noise(difference: Float64Array, variance: Float64Array) -> float:
    """The part of a centred difference that its noise does not explain, 0 to 1."""
    rows, columns = difference.shape
    explained = variance.sum() * (1 - 1 / rows) * (1 - 1 / columns)
    squared = float(np.square(difference).sum())
    return max(0.0, 1.0 - float(explained) / squared) if squared > 0 else 0.0
