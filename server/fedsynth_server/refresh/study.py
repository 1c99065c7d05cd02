"""A study of one cohort, which begins where the study of earlier cohorts ended.

The first study of a cohort runs like any other and leaves its noisy counts to the next one. A refresh
measures the newest cohort alone and differs in four places: it keeps the codes of the earlier study, so
that counts can be added; it adds the earlier counts by their variances and the half-life; its generator
starts as the earlier one ended; and it says what changed. All this is post-processing.
"""

import copy
from dataclasses import dataclass, replace
from typing import Any

from flwr.serverapp import Grid

from fedsynth_common.errors import InputError
from fedsynth_common.protocol.plan import Plan
from fedsynth_release.decoding import Codebook
from fedsynth_release.generator import Generator
from fedsynth_release.generator_mixture import GeneratorMixture
from fedsynth_release.histories.network import HistoryNetwork
from fedsynth_server.aggregation.carried import Carried, Counts
from fedsynth_server.aggregation.histograms import Histograms, read_histograms
from fedsynth_server.aggregation.marginal_queries import (
    CountsBySite,
    MarginalQueries,
    pair_queries,
)
from fedsynth_server.aggregation.marginals import MarginalEstimate, estimated_size
from fedsynth_server.aggregation.pairs_by_site import BySite, pooled_and_by_site
from fedsynth_server.messages.exchange import Timing
from fedsynth_server.messages.journal import NoJournal
from fedsynth_server.progress import StudyProgress
from fedsynth_server.refresh import HALF_LIFE
from fedsynth_server.refresh.drift import Side, find_drift
from fedsynth_server.study.result import StudyResult
from fedsynth_server.study.study import Study
from fedsynth_server.training.settings import TrainingSettings


@dataclass(frozen=True)
class Earlier:
    """The study that is refreshed: its generator, the counts that it left, and how fast they age."""

    generator: Generator
    carried: Carried
    half_life: float = HALF_LIFE


