"""The adversarial rounds on the coordinator's side: generator steps against the sites' discriminators.

Each round the sites return discriminators trained with DP-SGD on their own records; the coordinator
averages them and compares the average with a predictor of its own (`log_ratio.py`). The generator is
trained to raise the log ratio of the two, while the marginal loss keeps its marginals near the
measured ones. All of it is post-processing: it may be repeated, kept or thrown away without privacy
cost.
"""

from collections.abc import Callable

import torch

from fedsynth_release.generator_network import GeneratorNetwork, block_softmax, gumbel_rows
from fedsynth_server.training.curves import Losses
from fedsynth_server.training.log_ratio import LogRatio
from fedsynth_server.training.settings import TrainingSettings

Tick = Callable[[int, int], None]
Objective = Callable[[torch.Tensor], torch.Tensor]
"""The marginal loss of soft rows (B, D)."""


class Adversary:
    """Trains one generator over the rounds of a study and keeps its moving average.

    The moving average (Yazici et al. 2019) is what is released: single iterates follow the noise of
    the last round.
    """

    def __init__(
        self,
        generator: GeneratorNetwork,
        objective: Objective,
        weight: float,
        settings: TrainingSettings,
    ) -> None:
        self.generator = generator
        self.objective = objective
        self.weight = weight
        self.settings = settings
        self.optimiser = torch.optim.Adam(
            generator.parameters(), lr=settings.adversarial_learning_rate, betas=(0.5, 0.999)
        )
        self.average = {name: p.detach().clone() for name, p in generator.named_parameters()}
        self.source = torch.Generator().manual_seed(settings.seed + 1)

    def round(self, log_ratio: LogRatio, tick: Tick | None = None) -> list[Losses]:
        """Generator steps against one log ratio, whose two predictors are not changed.

        Args:
            log_ratio: of the sites' predictor and the generator's.
            tick: called with (steps done, steps in all).

        Returns:
            The losses before each step.
        """
        seen = []
        for step in range(self.settings.adversarial_steps):
            seen.append(self._step(log_ratio))
            self._update_average()
            if tick is not None:
                tick(step + 1, self.settings.adversarial_steps)
        return seen

    def _step(self, log_ratio: LogRatio) -> Losses:
        settings, shape = self.settings, self.generator.shape
        logits = self.generator()
        loss = self.objective(block_softmax(logits, shape.widths))
        marginal, adversarial = loss.item(), None
        if self.weight > 0:
            index = torch.randint(
                shape.latents, (settings.adversarial_batch,), generator=self.source
            )
            chosen = logits.t().index_select(1, index.to(logits.device)).t()
            rows = gumbel_rows(chosen, shape.widths, self.source)
            term = -log_ratio.ratios(rows).sum(1).mean()
            loss, adversarial = loss + self.weight * term, term.item()
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.optimiser.step()
        return Losses(marginal, adversarial)

    def _update_average(self) -> None:
        with torch.no_grad():
            for name, parameter in self.generator.named_parameters():
                self.average[name].lerp_(parameter, 1.0 - self.settings.ema)

    def release(self) -> GeneratorNetwork:
        """The generator with the moving average as its weights."""
        released = GeneratorNetwork(self.generator.shape)
        released.load_state_dict(self.average)
        return released.to(self.generator.latent.device)
