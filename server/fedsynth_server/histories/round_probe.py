"""How long the steps of the rounds of histories take here, measured on persons that nobody is."""

import torch

from fedsynth_common.networks.event_windows import windows_of
from fedsynth_common.protocol.plan import Plan
from fedsynth_release.histories.network import HistoryNetwork
from fedsynth_server.histories.drawn_persons import draw_persons
from fedsynth_server.histories.history_adversary import HistoryAdversary
from fedsynth_server.histories.history_loss import HistoryLoss
from fedsynth_server.histories.person_null import PersonNullTraining
from fedsynth_server.training.log_ratio import LogRatio
from fedsynth_server.training.predictor_pass import by_column
from fedsynth_server.training.probe import shorter_of_two
from fedsynth_server.training.settings import TrainingSettings


def round_seconds(
    network: HistoryNetwork, loss: HistoryLoss, plan: Plan, settings: TrainingSettings
) -> tuple[float, float, float]:
    """Seconds of a step of the generator, of its predictor, and of one simulated site.

    Raises:
        ValueError: the plan has no discriminator.
    """
    if (training := plan.discriminator) is None:
        raise ValueError("plan: has no discriminator")
    windows = windows_of(plan.table, network.shape.widths)
    source = torch.Generator().manual_seed(0)
    codes, person = draw_persons(network(), network.shape, 8, source).rows()
    rows = windows.rows(codes, person)
    seen = by_column(rows)
    ratio = LogRatio(windows.widths, training.hidden, seen, source, 1, windows.predicted)
    ratio.signal_share.fill_(1.0)
    one_step = training.model_copy(update={"steps_per_message": 1})
    null = PersonNullTraining(ratio.record_predictor, one_step, 1, windows, source)
    quick = settings.model_copy(update={"adversarial_steps": 1})
    adversary = HistoryAdversary(network, loss.excess, 1.0, windows, quick)
    return (
        shorter_of_two(lambda: adversary.round(ratio)),
        shorter_of_two(lambda: ratio.follow(seen, 1)),
        shorter_of_two(lambda: null.message_of(rows, person)),
    )
