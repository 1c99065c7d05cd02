"""The measurements of a study whose sites' counts come as one sum.

The same holds for histories: the blocks come as one sum, as if all persons were at one site.

In a secure sum nobody knows a single site's counts, so everything that reads them site by site has
nothing to read: pairs of columns are pooled (`single_site`), and the checks of plausibility look at
the sum alone. A wrong sum stops the study, since nobody can say which site sent it.

The noise in a cell of an opened sum is that of all sites in it: K - c shares make the noise that ε
counts on, and the sites that were neither missing nor colluding add theirs on top.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Protocol

from fedsynth_common.array_types import Float64Array
from fedsynth_common.errors import FedsynthError
from fedsynth_common.privacy.secure_noise import share_variance
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import FineDomain, history_schema
from fedsynth_server.aggregation.binning import BIN_NOISE
from fedsynth_server.aggregation.histograms import Histograms, read_histograms
from fedsynth_server.aggregation.marginal_queries import (
    CountsBySite,
    MarginalQueries,
    marginal_queries,
)
from fedsynth_server.aggregation.marginals import (
    MarginalEstimate,
    SizeEstimate,
    estimated_size,
    one_way_marginals,
)
from fedsynth_server.aggregation.pairs_by_site import BySite, single_site
from fedsynth_server.aggregation.plausibility import inconsistent, oversized
from fedsynth_server.aggregation.site_marginals import (
    implausible,
    read_site_marginals,
    refuse_other_records,
)
from fedsynth_server.messages.secure_session import OpenedSum

ALL = "all sites"


class SumsAndSites(Protocol):
    """How a measure step of the plan is asked (`SecureSums`)."""

    def measure(self, queries: MarginalQueries, index: int) -> OpenedSum:
        """The sum over the sites."""

    def measure_sites(self, queries: MarginalQueries, index: int) -> dict[str, list[Float64Array]]:
        """What each site answers for itself."""

    def leave_out(self, site: str, why: str) -> None:
        """Ask a site nothing more, and note why."""


class SummedMeasurements:
    """What a secure sum tells about the records of all sites together."""

    def __init__(
        self,
        plan: Plan,
        domains: Sequence[FineDomain],
        asked: SumsAndSites,
    ) -> None:
        """`asked` puts the questions of a measure step of the plan to the sites."""
        self.plan, self.domains, self._asked = plan, domains, asked
        self._sites: tuple[str, ...] = ()
        self._first_sites: tuple[str, ...] = ()
        self._records = 0.0

    def histograms(
        self, queries: MarginalQueries, pair_variance: int, bin_noise: float = BIN_NOISE
    ) -> Histograms:
        """Everything that follows from the sum of the sites' histograms.

        Args:
            queries: what is asked for; their variance is what K - c shares have together.
            pair_variance: the same of the pairs that will be measured; 0 if none will be.
            bin_noise: largest noise of a bin of numbers with few bins (`build_codebook`).

        Raises:
            FedsynthError: too few sites took part, or the sum cannot be one of records.
        """
        asked = queries
        queries, counts = self._opened(asked, 0)
        self._first_sites = self._sites
        size = self._size(asked, counts)
        most = self.plan.records_per_site * len(self._sites)
        self._refuse(oversized({ALL: size}, most).get(ALL, ""))
        pairs = self._of_sum(pair_variance) if pair_variance else 0
        return read_histograms(
            history_schema(self.plan.table),
            self.domains,
            queries,
            {ALL: counts},
            {ALL: size},
            pairs,
            bin_noise,
        )

    def answers(
        self, queries: MarginalQueries, histograms: Histograms, index: int
    ) -> tuple[MarginalQueries, dict[str, Sequence[Float64Array]], float]:
        """The sum of a later measurement, under the one name `ALL`.

        Returns:
            The queries with the noise variance of the sum, its tables, and the number of records in it.

        Raises:
            FedsynthError: too few sites took part, or the sum cannot be one of records.
        """
        queries, counts, records = self._with_records(queries, histograms, index)
        return queries, {ALL: counts}, records

    def marginals(
        self,
        queries: MarginalQueries,
        counts: CountsBySite,
        records: float,
        histograms: Histograms,
    ) -> tuple[list[MarginalEstimate], BySite]:
        """One-way marginals and pairs as frequencies of the records in the sum, and the pairs again.

        The first three are the `answers` about all pairs.
        """
        self._records = records
        pooled = queries.estimates(counts[ALL], records)
        marginals = [*histograms.one_way, *pooled]
        return marginals, single_site(pooled, histograms.codebook.widths)

    def beside_sites(
        self, marginals: Sequence[MarginalEstimate], histograms: Histograms
    ) -> tuple[list[MarginalEstimate], BySite]:
        """What the sums told, with what the sites' own one-way marginals say of their differences.

        Args:
            marginals: of the sums, with all pairs.
            histograms: of the sums.

        Returns:
            The marginals, with the sites' pooled ones where all of the sum answered; and the pairs.

        Raises:
            FedsynthError: the sum is not that of the sites' own marginals.
        """
        widths, step = histograms.codebook.widths, self.plan.measure[2]
        columns = [(column,) for column in range(len(widths))]
        rows = self.plan.table.rows_per_person
        queries = marginal_queries(histograms.codebook, columns, step, rows)
        counts = self._asked.measure_sites(queries, 2)
        for site, why in implausible(queries, counts, self.plan.records_per_site).items():
            del counts[site]
            self._asked.leave_out(site, f"{why}; its numbers are in the sums all the same")
        if not counts:
            raise FedsynthError("measure: no site sent marginals of its own that can be true")
        own = read_site_marginals(queries, counts, widths)
        if set(counts) != set(self._sites):
            return [*marginals], own.by_site
        in_sum = one_way_marginals([m for m in marginals if len(m.columns) == 2], widths)
        refuse_other_records(queries, counts, in_sum, self._records)
        return [*marginals, *own.pooled], own.by_site

    def blocks(
        self, queries: MarginalQueries, histograms: Histograms
    ) -> tuple[MarginalQueries, dict[str, Sequence[Float64Array]], Histograms]:
        """The blocks of histories, of all persons in the sum, under the one name `ALL`.

        Returns:
            The queries with the noise variance of the sum, its tables, and the histograms with the
            number of persons in it.

        Raises:
            FedsynthError: too few sites took part, or the sum cannot be one of persons.
        """
        queries, counts, persons = self._with_records(queries, histograms, 1)
        return queries, {ALL: counts}, replace(histograms, records=persons)

    def _with_records(
        self, queries: MarginalQueries, histograms: Histograms, index: int
    ) -> tuple[MarginalQueries, list[Float64Array], float]:
        """A later sum, and the number of records (of histories: persons) that is in it.

        If a site has gone since the histograms, its records are in the first sum only.
        """
        before, asked = self._first_sites, queries
        queries, counts = self._opened(asked, index)
        if set(self._sites) == set(before):
            return queries, counts, histograms.records
        if not queries.whole(counts):  # no table counts every person: sites are taken to be alike
            return queries, counts, histograms.records * len(self._sites) / len(before)
        return queries, counts, max(1.0, self._size(asked, counts).records)

    def _size(self, asked: MarginalQueries, counts: Sequence[Float64Array]) -> SizeEstimate:
        return estimated_size(asked.whole(counts), float(self._of_sum(asked.variance)))

    def _opened(
        self, queries: MarginalQueries, index: int
    ) -> tuple[MarginalQueries, list[Float64Array]]:
        """The queries with the noise variance of the sum, and the sum's tables."""
        opened = self._asked.measure(queries, index)
        self._sites = opened.sites
        if whole := queries.whole(opened.counts):
            variance = float(self._of_sum(queries.variance))
            self._refuse(inconsistent(whole, variance, self._size(queries, opened.counts)))
        return replace(queries, variance=self._noise(queries)), opened.counts

    def _noise(self, queries: MarginalQueries) -> int:
        """Variance in a cell of the sum, where a record or a person counts one and the spread is one.

        Where the queries' units differ, whole numbers and the least share make it differ a little
        between them; then it is the median.
        """
        units = [(query.weight * query.spread) ** 2 for query in queries.marginals]
        made = [self._of_sum(math.ceil(queries.variance * unit)) / unit for unit in units]
        return max(1, round(median(made)))

    def _of_sum(self, variance: int) -> int:
        """What becomes of a variance that is asked for: each site at hand added its share."""
        return share_variance(variance, self.plan.noise_shares) * len(self._sites)

    def _refuse(self, why: str) -> None:
        if why:
            raise FedsynthError(
                f"measure: the sum of the sites cannot be one of records: {why}. One of them sent "
                "wrong numbers; a secure sum does not show which. Ask the sites, then plan anew"
            )
