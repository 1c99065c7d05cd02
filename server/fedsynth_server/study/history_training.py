"""Trains the generator of histories: the fit, the rounds if the plan has them, and a second fit."""

from fedsynth_release.histories.network import HistoryNetwork
from fedsynth_server.aggregation.histograms import Histograms
from fedsynth_server.histories.cleaned import CleanBlocks
from fedsynth_server.histories.history_fit import (
    calibrate_histories,
    fit_histories,
    history_steps,
    measured_lengths,
    new_history_generator,
)
from fedsynth_server.histories.history_loss import HistoryLoss
from fedsynth_server.histories.history_rounds import HistoryRounds
from fedsynth_server.messages.session import Session
from fedsynth_server.progress import StudyProgress
from fedsynth_server.training.curves import FIT, REFIT, Line, Recorder
from fedsynth_server.training.settings import TrainingSettings


def train_histories(
    session: Session,
    cleaned: CleanBlocks,
    histograms: Histograms,
    settings: TrainingSettings,
    progress: StudyProgress,
    recorder: Recorder,
) -> tuple[HistoryNetwork, HistoryLoss, tuple[float, float]]:
    """The finished generator, its loss, and what it was before the rounds, if any, and at the end.

    The rounds change the marginals. The second fit brings them back, and what it does not touch stays
    as it was learned.
    """
    plan, codebook = session.plan, histograms.codebook
    network = new_history_generator(cleaned, codebook, plan.table, settings)
    target = settings.target_loss_for(cleaned.expected_loss, histories_at=plan.epsilon)
    loss, steps = HistoryLoss(cleaned, network.shape, target), history_steps(settings)

    def fitted(curve: Line, name: str, start: int) -> float:
        return fit_histories(
            network,
            loss,
            steps,
            settings.learning_rate,
            lambda i, n: progress.update(name, i, n),
            lambda i, value: recorder.add(curve, start + i, value),
        )

    last = before = fitted(FIT, "fit generator", 0)
    if plan.discriminator is not None:
        HistoryRounds(session, network, loss, histograms, settings).run(progress, recorder)
        in_rounds = plan.discriminator.messages * settings.adversarial_steps
        last = fitted(REFIT, "refit generator", in_rounds)
    calibrate_histories(network, loss, measured_lengths(cleaned, codebook, plan.table))
    return network, loss, (before, last)
