"""The adversarial rounds on the coordinator's side: generator steps against the sites' discriminators.

Each round the sites return discriminators trained with DP-SGD on their own records; the coordinator
averages them and compares the average with a predictor of its own (`log_ratio.py`). The generator is
trained to raise the log ratio of the two, while the marginal loss keeps its marginals near the
measured ones. The columns of a row are drawn from the generator's probabilities, and the gradient at
the row is taken as the one at the probabilities (straight-through estimator: Bengio, Léonard &
Courville 2013). All of it is post-processing: it may be repeated, kept or thrown away without privacy
cost.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import nn

from fedsynth_release.generator_network import (
    GeneratorNetwork,
    slopes_before_softmax,
    softmax_by_code,
)
from fedsynth_server.training.curves import Losses
from fedsynth_server.training.log_ratio import LogRatio
from fedsynth_server.training.settings import TrainingSettings

Tick = Callable[[int, int], None]
Objective = Callable[[torch.Tensor], tuple[float, torch.Tensor | None]]
"""The marginal loss of soft rows by code (D, B), and its gradient (D, B) if it is not zero."""


class AveragedTraining(ABC):
    """Generator steps over the rounds of a study, and the moving average of the weights.

    The moving average (Yazici et al. 2019) is what is released: single iterates follow the noise of
    the last round.
    """

    def __init__(
        self, generator: nn.Module, weight: float, settings: TrainingSettings, fused: bool = False
    ) -> None:
        """Start at a generator that was fitted to the marginals; λ is `weight`."""
        self._parameters = dict(generator.named_parameters())
        self.weight, self.settings = weight, settings
        self.optimiser = torch.optim.Adam(
            generator.parameters(),
            lr=settings.adversarial_learning_rate,
            betas=(0.5, 0.999),
            fused=fused,
        )
        self.average = {name: p.detach().clone() for name, p in self._parameters.items()}
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

    @abstractmethod
    def _step(self, log_ratio: LogRatio) -> Losses:
        """One step of the optimiser; the losses before it."""

    def _update_average(self) -> None:
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                self.average[name].lerp_(parameter, 1.0 - self.settings.ema)


class Adversary(AveragedTraining):
    """Trains the generator of a table without histories."""

    def __init__(
        self,
        generator: GeneratorNetwork,
        objective: Objective,
        weight: float,
        settings: TrainingSettings,
    ) -> None:
        super().__init__(generator, weight, settings, fused=True)
        self.generator, self.objective = generator, objective
        self._next = 0

    def _step(self, log_ratio: LogRatio) -> Losses:
        """One step of Adam; autograd computes the gradients of the MLP alone."""
        logits, widths = self.generator().t(), self.generator.shape.widths
        soft = softmax_by_code(logits.detach(), widths)
        marginal, slopes = self.objective(soft)
        slopes = torch.zeros_like(soft) if slopes is None else slopes
        adversarial = None
        if self.weight > 0:
            chosen = self._turn()
            codes = draw_by_code(soft[:, chosen], widths, self.source)
            ratio, raised = log_ratio.slopes(codes)
            slopes[:, chosen].sub_(raised, alpha=self.weight)
            adversarial = -ratio
        self.optimiser.zero_grad()
        logits.backward(slopes_before_softmax(slopes, soft, widths))
        self.optimiser.step()
        return Losses(marginal, adversarial)

    def _turn(self) -> slice:
        """The latents whose rows are judged in this step: all of them take turns."""
        start, latents = self._next, self.generator.shape.latents
        end = min(start + self.settings.adversarial_batch, latents)
        self._next = end % latents
        return slice(start, end)

    def release(self) -> GeneratorNetwork:
        """The generator with the moving average as its weights."""
        released = GeneratorNetwork(self.generator.shape)
        released.load_state_dict(self.average)
        return released.to(self.generator.latent.device)


def draw_by_code(
    soft: torch.Tensor, widths: Sequence[int], source: torch.Generator
) -> torch.Tensor:
    """Codes (columns, B) of rows with probabilities (D, B), by inverting cumulative ones."""
    uniform = torch.rand(len(widths), soft.shape[1], generator=source).to(soft.device)
    codes = torch.empty(uniform.shape, dtype=torch.int64, device=soft.device)
    parts = zip(torch.split(soft, list(widths)), uniform, codes, strict=True)
    for part, chance, into in parts:
        below = torch.ones(len(part), len(part), device=soft.device).tril_()
        torch.sum(below @ part < chance, 0, out=into)
        into.clamp_(max=len(part) - 1)  # the last sum may be rounded to below one
    return codes