class CohortStudy(Study):
    """One run of a plan of a cohort over a Flower grid."""

    def __init__(
        self,
        plan: Plan,
        settings: TrainingSettings,
        grid: Grid,
        progress: StudyProgress,
        timing: Timing | None = None,
        journal: NoJournal | None = None,
        earlier: Earlier | None = None,
    ) -> None:
        """Raises InputError if the plan does not follow the earlier study."""
        require_cohort(plan)
        super().__init__(plan, settings, grid, progress, timing, journal)
        self._earlier = earlier
        if earlier is not None:
            require_same_table(plan, earlier)
        self._own: Carried | None = None
        self._merged: Carried | None = None
        self._sides: list[Side] = []

    def _read(
        self,
        queries: MarginalQueries,
        counts: CountsBySite,
        noise: float,
    ) -> Histograms:
        measured = Counts.of(counts, float(queries.variance))
        records = sum(size.records for size in self._sizes.values())
        own = Carried.single(
            self.plan.cohort or "", self.plan.digest, measured, max(1.0, records), len(self.domains)
        )
        self._own = self._merged = own
        if self._earlier is None:
            return super()._read(queries, counts, noise)
        self._merged = self._earlier.carried.followed_by(own, self._earlier.half_life)
        return self._histograms(self._merged.histograms, queries, self._earlier.generator.codebook)

    def _histograms(
        self, counts: Counts, queries: MarginalQueries, codebook: Codebook
    ) -> Histograms:
        """Histograms in the codes that an earlier study has chosen."""
        shapes = [query.shape for query in queries.marginals]
        queries = replace(queries, variance=max(1, round(counts.mean_variance)))
        tables = counts.tables(shapes)
        sizes = {
            site: estimated_size(queries.whole(own), counts.variance[site])
            for site, own in tables.items()
        }
        return read_histograms(
            self.schema, self.domains, queries, tables, sizes, views=codebook.views
        )

    def _pooled(
        self,
        queries: MarginalQueries,
        counts: CountsBySite,
        histograms: Histograms,
    ) -> tuple[list[MarginalEstimate], BySite]:
        assert self._own is not None  # noqa: S101 - histograms come before pairs
        own = Counts.of(counts, float(queries.variance))
        self._own = replace(self._own, pairs=own)
        if self._earlier is None or self._earlier.carried.pairs is None:
            self._merged = replace(self._merged or self._own, pairs=own)
            return super()._pooled(queries, counts, histograms)
        carried = self._earlier.carried
        factor = carried.factor(self._own, self._earlier.half_life)
        merged = self._earlier.carried.pairs.plus(own, factor)
        self._merged = replace(self._merged or self._own, pairs=merged)
        return self._together(merged, queries, histograms)

    @staticmethod
    def _together(
        counts: Counts, queries: MarginalQueries, histograms: Histograms
    ) -> tuple[list[MarginalEstimate], BySite]:
        tables = counts.tables([query.shape for query in queries.marginals])
        queries = replace(queries, variance=max(1, round(counts.mean_variance)))
        return pooled_and_by_site(queries, tables, histograms)

    def _start(self, first: list[MarginalEstimate], widths: tuple[int, ...]) -> GeneratorMixture:
        """The generator of the earlier study, where its codes are those of this one."""
        if self._earlier is None:
            return super()._start(first, widths)
        network = self._earlier.generator.network
        assert not isinstance(network, HistoryNetwork)  # noqa: S101 - a cohort has no histories
        earlier = network if isinstance(network, GeneratorMixture) else GeneratorMixture.of(network)
        return copy.deepcopy(earlier).to(self.settings.device)

    def _side(self, carried: Carried) -> Side:
        """The pooled marginals of some cohorts, as the test for drift takes them."""
        assert self._earlier is not None  # noqa: S101 - there is nothing to compare otherwise
        codebook = self._earlier.generator.codebook
        histograms = self._histograms(carried.histograms, self._histogram_queries(), codebook)
        marginals = histograms.one_way
        if carried.pairs is not None:
            queries = pair_queries(codebook, self.plan.measure[1], self.plan.table)
            marginals, _ = self._together(carried.pairs, queries, histograms)
        # rows of one person may be alike: then chance moves a share so many times as far, in variance
        chance = carried.sampling * self.plan.table.rows_per_person
        return Side(marginals, codebook.widths, chance)

    def _result(self, *parts: Any) -> StudyResult:
        result = super()._result(*parts)
        result.carried = self._merged
        assert self._own is not None  # noqa: S101 - the study has been measured
        result.records = self._own.records
        if self._earlier is not None:
            old, new = self._side(self._earlier.carried), self._side(self._own)
            cohorts = [*self._earlier.carried.cohorts, *self._own.cohorts]
            codebook = self._earlier.generator.codebook
            result.drift = find_drift(old, new, self.schema, codebook, cohorts)
        return result


def require_cohort(plan: Plan) -> None:
    """Refuse a study that cannot be refreshed.

    Raises:
        InputError: the plan names no cohort, or its sites add their noise together.
    """
    if plan.cohort is None:
        raise InputError("the plan names no cohort; make one with: fedsynth study init --cohort")
    if plan.listening is not None:
        raise InputError(
            "--variant listen: a study of a cohort measures its pairs once; leave it out"
        )
    if plan.secure_sum is not None:
        raise InputError(
            "a study of a cohort takes --trust local: a secure sum leaves no counts by site to add to"
        )


def require_same_table(plan: Plan, earlier: Earlier) -> None:
    """Refuse a plan that does not follow an earlier study.

    Raises:
        InputError: another schema, a cohort that was measured already, or a half-life that is none.
    """
    if plan.table != earlier.generator.schema:
        raise InputError(
            "the earlier study has another schema, so its counts are of other cells; start anew with: "
            "fedsynth study init --cohort"
        )
    if plan.cohort in earlier.carried.cohorts:
        raise InputError(f"--cohort {plan.cohort}: was measured in the studies before this one")
    if not 0.1 <= earlier.half_life <= 1000:
        raise InputError(
            f"--half-life {earlier.half_life:g}: expected a number of cohorts from 0.1 to 1000"
        )
