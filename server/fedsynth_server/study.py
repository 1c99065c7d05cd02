"""A study from enrolment to the finished generator: the coordinator's side of the protocol.

Data flows one way: enrol -> histograms -> codebook -> marginals -> fit -> adversarial rounds ->
refit -> calibration -> receipts. Every number that comes in is already differentially private; the rest
is post-processing and deterministic given the replies and the training settings' seed.
"""

from collections.abc import Mapping

import torch
from flwr.serverapp import Grid

from fedsynth_common.errors import FedsynthError
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import domains
from fedsynth_release.generator_network import GeneratorNetwork
from fedsynth_server.exchange import Timing
from fedsynth_server.histograms import Histograms, read_histograms
from fedsynth_server.journal import NoJournal
from fedsynth_server.marginals import Marginal
from fedsynth_server.orders import (
    Order,
    added,
    all_pairs,
    histogram_order,
    marginal_order,
    variance_for,
)
from fedsynth_server.outcome import Outcome
from fedsynth_server.plausibility import Size, inconsistent, oversized, size_of
from fedsynth_server.progress import StudyProgress
from fedsynth_server.rounds import adversarial_rounds
from fedsynth_server.session import Session
from fedsynth_server.sites import Sites, one_site, read_sites
from fedsynth_server.training.anchor import Anchor
from fedsynth_server.training.curves import FIT, REFIT, Recorder
from fedsynth_server.training.denoise import denoise
from fedsynth_server.training.fit import calibrate, fit, new_generator
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
        self.domains = domains(plan.table)
        self.recorder = Recorder()
        self._sizes: dict[str, Size] = {}

    def run(self) -> Outcome:
        """The whole study.

        Raises:
            FedsynthError: when too few sites accept the plan or answer a message.
        """
        torch.manual_seed(self.settings.seed)
        self.session.enroll()
        histograms = self.measure_histograms()
        widths = histograms.codebook.widths
        marginals, sites = self.measure_marginals(histograms)
        cleaned = denoise(marginals, widths, sites)
        first = cleaned.marginals[: len(widths)]
        anchor = Anchor(cleaned.marginals, widths, self.settings.goal_for(cleaned.doubt))
        network = new_generator(first, widths, self.settings)
        before = fit(
            network,
            anchor,
            self.settings.steps_for(self.plan.epsilon),
            self.settings.learning_rate,
            lambda i, n: self.progress.update("fit generator", i, n),
            lambda i, loss: self.recorder.add(FIT, i, loss),
        )
        network = adversarial_rounds(
            self.session, network, anchor, histograms, self.settings, self.progress, self.recorder
        )
        if self.plan.discriminator is not None and anchor.order > 1:
            self._refit(network, anchor)
        with torch.no_grad():
            after = float(anchor.loss(network.soft_rows()))
        calibrate(network, first)
        return Outcome(
            network=network,
            codebook=histograms.codebook,
            receipts=self.session.receipts(),
            keys=self.session.keys,
            anchor_loss=(before, after),
            notes=self.session.notes,
            bytes_per_site=self.session.bytes_per_site,
            records=histograms.records,
            measured=cleaned.marginals,
            curves=self.recorder.curves(),
        )

    def _refit(self, network: GeneratorNetwork, anchor: Anchor) -> None:
        """Put back the marginals that the rounds bent; what no marginal sees stays as it was learned."""
        rounds = self.plan.discriminator.messages if self.plan.discriminator else 0
        start = rounds * self.settings.adversarial_steps
        fit(
            network,
            anchor,
            self.settings.refit_steps_for(self.plan.epsilon),
            self.settings.refit_learning_rate,
            lambda i, n: self.progress.update("refit generator", i, n),
            lambda i, loss: self.recorder.add(REFIT, start + i, loss),
        )

    def measure_histograms(self) -> Histograms:
        """Step one: the fine histograms of every column."""
        order = histogram_order(self.domains, self.plan.measure[0], self.plan.table.rows_per_person)
        replies = self._measure(order, 0)
        sizes = {site: size_of(order, counts) for site, counts in replies.items()}
        replies = self._plausible(order, replies, sizes)
        for site, why in oversized(sizes, self.plan.records_per_site).items():
            if replies.pop(site, None) is not None:
                self.session.leave_out(site, why)
        if not replies:
            raise FedsynthError("measure: no site sent counts that can be true")
        self._sizes = {site: sizes[site] for site in replies}
        return read_histograms(self.plan.table, self.domains, order, replies, self._pair_variance())

    def _pair_variance(self) -> int:
        """Variance of a site's noise in a cell of the pairs that the plan measures; 0 without."""
        if len(self.plan.measure) == 1 or len(self.domains) == 1:
            return 0
        pairs = len(all_pairs(len(self.domains)))
        return variance_for(pairs, self.plan.measure[1], self.plan.table.rows_per_person)

    def measure_marginals(self, histograms: Histograms) -> tuple[list[Marginal], Sites]:
        """The one-way marginals at hand and, if the plan measures them, all pairs of columns.

        With the pairs come the same by site.
        """
        if not self._pair_variance():
            return histograms.first, one_site([], histograms.codebook.widths)
        order = marginal_order(
            histograms.codebook,
            all_pairs(len(self.domains)),
            self.plan.measure[1],
            self.plan.table.rows_per_person,
        )
        replies = self._plausible(order, self._measure(order, 1), self._sizes)
        return _read_pairs(order, replies, histograms)

    def _plausible(
        self, order: Order, replies: Mapping[str, bytes], sizes: Mapping[str, Size]
    ) -> dict[str, bytes]:
        """The replies of sites whose size is known and fits; others are left out of the study."""
        kept = {}
        for site, counts in replies.items():
            if why := inconsistent(order, counts, sizes[site]) if site in sizes else "":
                self.session.leave_out(site, why)
            else:
                kept[site] = counts
        return kept

    def _measure(self, order: Order, index: int) -> dict[str, bytes]:
        phase = f"measure {self.plan.measure[index].purpose}"
        self.progress.update(phase, 0, 1)
        replies = self.session.measure(order, index)
        step = self.plan.measure[index].step
        self.progress.update(phase, 1, 1, self.session.spent(step) if self.progress.shown else "")
        return replies


def _read_pairs(
    order: Order, replies: Mapping[str, bytes], histograms: Histograms
) -> tuple[list[Marginal], Sites]:
    """One-way marginals and pooled replies as frequencies of the records of the sites that replied.

    A site whose histograms are missing is left out: nobody knows how many records it has.
    """
    counts = {
        site: order.read(reply) for site, reply in replies.items() if site in histograms.weights
    }
    if not counts:
        raise FedsynthError("measure: no site answered both for histograms and for marginals")
    sizes = {site: histograms.records * histograms.weights[site] for site in counts}
    pairs = order.marginals(added(list(counts.values())), sum(sizes.values()), len(counts))
    sites = read_sites(order, counts, sizes, histograms.codebook.widths)
    return [*histograms.first, *pairs], sites
