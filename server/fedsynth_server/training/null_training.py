"""Null training: the sites' training repeated with the generator's rows, to see how much of it is noise.

DP-SGD leaves noise in a discriminator, so its log ratio is not zero even where generator and records
agree. The coordinator can measure this noise without privacy cost, since everything about the sites'
training is public except the records: it repeats the training with rows of the generator in place of
the records, with the same clipping, noise, optimiser and number of sites. The result differs from the
generator's own predictor by noise alone. `LogRatio.estimate_signal` compares the two.

It is less exact than the sites' training: rows are drawn with replacement, numbers are single
precision, and at most `SITES` sites are simulated, so that the noise of a large federation is
overstated.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from fedsynth_common.array_types import UInt16Array
from fedsynth_common.networks import Discriminator, parameter_count
from fedsynth_common.networks.gradients import RowGradients, Space
from fedsynth_common.privacy.clipping import clip_and_sum
from fedsynth_common.protocol.plan import ADAM_BETAS, DiscriminatorPlan

SITES = 8
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
        self.sites, self.steps = min(sites, SITES), 0
        self.moments = torch.zeros(2, parameter_count(start))

    def message(self, rows: torch.Tensor) -> None:
        """One message to all sites and the average of their answers; rows (n, D) of the generator."""
        parts = torch.split(rows, self.widths, dim=1)
        codes = torch.stack([part.argmax(1) for part in parts], dim=1).numpy().astype(np.uint16)
        start = parameters_to_vector(self.network.parameters()).detach()
        ends = [self._site(codes, start, self.moments) for _ in range(self.sites)]
        weights, moments = (torch.stack(parts).mean(0) for parts in zip(*ends, strict=True))
        vector_to_parameters(weights, self.network.parameters())
        self.moments, self.steps = moments, self.steps + self.plan.steps_per_message

    def _site(
        self, codes: UInt16Array, weights: torch.Tensor, moments: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and moments after one site's steps of Adam (Kingma & Ba 2015, Algorithm 1)."""
        first, second = moments
        for step in range(self.steps + 1, self.steps + self.plan.steps_per_message + 1):
            gradient = self._noisy_gradient(codes, weights)
            first = ADAM_BETAS[0] * first + (1 - ADAM_BETAS[0]) * gradient
            second = ADAM_BETAS[1] * second + (1 - ADAM_BETAS[1]) * gradient.square()
            scale = (second / (1 - ADAM_BETAS[1] ** step)).sqrt() + 1e-8
            weights = (
                weights - self.plan.learning_rate * first / (1 - ADAM_BETAS[0] ** step) / scale
            )
        return weights, torch.stack([first, second])

    def _noisy_gradient(self, codes: UInt16Array, weights: torch.Tensor) -> torch.Tensor:
        """Clipped gradients of an expected batch over its size, with the noise of a step (p,)."""
        plan = self.plan
        vector_to_parameters(weights, self._site_network.parameters())
        std = plan.noise_multiplier * plan.clipping_norm
        total = std * torch.randn(len(weights), generator=self.source)
        for start in range(0, plan.expected_batch, _ROWS):
            size = min(_ROWS, plan.expected_batch - start)
            rows = torch.randint(len(codes), (size,), generator=self.source).numpy()
            chance = torch.rand(size, len(self.widths), generator=self.source)
            gradients = RowGradients(
                self._site_network,
                codes[rows],
                chance.argsort(dim=1).numpy(),
                min(plan.masked_columns, len(self.widths)),
                self.widths,
                self._space,
            )
            used = torch.ones(size, dtype=torch.bool)
            sums = clip_and_sum(gradients, used, plan.clipping_norm)
            total += torch.cat([part.reshape(-1) for part in sums])
        return total / plan.expected_batch
