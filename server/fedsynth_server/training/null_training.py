"""Null training: the sites' training repeated with the generator's rows, to see how much of it is noise.

DP-SGD leaves noise in a discriminator, so its log ratio is not zero even where generator and records
agree. The coordinator can measure this noise without privacy cost, since everything about the sites'
training is public except the records: it repeats the training with rows of the generator in place of
the records, with the same clipping, noise, optimiser and number of sites. The result differs from the
generator's own predictor by noise alone. `LogRatio.estimate_signal` compares the two.

It is less exact than the sites' training: a step takes `BATCH` rows, scaled to the expected batch,
and at most `SITES` sites are simulated, so that the noise of a large federation is overstated.
"""

from collections.abc import Sequence

import torch
from torch.func import functional_call, grad, vmap
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from fedsynth_common.networks import Discriminator, column_blocks, parameter_count, prediction
from fedsynth_common.protocol.plan import ADAM_BETAS, DiscriminatorPlan

BATCH, SITES = 64, 8


class NullTraining:
    """Imagined sites whose records are the generator's rows."""

    def __init__(
        self,
        start: Discriminator,
        plan: DiscriminatorPlan,
        sites: int,
        widths: Sequence[int],
        source: torch.Generator,
    ) -> None:
        self.network, self.plan, self.source = start, plan, source
        self.blocks = column_blocks(widths)
        self.sites, self.steps = min(sites, SITES), 0
        self.moments = torch.zeros(2, parameter_count(start))
        self._gradients = vmap(grad(self._loss), in_dims=(None, 0, 0))

    def message(self, rows: torch.Tensor) -> None:
        """One message to all sites and the average of their answers; rows (n, D) of the generator."""
        start = parameters_to_vector(self.network.parameters()).detach()
        ends = [self._site(rows, start, self.moments) for _ in range(self.sites)]
        weights, moments = (torch.stack(parts).mean(0) for parts in zip(*ends, strict=True))
        vector_to_parameters(weights, self.network.parameters())
        self.moments, self.steps = moments, self.steps + self.plan.steps_per_message

    def _site(
        self, rows: torch.Tensor, weights: torch.Tensor, moments: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and moments after one site's steps of Adam (Kingma & Ba 2015, Algorithm 1)."""
        first, second = moments
        for step in range(self.steps + 1, self.steps + self.plan.steps_per_message + 1):
            gradient = self._noisy_gradient(rows, weights)
            first = ADAM_BETAS[0] * first + (1 - ADAM_BETAS[0]) * gradient
            second = ADAM_BETAS[1] * second + (1 - ADAM_BETAS[1]) * gradient.square()
            scale = (second / (1 - ADAM_BETAS[1] ** step)).sqrt() + 1e-8
            weights = (
                weights - self.plan.learning_rate * first / (1 - ADAM_BETAS[0] ** step) / scale
            )
        return weights, torch.stack([first, second])

    def _noisy_gradient(self, rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Mean of clipped gradients, with the noise of a site's step (p,)."""
        plan = self.plan
        batch = rows[torch.randint(len(rows), (BATCH,), generator=self.source)]
        chance = torch.rand(BATCH, len(self.blocks), generator=self.source)
        blank = self.blocks[chance.argsort(dim=1)[:, : plan.masked_columns]]
        parts = self._gradients(self._named(weights), batch, blank)
        samples = torch.cat([part.reshape(BATCH, -1) for part in parts.values()], dim=1)
        factors = (plan.clipping_norm / samples.norm(dim=1).clamp(min=1e-12)).clamp(max=1.0)
        noise = torch.randn(len(weights), generator=self.source)
        std = plan.noise_multiplier * plan.clipping_norm / plan.expected_batch
        gradient: torch.Tensor = factors @ samples / BATCH + std * noise
        return gradient

    def _named(self, weights: torch.Tensor) -> dict[str, torch.Tensor]:
        """The network's parameters by name, from a flat vector (p,)."""
        named = dict(self.network.named_parameters())
        parts = torch.split(weights, [p.numel() for p in named.values()])
        return {name: part.view_as(p) for (name, p), part in zip(named.items(), parts, strict=True)}

    def _loss(
        self, parameters: dict[str, torch.Tensor], row: torch.Tensor, blank: torch.Tensor
    ) -> torch.Tensor:
        """Loss of one row (D,) with the blanked columns (M, D), as at a site."""

        def network(rows: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = functional_call(self.network, parameters, (rows,))
            return logits

        return -prediction(network, row.expand(len(blank), -1), blank).mean()
