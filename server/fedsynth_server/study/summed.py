"""The measurements of a study whose sites' counts come as one sum.

In a secure sum nobody knows a single site's counts, so everything that reads them site by site has
nothing to read: pairs of columns are pooled (`single_site`), and the checks of plausibility look at
the sum alone. A wrong sum stops the study, since nobody can say which site sent it.

The noise in a cell of an opened sum is that of all sites in it: K - c shares make the noise that ε
counts on, and the sites that were neither missing nor colluding add theirs on top.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from fedsynth_common.array_types import Float64Array
from fedsynth_common.errors import FedsynthError
from fedsynth_common.privacy.secure_noise import share_variance
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import FineDomain
from fedsynth_server.aggregation.histograms import Histograms, read_histograms
from fedsynth_server.aggregation.marginal_queries import MarginalQueries
from fedsynth_server.aggregation.marginals import MarginalEstimate, SizeEstimate, estimated_size
from fedsynth_server.aggregation.pairs_by_site import PairsBySite, single_site
from fedsynth_server.aggregation.plausibility import inconsistent, oversized
from fedsynth_server.messages.secure_session import OpenedSum

ALL = "all sites"


class SummedMeasurements:
    """What a secure sum tells about the records of all sites together."""

    def __init__(
        self,
        plan: Plan,
        domains: Sequence[FineDomain],
        measure_sum: Callable[[MarginalQueries, int], OpenedSum],
    ) -> None:
        """`measure_sum` asks for the sums of a measure step of the plan (`SecureSums.measure`)."""
        self.plan, self.domains, self._measure_sum = plan, domains, measure_sum
        self._sites: tuple[str, ...] = ()

    def histograms(self, queries: MarginalQueries, pair_variance: int) -> Histograms:
        """Everything that follows from the sum of the sites' histograms.

        Args:
            queries: what is asked for; their variance is what K - c shares have together.
            pair_variance: the same of the pairs that will be measured; 0 if none will be.

        Raises:
            FedsynthError: too few sites took part, or the sum cannot be one of records.
        """
        queries, counts = self._opened(queries, 0)
        size = estimated_size(counts, float(queries.variance))
        most = self.plan.records_per_site * len(self._sites)
        self._refuse(oversized({ALL: size}, most).get(ALL, ""))
        pairs = self._noise(pair_variance) if pair_variance else 0
        return read_histograms(
            self.plan.table, self.domains, queries, {ALL: counts}, {ALL: size}, pairs
        )

    def marginals(
        self, queries: MarginalQueries, histograms: Histograms
    ) -> tuple[list[MarginalEstimate], PairsBySite]:
        """One-way marginals and pairs as frequencies of the records in the sum, and the pairs again.

        Raises:
            FedsynthError: too few sites took part, or the sum cannot be one of records.
        """
        before = self._sites
        queries, counts = self._opened(queries, 1)
        records = histograms.records
        if set(self._sites) != set(
            before
        ):  # a site has gone since: its records are in one sum only
            records = max(1.0, estimated_size(counts, float(queries.variance)).records)
        pooled = queries.estimates(counts, records)
        marginals = [*histograms.one_way, *pooled]
        return marginals, single_site(pooled, histograms.codebook.widths)

    def _opened(
        self, queries: MarginalQueries, index: int
    ) -> tuple[MarginalQueries, list[Float64Array]]:
        """The queries with the noise variance of the sum, and the sum's tables."""
        opened = self._measure_sum(queries, index)
        self._sites = opened.sites
        queries = replace(queries, variance=self._noise(queries.variance))
        size: SizeEstimate = estimated_size(opened.counts, float(queries.variance))
        self._refuse(inconsistent(opened.counts, float(queries.variance), size))
        return queries, opened.counts

    def _noise(self, variance: int) -> int:
        """Variance in a cell of the sum over the sites at hand: each of them added its share."""
        return share_variance(variance, self.plan.noise_shares) * len(self._sites)

    def _refuse(self, why: str) -> None:
        if why:
            raise FedsynthError(
                f"measure: the sum of the sites cannot be one of records: {why}. One of them sent "
                "wrong numbers; a secure sum does not show which. Ask the sites, then plan anew"
            )
