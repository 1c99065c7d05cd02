"""From pooled noisy histograms to a codebook, one-way marginals and the number of records.

Post-processing: fine and coarse counts of a column are first made consistent (Hay et al. 2010,
"Boosting the Accuracy of Differentially Private Histograms", section 4: the least-squares estimate
given both levels of the tree), then the codebook's bins are chosen from the result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedsynth_common.schema import FineDomain, Schema
from fedsynth_release.decoding import Codebook
from fedsynth_server.binning import build_codebook
from fedsynth_server.marginals import Floats, Marginal, pooled_total
from fedsynth_server.orders import COARSE, Order, coarse_view


def consistent(fine: Floats, coarse: Floats, view: np.ndarray) -> Floats:
    """Least-squares fine counts given fine and coarse counts of equal noise.

    A group of b cells has two estimates of its sum: s with variance b, c with variance 1. Their best
    combination is s + (c - s) b / (b + 1); the correction is spread evenly over the cells.

    >>> consistent(np.array([1.0, 1.0]), np.array([5.0]), np.array([0, 0])).tolist()
    [2.0, 2.0]
    """
    size = np.bincount(view, minlength=coarse.size)
    gap = coarse - np.bincount(view, weights=fine, minlength=coarse.size)
    corrected: Floats = fine + (gap / (size + 1))[view]
    return corrected


@dataclass(frozen=True)
class Histograms:
    """What the first measurement tells.

    Attributes:
        codebook: bins and merged categories of every column, with in-bin shapes.
        records: noisy number of records over all sites.
        weights: per site, its noisy share of the records, at least a tenth of an even share.
        first: one-way marginals in codes, per column.
    """

    codebook: Codebook
    records: float
    weights: dict[str, float]
    first: list[Marginal]


def read_histograms(
    schema: Schema,
    domains: Sequence[FineDomain],
    order: Order,
    replies: Mapping[str, bytes],
    pairs: int = 0,
) -> Histograms:
    """Everything that follows from the sites' histogram replies.

    Args:
        schema: the study's.
        domains: of its modelled columns.
        order: what was asked for.
        replies: noisy counts by site.
        pairs: variance of each site's noise in a cell of the pairs to come; 0 if none will be measured.
    """
    pooled = order.pool(replies)
    variance = float(order.variance * len(replies))
    fine = _fine_counts(domains, order, pooled)
    codebook = build_codebook(
        schema,
        fine,
        [variance**0.5] * len(domains),
        runs=COARSE,
        pairs=(pairs * len(replies)) ** 0.5,
    )
    records = pooled_total(pooled, [variance] * len(pooled))
    return Histograms(
        codebook, records, _weights(order, replies), _first(codebook, fine, records, variance)
    )


def _fine_counts(
    domains: Sequence[FineDomain], order: Order, pooled: Sequence[Floats]
) -> list[Floats]:
    fine = list(pooled[: len(domains)])
    for item, coarse in zip(order.items[len(domains) :], pooled[len(domains) :], strict=True):
        column = item.columns[0]
        fine[column] = consistent(fine[column], coarse, coarse_view(domains[column]).astype(int))
    return fine


def _first(
    codebook: Codebook, fine: Sequence[Floats], records: float, variance: float
) -> list[Marginal]:
    marginals = []
    for j, (view, counts) in enumerate(zip(codebook.views, fine, strict=True)):
        grouped = np.bincount(view, weights=counts, minlength=codebook.widths[j])
        cells = view.size / codebook.widths[j]
        marginals.append(
            Marginal(
                columns=(j,), frequencies=grouped / records, variance=variance * cells / records**2
            )
        )
    return marginals


def _weights(order: Order, replies: Mapping[str, bytes]) -> dict[str, float]:
    """Public weights of the sites from their own noisy totals (post-processing)."""
    totals = {}
    for site, counts in replies.items():
        parts = order.read(counts)
        totals[site] = pooled_total(parts, [float(order.variance)] * len(parts))
    floor = 0.1 * sum(totals.values()) / len(totals)
    floored = {site: max(total, floor) for site, total in totals.items()}
    return {site: total / sum(floored.values()) for site, total in floored.items()}
