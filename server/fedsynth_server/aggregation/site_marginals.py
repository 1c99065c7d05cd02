"""The one-way marginals of each site, beside pairs of which only the sum over the sites is known.

In a secure sum the coordinator has the pooled pairs alone. Where sites differ, a part of the dependence
of two columns comes from these differences, and it follows from the sites' one-way marginals, which
are far less noisy than a pair's cells (`pairs_by_site`). A plan can therefore ask each site for its own
one-way marginals once more, with all of the site's own noise.

What remains of a pair after this part is subtracted is the dependence within the sites. It is denoised
as one matrix, since nobody knows which site it comes from. The estimate of a pair stays unbiased
whichever sites answered: what is not explained as a difference between them is left in the rest.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedsynth_common.array_types import Float64Array
from fedsynth_common.errors import FedsynthError
from fedsynth_server.aggregation.marginal_queries import MarginalQueries, summed
from fedsynth_server.aggregation.marginals import (
    MarginalEstimate,
    SizeEstimate,
    estimated_size,
    one_way_marginals,
)
from fedsynth_server.aggregation.pairs_by_site import SitesApart, centred, deviations_of
from fedsynth_server.aggregation.plausibility import DEVIATIONS, inconsistent, oversized

Tables = Sequence[Float64Array]
"""Noisy counts, an array per query."""


@dataclass(frozen=True)
class SummedPairs(SitesApart):
    """What is known of the sites where their pairs come as one sum."""

    def within(
        self, pair: MarginalEstimate, one_way: Sequence[MarginalEstimate]
    ) -> tuple[Float64Array, float]:
        """Dependence within sites, centred, and the noise variance of one of its cells.

        Args:
            pair: the pooled pair.
            one_way: pooled one-way marginals by column.
        """
        rows, columns = (self.by_column(one_way, column) for column in pair.columns)
        between = (rows.T * self.shares) @ columns
        return centred(pair.frequencies - between), pair.variance


@dataclass(frozen=True)
class SiteMarginals:
    """One-way marginals by site.

    Attributes:
        sizes: estimated number of records by site.
        by_site: how the sites differ.
        pooled: one-way marginals of all these sites together, one per column.
    """

    sizes: Mapping[str, SizeEstimate]
    by_site: SummedPairs
    pooled: list[MarginalEstimate]


def read_site_marginals(
    queries: MarginalQueries, counts: Mapping[str, Tables], widths: Sequence[int]
) -> SiteMarginals:
    """What the sites' noisy one-way marginals say.

    Args:
        queries: one for each column, with the noise variance of one site.
        counts: noisy, by site.
        widths: number of codes per column.
    """
    variance = float(queries.variance)
    sizes = {site: estimated_size(tables, variance) for site, tables in counts.items()}
    records = np.array([size.records for size in sizes.values()])
    shares = records / records.sum()
    one_way = [
        one_way_marginals(queries.estimates(tables, sizes[site].records), widths)
        for site, tables in counts.items()
    ]
    deviations = [deviations_of(column, shares) for column in zip(*one_way, strict=True)]
    pooled = queries.estimates(summed(counts.values()), float(records.sum()), len(counts))
    return SiteMarginals(sizes, SummedPairs(shares, deviations), pooled)


def implausible(
    queries: MarginalQueries, counts: Mapping[str, Tables], declared: int
) -> dict[str, str]:
    """Sites whose one-way marginals cannot be counts of records, and why (`plausibility`)."""
    variance = float(queries.variance)
    sizes = {site: estimated_size(tables, variance) for site, tables in counts.items()}
    found = {
        site: why
        for site, tables in counts.items()
        if (why := inconsistent(tables, variance, sizes[site]))
    }
    return found | oversized(sizes, declared)


def refuse_other_records(
    queries: MarginalQueries,
    counts: Mapping[str, Tables],
    in_sum: Sequence[MarginalEstimate],
    records: float,
) -> None:
    """Compare the sites' own marginals with those of the sum over the same sites.

    So a site that sends wrong numbers under its masks has to send the same wrong numbers in the open
    too, where `implausible` bounds them.

    Args:
        queries: of the sites' own marginals.
        counts: the noisy answers, by site.
        in_sum: one-way marginals of the sum over the same sites, by column.
        records: of the sum, by which `in_sum` is divided.

    Raises:
        FedsynthError: they differ by more than noise does.
    """
    variance = float(queries.variance) * len(counts)
    for own, marginal in zip(summed(counts.values()), in_sum, strict=True):
        limit = DEVIATIONS * math.sqrt(variance + marginal.variance * records**2)
        if (np.abs(own - marginal.frequencies * records) > limit).any():
            raise FedsynthError(
                "measure: the marginals that the sites send one by one are not those of their sum. One "
                "of them sent wrong numbers; a secure sum does not show which. Ask the sites, then "
                "plan anew"
            )
