"""A study from enrolment to the finished generator: the coordinator's side of the protocol.

Data flows one way: enrol -> histograms -> codebook -> marginals -> adversarial rounds, if planned ->
fit -> calibration -> receipts. Every number that comes in is already differentially private; the rest
is post-processing and deterministic given the replies and the training settings' seed.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from flwr.serverapp import Grid

from fedsynth_common.array_types import Float64Array
from fedsynth_common.errors import FedsynthError
from fedsynth_common.protocol.plan import MeasureStep, Plan
from fedsynth_common.schema import domains, history_schema, layout_of
from fedsynth_release.copula.code_order import orders_of
from fedsynth_release.generator_mixture import GeneratorMixture
from fedsynth_release.generator_weights import Network
from fedsynth_server.aggregation.binning import BIN_NOISE
from fedsynth_server.aggregation.denoising import denoise
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
from fedsynth_server.aggregation.second_measurement import combined
from fedsynth_server.histories.blocks import BIN_NOISE as HISTORIES_BIN_NOISE
from fedsynth_server.histories.blocks import (
    block_queries,
    blocks_of,
    history_histograms,
    lags_for,
    varieties,
)
from fedsynth_server.histories.cleaned import clean
from fedsynth_server.messages.exchange import Timing
from fedsynth_server.messages.journal import NoJournal
from fedsynth_server.messages.secure_session import SecureSums
from fedsynth_server.messages.session import Session
from fedsynth_server.progress import StudyProgress
from fedsynth_server.study.flat_training import FlatTraining
from fedsynth_server.study.history_training import train_histories
from fedsynth_server.study.result import StudyResult
from fedsynth_server.study.summed import SummedMeasurements
from fedsynth_server.training.curves import Recorder
from fedsynth_server.training.marginal_loss import MarginalLoss
from fedsynth_server.training.mixture_fit import calibrate, new_mixture
from fedsynth_server.training.settings import TrainingSettings


class Study:
    """One run of a plan over a Flower grid."""

    def __init__(
        self,
        plan: Plan,
        settings: TrainingSettings,
        grid: Grid,
        progress: StudyProgress,
        timing: Timing | None = None,
        journal: NoJournal | None = None,
    ) -> None:
        self.plan, self.settings, self.progress = plan, settings, progress
        self.session = Session(plan, grid, timing or Timing(), journal, progress)
        self.schema = history_schema(plan.table)
        self.domains = domains(self.schema)
        self.recorder = Recorder()
        self._sizes: dict[str, SizeEstimate] = {}
        self._first: tuple[MarginalQueries, CountsBySite] | None = None
        self._sums = SecureSums(self.session)
        self._summed = SummedMeasurements(plan, self.domains, self._sums)

    def run(self) -> StudyResult:
        """The whole study.

        Raises:
            FedsynthError: when too few sites accept the plan or answer a message.
        """
        torch.manual_seed(self.settings.seed)
        self.session.enroll()
        histograms = self.measure_histograms()
        if self.plan.table.histories is not None:
            return self._histories(histograms)
        measured, marginal_loss = self._cleaned(self.measure_marginals(histograms), histograms)
        widths = histograms.codebook.widths
        sums = self._sums if self.plan.secure_sum else None
        training = FlatTraining(self.session, self.settings, self.progress, self.recorder, sums)
        mixture = None
        if self.plan.discriminator is not None:
            mixture = training.rounds(measured[: len(widths)], marginal_loss, histograms)
            if mixture is None:  # nothing was heard
                again = self.measure_again(histograms)
                measured, marginal_loss = self._cleaned(again, histograms)
        mixture = mixture or self._start(measured[: len(widths)], widths)
        losses = training.fit(mixture, marginal_loss)
        calibrate(mixture, measured[: len(widths)])
        return self._result(mixture, histograms, losses, measured)

    def _cleaned(
        self, measured: tuple[list[MarginalEstimate], BySite], histograms: Histograms
    ) -> tuple[list[MarginalEstimate], MarginalLoss]:
        """The marginals without most of their noise, and the loss of a generator on them."""
        codebook = histograms.codebook
        orders = orders_of(self.domains, codebook)
        cleaned = denoise(measured[0], codebook.widths, measured[1], orders=orders)
        target = self.settings.target_loss_for(cleaned.expected_loss)
        return cleaned.marginals, MarginalLoss(cleaned.marginals, codebook.widths, target)

    def _start(self, first: list[MarginalEstimate], widths: tuple[int, ...]) -> GeneratorMixture:
        return new_mixture(first, widths, self.settings)

    def _result(
        self,
        network: Network,
        histograms: Histograms,
        losses: tuple[float, float],
        measured: list[MarginalEstimate],
    ) -> StudyResult:
        """What the study leaves behind, once the generator is finished."""
        return StudyResult(
            network=network,
            codebook=histograms.codebook,
            receipts=self.session.receipts(),
            keys=self.session.keys,
            marginal_losses=losses,
            notes=self.session.notes,
            bytes_per_site=self.session.bytes_per_site,
            records=histograms.records,
            cell_error=histograms.cell_error,
            measured=measured,
            curves=self.recorder.curves(),
        )

    def _histogram_queries(self) -> MarginalQueries:
        plan = self.plan
        if plan.table.histories is not None:
            return history_histograms(self.domains, layout_of(plan.table), plan.measure[0])
        return histogram_queries(self.domains, plan.measure[0], plan.table.rows_per_person)

    def _histories(self, histograms: Histograms) -> StudyResult:
        """The rest of a study of persons with events: marginals -> fit -> calibration -> receipts."""
        plan, codebook = self.plan, histograms.codebook
        layout = layout_of(plan.table)
        varied = varieties(histograms.one_way, codebook, layout)
        blocks = blocks_of(layout, varied, lags_for(plan.epsilon))
        queries = block_queries(blocks, codebook, layout, plan.measure[1])
        if plan.secure_sum:
            with self._phase(self.plan.measure[1]):
                queries, counts, histograms = self._summed.blocks(queries, histograms)
        else:
            counts = self._plausible(queries, self._measure(queries, plan.measure[1]), self._sizes)
        orders = orders_of(self.domains, codebook)
        cleaned = clean(blocks, queries, counts, histograms, len(layout.static), orders)
        watched = self.settings, self.progress, self.recorder
        network, losses = train_histories(self.session, cleaned, histograms, *watched)
        measured = [*cleaned.one_way, *cleaned.independent_given_z()]
        return self._result(network, histograms, losses, measured)

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
            with self._phase(self.plan.measure[1]):
                summed_up = self._summed.marginals(queries, histograms)
            if not self.plan.measure[-1].by_site:
                return summed_up
            with self._phase(self.plan.measure[2]):
                return self._summed.beside_sites(summed_up[0], histograms)
        counts = self._plausible(queries, self._measure(queries, self.plan.measure[1]), self._sizes)
        self._first = queries, counts
        return self._pooled(queries, counts, histograms)

    def _pooled(
        self, queries: MarginalQueries, counts: CountsBySite, histograms: Histograms
    ) -> tuple[list[MarginalEstimate], BySite]:
        return pooled_and_by_site(queries, counts, histograms)

    def measure_again(self, histograms: Histograms) -> tuple[list[MarginalEstimate], BySite]:
        """All pairs of columns once more, combined with the first measurement of them."""
        if (listening := self.plan.listening) is None or self._first is None:
            raise ValueError("plan: has no second measurement")
        queries = pair_queries(histograms.codebook, listening.otherwise, self.plan.table)
        answers = self._plausible(queries, self._measure(queries, listening.otherwise), self._sizes)
        return pooled_and_by_site(*combined(self._first, (queries, answers)), histograms)

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
