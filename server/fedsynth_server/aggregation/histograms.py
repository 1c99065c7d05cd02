"""From pooled noisy histograms to a codebook, one-way marginals and the number of records.

Post-processing: fine and coarse counts of a column are first made consistent (Hay et al. 2010,
"Boosting the Accuracy of Differentially Private Histograms", section 4: the least-squares estimate
given both levels of the tree), then the codebook's bins are chosen from the result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedsynth_common.array_types import Float64Array, UInt16Array
from fedsynth_common.schema import FineDomain, Schema
from fedsynth_release.decoding import Codebook
from fedsynth_release.histogram_noise import COARSE
from fedsynth_server.aggregation.binning import BIN_NOISE, build_codebook, codebook_of_views
from fedsynth_server.aggregation.marginal_queries import MarginalQueries, coarse_view, summed
from fedsynth_server.aggregation.marginals import MarginalEstimate, SizeEstimate, estimated_size


def consistent(fine: Float64Array, coarse: Float64Array, view: np.ndarray) -> Float64Array:
    """Least-squares fine counts given fine and coarse counts of equal noise.

    A group of b cells has two estimates of its sum: s with variance b, c with variance 1. Their best
    combination is s + (c - s) b / (b + 1); the correction is spread evenly over the cells.

    >>> consistent(np.array([1.0, 1.0]), np.array([5.0]), np.array([0, 0])).tolist()
    [2.0, 2.0]
    """
    size = np.bincount(view, minlength=coarse.size)
    gap = coarse - np.bincount(view, weights=fine, minlength=coarse.size)
    corrected: Float64Array = fine + (gap / (size + 1))[view]
    return corrected


@dataclass(frozen=True)
class Histograms:
    """What follows from the first measurement.

    Attributes:
        codebook: bins and merged categories of every column, with in-bin shapes.
        records: noisy number of records over all sites.
        shares: per site, its noisy share of the records, at least a tenth of an even share.
        one_way: one-way marginals in codes, per column.
        cell_error: standard deviation of the noise on the share of records of one fine cell.
    """

    codebook: Codebook
    records: float
    shares: dict[str, float]
    one_way: list[MarginalEstimate]
    cell_error: float = 0.0


def read_histograms(
    schema: Schema,
    domains: Sequence[FineDomain],
    queries: MarginalQueries,
    counts: Mapping[str, Sequence[Float64Array]],
    sizes: Mapping[str, SizeEstimate],
    pair_variance: int = 0,
    bin_noise: float = BIN_NOISE,
    views: Sequence[UInt16Array] | None = None,
) -> Histograms:
    """Everything that follows from the sites' histograms.

    Args:
        schema: the study's.
        domains: of its modelled columns.
        queries: what was asked for.
        counts: noisy counts by site, an array per query.
        sizes: of the same sites, estimated from these counts.
        pair_variance: variance of each site's noise in a cell of the pairs that will be measured
            later; 0 if none will be.
        bin_noise: largest noise of a bin of numbers with few bins (`build_codebook`).
        views: the codes, where an earlier study has chosen them; the shapes are computed anew.
    """
    pooled = summed(counts.values())
    variance = float(queries.variance * len(counts))
    fine = _fine_counts(domains, queries, pooled)
    sigmas = [variance**0.5] * len(domains)
    if views is not None:
        codebook = codebook_of_views(domains, views, fine, sigmas, COARSE)
    else:
        codebook = build_codebook(
            schema,
            fine,
            sigmas,
            runs=COARSE,
            pairs=(pair_variance * len(counts)) ** 0.5,
            bin_noise=bin_noise,
        )
    records = max(1.0, estimated_size(queries.whole(pooled), variance).records)
    one_way = _one_way(codebook, fine, records, variance)
    return Histograms(codebook, records, _shares(sizes), one_way, variance**0.5 / records)


def _fine_counts(
    domains: Sequence[FineDomain], queries: MarginalQueries, pooled: Sequence[Float64Array]
) -> list[Float64Array]:
    fine = list(pooled[: len(domains)])
    for query, coarse in zip(
        queries.marginals[len(domains) :], pooled[len(domains) :], strict=True
    ):
        column = query.columns[0]
        fine[column] = consistent(fine[column], coarse, coarse_view(domains[column]).astype(int))
    return fine


def _one_way(
    codebook: Codebook, fine: Sequence[Float64Array], records: float, variance: float
) -> list[MarginalEstimate]:
    marginals = []
    for j, (view, counts) in enumerate(zip(codebook.views, fine, strict=True)):
        grouped = np.bincount(view, weights=counts, minlength=codebook.widths[j])
        cells = view.size / codebook.widths[j]
        marginals.append(
            MarginalEstimate(
                columns=(j,), frequencies=grouped / records, variance=variance * cells / records**2
            )
        )
    return marginals


def _shares(sizes: Mapping[str, SizeEstimate]) -> dict[str, float]:
    """Public shares of the sites from their own noisy sizes (post-processing)."""
    records = {site: max(1.0, size.records) for site, size in sizes.items()}
    floor = 0.1 * sum(records.values()) / len(records)
    floored = {site: max(own, floor) for site, own in records.items()}
    return {site: own / sum(floored.values()) for site, own in floored.items()}
