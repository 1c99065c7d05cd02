"""A study from enrolment to the finished generator: the coordinator's side of the protocol.

Data flows one way: enrol -> histograms -> codebook -> marginals -> adversarial rounds or a screening of
triples, if planned -> fit -> calibration -> receipts. Every number that comes in is already
differentially private; the rest is post-processing and deterministic given the replies and the training
settings' seed.
"""

from dataclasses import replace

import torch
from flwr.serverapp import Grid

from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import layout_of
from fedsynth_release.copula.code_order import orders_of
from fedsynth_release.generator_mixture import GeneratorMixture
from fedsynth_release.generator_weights import Network
from fedsynth_server.aggregation.denoising import Denoised, denoise
from fedsynth_server.aggregation.histograms import Histograms
from fedsynth_server.aggregation.marginal_queries import MarginalQueries
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.aggregation.pairs_by_site import BySite
from fedsynth_server.histories.blocks import (
    block_queries,
    blocks_of,
    lags_for,
    varieties,
)
from fedsynth_server.histories.cleaned import clean
from fedsynth_server.histories.transitions import measured_transitions
from fedsynth_server.messages.exchange import Timing
from fedsynth_server.messages.journal import NoJournal
from fedsynth_server.progress import StudyProgress
from fedsynth_server.study.answers import Answers
from fedsynth_server.study.beyond_pairs import BeyondPairs
from fedsynth_server.study.flat_training import FlatTraining, marginal_loss_of
from fedsynth_server.study.history_training import train_histories
from fedsynth_server.study.measuring import Measuring
from fedsynth_server.study.result import StudyResult
from fedsynth_server.training.curves import Recorder
from fedsynth_server.training.marginal_loss import MarginalLoss
from fedsynth_server.training.mixture_fit import calibrate, new_mixture
from fedsynth_server.training.settings import TrainingSettings


class Study(Measuring):
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
        super().__init__(plan, grid, progress, timing, journal)
        self.settings, self.recorder = settings, Recorder()

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
        pairs, marginal_loss = self._cleaned(self.measure_marginals(histograms), histograms)
        widths = histograms.codebook.widths
        first = pairs.marginals[: len(widths)]
        sums = self._sums if self.plan.secure_sum else None
        training = FlatTraining(self.session, self.settings, self.progress, self.recorder, sums)
        mixture = None
        if self.plan.discriminator is not None:
            mixture = training.rounds(first, marginal_loss, histograms)
            if mixture is None:  # nothing was heard
                again = self.measure_again(histograms)
                pairs, marginal_loss = self._cleaned(again, histograms)
        mixture = mixture or self._start(pairs.marginals[: len(widths)], widths)
        if self.plan.screens:
            training.fit_pairs(mixture, marginal_loss)
            more = self._beyond_pairs(pairs, marginal_loss, mixture, training, histograms)
            pairs, marginal_loss = more
        losses = training.fit(mixture, marginal_loss)
        calibrate(mixture, pairs.marginals[: len(widths)])
        return self._result(mixture, histograms, losses, pairs.marginals)

    def _cleaned(
        self, measured: tuple[list[MarginalEstimate], BySite], histograms: Histograms
    ) -> tuple[Denoised, MarginalLoss]:
        """The marginals without most of their noise, and the loss of a generator on them."""
        codebook = histograms.codebook
        orders = orders_of(self.domains, codebook)
        cleaned = denoise(measured[0], codebook.widths, measured[1], orders=orders)
        return cleaned, marginal_loss_of(cleaned, codebook.widths, self.settings)

    def _beyond_pairs(
        self,
        pairs: Denoised,
        loss: MarginalLoss,
        mixture: GeneratorMixture,
        training: FlatTraining,
        histograms: Histograms,
    ) -> tuple[Denoised, MarginalLoss]:
        """The pairs and the loss with what a screening and the second measurement add to them.

        `mixture` is fitted to `pairs`.
        """
        codebook = histograms.codebook

        def ask(queries: MarginalQueries, index: int) -> Answers:
            return self._ask(queries, index, histograms)

        orders = orders_of(self.domains, codebook)
        beyond = BeyondPairs(self.plan, codebook, orders, pairs, ask)
        division = beyond.screen(mixture)
        self.session.notes.append(beyond.note(division))
        again, chosen = beyond.measure(division)
        if again is not None:
            pairs, loss = self._cleaned(self._combined(again, histograms), histograms)
        if chosen is None:
            return pairs, loss
        if again is not None:
            training.fit_pairs(mixture, loss)
        three_way = chosen.cleaned(pairs, mixture)
        return pairs, marginal_loss_of(pairs, codebook.widths, self.settings, three_way)

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
            counts = self._counted(queries, plan.measure[1])
        orders = orders_of(self.domains, codebook)
        cleaned = clean(blocks, queries, counts, histograms, len(layout.static), orders)
        watched = self.settings, self.progress, self.recorder
        network, loss, losses = train_histories(self.session, cleaned, histograms, *watched)
        measured = [*cleaned.one_way, *cleaned.independent_given_z()]
        result = self._result(network, histograms, losses, measured)
        return replace(result, transitions=measured_transitions(network, loss, cleaned))
