"""The adversarial rounds of histories: discriminators out, discriminators back, generator steps.

As `training.rounds`, with persons in the place of rows. The sites train on rows that hold an event and
the events before it (`networks/event_windows.py`), and all rows of a person are clipped together.
"""

import copy

import torch

from fedsynth_common.array_types import Int64Array, UInt16Array
from fedsynth_common.networks import flatten, load_flat
from fedsynth_common.networks.event_windows import windows_of
from fedsynth_release.histories.network import HistoryNetwork
from fedsynth_server.aggregation.histograms import Histograms
from fedsynth_server.histories.drawn_persons import draw_persons
from fedsynth_server.histories.history_adversary import HistoryAdversary
from fedsynth_server.histories.history_loss import HistoryLoss
from fedsynth_server.histories.person_null import PersonNullTraining
from fedsynth_server.messages.session import Session
from fedsynth_server.progress import StudyProgress
from fedsynth_server.training.curves import Recorder
from fedsynth_server.training.log_ratio import LogRatio
from fedsynth_server.training.predictor_pass import by_column
from fedsynth_server.training.rounds import PULL, note_losses, note_verdict
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_server.training.site_training import LocalTraining

PERSONS = 8192
"""Persons of the generator, drawn for its predictor before every message."""
JUDGED = 3000
"""How many of their events `LogRatio.estimate_signal` and the curves of the report use."""


class HistoryRounds:
    """The rounds of one study; the network is trained in place and its moving average released."""

    def __init__(
        self,
        session: Session,
        network: HistoryNetwork,
        loss: HistoryLoss,
        histograms: Histograms,
        settings: TrainingSettings,
    ) -> None:
        if (plan := session.plan.discriminator) is None:
            raise ValueError("plan: has no discriminator")
        self._session, self._plan, self._network = session, plan, network
        self._loss, self._source = loss, torch.Generator().manual_seed(settings.seed + 3)
        codebook = histograms.codebook
        self._windows = windows_of(session.plan.table, codebook.widths)
        rows, _ = self._rows()
        self._ratio = LogRatio(
            self._windows.widths,
            plan.hidden,
            by_column(rows),
            self._source,
            settings.predictor_steps,
            self._windows.predicted,
        )
        start = copy.deepcopy(self._ratio.record_predictor)
        weights = flatten(start)
        self._training = LocalTraining(session, codebook.views, histograms.shares, weights)
        self._null = PersonNullTraining(
            start, plan, len(session.plan.sites), self._windows, self._source
        )
        weight = settings.adversarial_weight * PULL * loss.noise**0.5
        self._adversary = HistoryAdversary(network, loss.excess, weight, self._windows, settings)

    def run(self, progress: StudyProgress, recorder: Recorder) -> None:
        """All rounds. The network has the moving average as its weights afterwards."""
        plan, ratio = self._plan, self._ratio
        progress.update("adversarial rounds", 0, plan.messages)
        for number, step in enumerate(plan.steps, 1):
            progress.doing(f"message {number}: sites train their discriminators")
            self._training.message(step)
            load_flat(ratio.record_predictor, self._training.weights)
            codes, person = self._rows()
            rows = by_column(codes)
            progress.doing(f"message {number}: null training")
            ratio.follow(rows)
            self._null.message_of(codes, person)
            ratio.estimate_signal(self._null.network, rows[:, :JUDGED])
            note_verdict(recorder, number, ratio.logits(rows[:, :JUDGED]))
            losses = self._adversary.round(
                ratio, lambda i, n: progress.doing(f"generator step {i}/{n}")
            )
            note_losses(recorder, (number - 1) * len(losses), losses, self._loss)
            note = self._session.spent(step) if progress.shown else ""
            progress.update("adversarial rounds", number, plan.messages, note)
        self._training.end()
        self._adversary.release()

    def _rows(self) -> tuple[UInt16Array, Int64Array]:
        """Rows of the generator's newest persons, and whose each is."""
        shape = self._network.shape
        with torch.no_grad():
            chains = self._network()
        each = max(1, PERSONS // shape.latents)
        codes, person = draw_persons(chains, shape, each, self._source).rows()
        return self._windows.rows(codes, person), person
