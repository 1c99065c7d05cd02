"""Null training: the sites' training repeated with the generator's rows, to see how much of it is noise.

DP-SGD leaves noise in a discriminator, so its log ratio is not zero even where generator and records
agree. The coordinator can measure this noise without privacy cost, since everything about the sites'
training is public except the records: it repeats the training with rows of the generator in place of
the records, with the same clipping, noise and optimiser. The result differs from the generator's own
predictor by noise alone. `LogRatio.estimate_signal` compares the two.

Two sites stand for any number K of them. They add the same noise with opposite signs (antithetic
variates: Hammersley & Morton 1956), so that their mean (a + b) / 2 has hardly any noise, and their
half difference (a - b) / 2 is what noise does to one site. The mean of K sites has 1 / sqrt(K) of it.

It is less exact than the sites' training: rows are drawn with replacement, numbers are single
precision, and the mean of the two keeps the part of the noise that opposite signs do not cancel,
because Adam is not linear: about a fiftieth of one site's variance in the worst case, a first step.
So the noise of a federation of dozens of sites is overstated.
"""

import copy
import math
from collections.abc import Sequence

import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from fedsynth_common.array_types import UInt16Array
from fedsynth_common.networks import Discriminator, parameter_count
from fedsynth_common.networks.gradients import RowGradients, Space
from fedsynth_common.privacy.clipping import clip_and_sum
from fedsynth_common.protocol.plan import ADAM_BETAS, DiscriminatorPlan

SIMULATED = 2
"""Sites that are simulated, at most."""
_ROWS = 512  # computed at once: more is no faster


class NullTraining:
    """Simulated sites whose records are the generator's rows."""

    def __init__(
        self,
        start: Discriminator,
        plan: DiscriminatorPlan,
        sites: int,
        widths: Sequence[int],
        source: torch.Generator,
    ) -> None:
        self.network, self.plan, self.source = start, plan, source
        self.widths, self._site_network = list(widths), copy.deepcopy(start)
        self._space = Space()
        self.sites, self.steps = sites, 0
        self.moments = torch.zeros(2, parameter_count(start))

    def message(self, rows: UInt16Array) -> None:
        """One message to all sites and the average of their answers; rows (n, columns)."""
        start = parameters_to_vector(self.network.parameters()).detach()
        shape = (self.plan.steps_per_message, len(start))
        noise = torch.randn(shape, generator=self.source)
        weights, moments = self._site(rows, start, noise)
        if self.sites > 1:
            others = self._site(rows, start, noise.neg_())
            weights, moments = (
                self._mean(*two) for two in zip((weights, moments), others, strict=True)
            )
        vector_to_parameters(weights, self.network.parameters())
        self.moments, self.steps = moments, self.steps + self.plan.steps_per_message

    def _mean(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """What the mean of all sites may be, given two with opposite noise."""
        return torch.lerp(one, other, 0.5 - 0.5 / math.sqrt(self.sites))

    def _site(
        self, codes: UInt16Array, start: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and moments after one site's steps of Adam (Kingma & Ba 2015, Algorithm 1)."""
        first, second = self.moments.clone()
        weights, rate = start.clone(), self.plan.learning_rate
        for step, drawn in enumerate(noise, self.steps + 1):
            gradient = self._noisy_gradient(codes, weights, drawn)
            first.lerp_(gradient, 1 - ADAM_BETAS[0])
            second.mul_(ADAM_BETAS[1]).addcmul_(gradient, gradient, value=1 - ADAM_BETAS[1])
            scale = (second / (1 - ADAM_BETAS[1] ** step)).sqrt_().add_(1e-8)
            weights.addcdiv_(first, scale, value=-rate / (1 - ADAM_BETAS[0] ** step))
        return weights, torch.stack([first, second])

    def _noisy_gradient(
        self, codes: UInt16Array, weights: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """Clipped gradients of an expected batch over its size, with the noise of a step (p,)."""
        plan = self.plan
        vector_to_parameters(weights.clone(), self._site_network.parameters())
        total = noise * (plan.noise_multiplier * plan.clipping_norm)
        for start in range(0, plan.expected_batch, _ROWS):
            sums = self._clipped(codes, min(_ROWS, plan.expected_batch - start))
            total += torch.cat([part.reshape(-1) for part in sums])
        return total / plan.expected_batch

    def _clipped(self, codes: UInt16Array, size: int) -> list[torch.Tensor]:
        """The sum of the clipped gradients of `size` rows, in the shapes of the parameters."""
        rows = torch.randint(len(codes), (size,), generator=self.source).numpy()
        chance = torch.rand(size, len(self.widths), generator=self.source)
        gradients = RowGradients(
            self._site_network,
            codes[rows],
            chance.argsort(dim=1).numpy(),
            min(self.plan.masked_columns, len(self.widths)),
            self.widths,
            self._space,
        )
        used = torch.ones(size, dtype=torch.bool)
        return clip_and_sum(gradients, used, self.plan.clipping_norm)
