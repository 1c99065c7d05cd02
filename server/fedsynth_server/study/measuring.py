"""The measurements of a study: what the sites are asked, which answers are taken, and as what.

Every number that comes in is already differentially private.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from flwr.serverapp import Grid

from fedsynth_common.array_types import Float64Array
from fedsynth_common.errors import FedsynthError
from fedsynth_common.protocol.plan import MeasureStep, Plan
from fedsynth_common.schema import domains, history_schema, layout_of
from fedsynth_server.aggregation.binning import BIN_NOISE
from fedsynth_server.aggregation.histograms import Histograms, read_histograms
from fedsynth_server.aggregation.marginal_queries import (
    CountsBySite,
    MarginalQueries,
    all_pairs,
    histogram_queries,
    pair_queries,
    variance_for,
)
from fedsynth_server.aggregation.marginals import MarginalEstimate, SizeEstimate, estimated_size
from fedsynth_server.aggregation.pairs_by_site import BySite, pooled_and_by_site, single_site
from fedsynth_server.aggregation.plausibility import inconsistent, oversized
from fedsynth_server.aggregation.second_measurement import combined, scaled
from fedsynth_server.histories.blocks import BIN_NOISE as HISTORIES_BIN_NOISE
from fedsynth_server.histories.blocks import history_histograms
from fedsynth_server.messages.exchange import Timing
from fedsynth_server.messages.journal import NoJournal
from fedsynth_server.messages.secure_session import SecureSums
from fedsynth_server.messages.session import Session
from fedsynth_server.progress import StudyProgress
from fedsynth_server.study.answers import Answers
from fedsynth_server.study.summed import SummedMeasurements


class Measuring:
    """The measurements of one run of a plan over a Flower grid."""

    def __init__(
        self,
        plan: Plan,
        grid: Grid,
        progress: StudyProgress,
        timing: Timing | None = None,
        journal: NoJournal | None = None,
    ) -> None:
        self.plan, self.progress = plan, progress
        self.session = Session(plan, grid, timing or Timing(), journal, progress)
        self.schema = history_schema(plan.table)
        self.domains = domains(self.schema)
        self._sizes: dict[str, SizeEstimate] = {}
        self._first: Answers | None = None
        self._sums = SecureSums(self.session)
        self._summed = SummedMeasurements(plan, self.domains, self._sums)

    def _histogram_queries(self) -> MarginalQueries:
        plan = self.plan
        if plan.table.histories is not None:
            return history_histograms(self.domains, layout_of(plan.table), plan.measure[0])
        return histogram_queries(self.domains, plan.measure[0], plan.table.rows_per_person)

    def measure_histograms(self) -> Histograms:
        """Step one: the fine histograms of every column."""
        queries = self._histogram_queries()
        bin_noise = BIN_NOISE if self.plan.table.histories is None else HISTORIES_BIN_NOISE
        if self.plan.secure_sum:
            with self._phase(self.plan.measure[0]):
                return self._summed.histograms(queries, self._pair_variance(), bin_noise)
        counts = self._measure(queries, self.plan.measure[0])
        variance = float(queries.variance)
        sizes = {s: estimated_size(queries.whole(own), variance) for s, own in counts.items()}
        counts = self._plausible(queries, counts, sizes)
        for site, why in oversized(sizes, self.plan.records_per_site).items():
            if counts.pop(site, None) is not None:
                self.session.leave_out(site, why)
        if not counts:
            raise FedsynthError("measure: no site sent counts that can be true")
        self._sizes = {site: sizes[site] for site in counts}
        return self._read(queries, counts, bin_noise)

    def _read(self, queries: MarginalQueries, counts: CountsBySite, noise: float) -> Histograms:
        pairs, facts = self._pair_variance(), (self.schema, self.domains)
        return read_histograms(*facts, queries, counts, self._sizes, pairs, noise)

    def _pair_variance(self) -> int:
        """Variance that the plan asks for in a cell of the pairs that it measures; 0 without."""
        if len(self.plan.measure) == 1 or len(self.domains) == 1:
            return 0
        if self.plan.table.histories is not None:
            return 0  # bins are judged by the histograms' own noise, see simulations/RESULTS.md
        pairs = len(all_pairs(len(self.domains)))
        return variance_for(pairs, self.plan.measure[1], self.plan.table.rows_per_person)

    def measure_marginals(self, histograms: Histograms) -> tuple[list[MarginalEstimate], BySite]:
        """The one-way marginals at hand and, if the plan measures them, all pairs of columns.

        The pairs come twice: pooled in the list, and by site.
        """
        if not self._pair_variance():
            return histograms.one_way, single_site([], histograms.codebook.widths)
        queries = pair_queries(histograms.codebook, self.plan.measure[1], self.plan.table)
        if self.plan.secure_sum:
            self._first = first = self._ask(queries, 1, histograms)
            summed_up = self._summed.marginals(
                first.queries, first.counts, first.records, histograms
            )
            if not self.plan.measure[-1].by_site:
                return summed_up
            with self._phase(self.plan.measure[2]):
                return self._summed.beside_sites(summed_up[0], histograms)
        counts = self._counted(queries, self.plan.measure[1])
        self._first = Answers(queries, counts, histograms.records)
        return self._pooled(queries, counts, histograms)

    def _pooled(
        self, queries: MarginalQueries, counts: CountsBySite, histograms: Histograms
    ) -> tuple[list[MarginalEstimate], BySite]:
        return pooled_and_by_site(queries, counts, histograms)

    def measure_again(self, histograms: Histograms) -> tuple[list[MarginalEstimate], BySite]:
        """All pairs of columns once more, combined with the first measurement of them."""
        if (listening := self.plan.listening) is None:
            raise ValueError("plan: has no second measurement")
        queries = pair_queries(histograms.codebook, listening.otherwise, self.plan.table)
        counts = self._counted(queries, listening.otherwise)
        return self._combined(Answers(queries, counts, histograms.records), histograms)

    def _ask(self, queries: MarginalQueries, index: int, histograms: Histograms) -> Answers:
        """The answers to a measurement after the histograms, of sites whose records were counted."""
        step = self.plan.measure[index]
        if self.plan.secure_sum:
            with self._phase(step):
                return Answers(*self._summed.answers(queries, histograms, index))
        counts = self._counted(queries, step)
        known = {site: own for site, own in counts.items() if site in histograms.shares}
        share = sum(histograms.shares[site] for site in known)
        return Answers(queries, known, histograms.records * share)

    def _combined(
        self, again: Answers, histograms: Histograms
    ) -> tuple[list[MarginalEstimate], BySite]:
        """All pairs from both measurements."""
        assert self._first is not None  # noqa: S101 - pairs come before a second measurement
        first = self._first.queries, self._first.counts
        if self.plan.secure_sum and again.records != self._first.records:  # of other sites
            first = scaled(*first, again.records / self._first.records)
        queries, counts = combined(first, (again.queries, again.counts))
        if not self.plan.secure_sum:
            return pooled_and_by_site(queries, counts, histograms)
        (tables,) = counts.values()
        pooled = queries.estimates(tables, again.records)
        return [*histograms.one_way, *pooled], single_site(pooled, histograms.codebook.widths)

    def _counted(
        self, queries: MarginalQueries, step: MeasureStep
    ) -> dict[str, Sequence[Float64Array]]:
        """The answers to a measurement after the histograms that fit the size of their site."""
        return self._plausible(queries, self._measure(queries, step), self._sizes)

    def _plausible(
        self, queries: MarginalQueries, counts: CountsBySite, sizes: Mapping[str, SizeEstimate]
    ) -> dict[str, Sequence[Float64Array]]:
        """The counts that fit their site's size, where it is known; other sites are left out."""
        kept = {}
        variance = float(queries.variance)
        for site, tables in counts.items():
            counted = queries.whole(tables)
            known = site in sizes and len(counted) > 0
            if why := inconsistent(counted, variance, sizes[site]) if known else "":
                self.session.leave_out(site, why)
            else:
                kept[site] = tables
        return kept

    def _measure(self, queries: MarginalQueries, step: MeasureStep) -> CountsBySite:
        with self._phase(step):
            return self.session.measure(queries, step)

    @contextmanager
    def _phase(self, step: MeasureStep) -> Iterator[None]:
        """Show that a measurement is under way, and then what was spent."""
        phase = f"measure {step.purpose}"
        self.progress.update(phase, 0, 1)
        yield
        self.progress.update(
            phase, 1, 1, self.session.spent(step.step) if self.progress.shown else ""
        )
