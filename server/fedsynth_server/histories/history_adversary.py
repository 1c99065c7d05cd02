"""Generator steps of histories against the sites' discriminators: `training.adversary` for persons.

A step draws persons, and the discriminators say of each of their events by how much it is likelier
among the records than among the generator's. The sum over a person's events is the person's reward r.
The gradient of E[r] is that of E[(r - mean) log P(person)], which needs no gradient of the
discriminators, and regimes and moves learn from it as well as what happens at an event. The marginal
loss keeps the measured marginals, and a moving average is what is released.
"""

from collections.abc import Callable

import torch

from fedsynth_common.networks.event_windows import EventWindows
from fedsynth_release.histories.network import Chains, HistoryNetwork
from fedsynth_server.histories.drawn_persons import DrawnPersons, draw_persons, log_likelihoods
from fedsynth_server.training.adversary import AveragedTraining
from fedsynth_server.training.curves import Losses
from fedsynth_server.training.log_ratio import LogRatio
from fedsynth_server.training.predictor_pass import by_column
from fedsynth_server.training.settings import TrainingSettings

EACH = 4
"""Persons of every latent that a step draws."""


class HistoryAdversary(AveragedTraining):
    """Trains the generator of a table with histories."""

    def __init__(
        self,
        network: HistoryNetwork,
        excess: Callable[[Chains], torch.Tensor],
        weight: float,
        windows: EventWindows,
        settings: TrainingSettings,
    ) -> None:
        """Start at a network that was fitted to the marginals.

        Args:
            network: trained in place.
            excess: the marginal loss above its target, in squared frequency.
            weight: λ of the rewards; 0 is the control.
            windows: how the discriminators see events.
            settings: of the training.
        """
        super().__init__(network, weight, settings)
        self.network, self.excess, self.windows = network, excess, windows

    def _step(self, log_ratio: LogRatio) -> Losses:
        chains, shape = self.network(), self.network.shape
        loss = marginal = self.excess(chains)
        adversarial = None
        if self.weight > 0:
            drawn = draw_persons(chains, shape, EACH, self.source)
            rewards = rewards_of(drawn, log_ratio, self.windows)
            score = ((rewards - rewards.mean()) * log_likelihoods(chains, shape, drawn)).mean()
            loss = marginal - self.weight * score
            adversarial = -float(rewards.mean())
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.optimiser.step()
        return Losses(float(marginal.detach()), adversarial)

    def release(self) -> None:
        """Give the network its moving average as weights."""
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(self.average[name])


def rewards_of(drawn: DrawnPersons, log_ratio: LogRatio, windows: EventWindows) -> torch.Tensor:
    """The discriminators' logits, summed over each person's events (n,)."""
    codes, person = drawn.rows()
    logits = log_ratio.logits(by_column(windows.rows(codes, person)))
    return torch.zeros(len(drawn.lengths)).index_add_(0, torch.from_numpy(person), logits)
