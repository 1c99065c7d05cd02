"""The finished generator: a mixture of product distributions, given by its logits.

A record has one of `latents` equally likely latents z. Given z its columns are independent, and each
has a softmax of its own logits. This is all that drawing records needs, so a study leaves these
logits behind, however they were trained. Expected marginals are exact averages over the latents.
"""

from typing import Self

import torch
from torch import nn

from fedsynth_release.generator_network import GeneratorNetwork, LatentShape, softmax_by_code


class MixtureShape(LatentShape):
    """Size of a mixture, stored with its logits."""

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter."""
        return {"logits": (sum(self.widths), self.latents)}


class GeneratorMixture(nn.Module):
    """Logits (D, latents), D the sum of the widths: codes as rows, so that a column is one piece."""

    def __init__(self, shape: MixtureShape) -> None:
        super().__init__()
        self.shape = shape
        self.logits = nn.Parameter(torch.zeros(sum(shape.widths), shape.latents))

    @classmethod
    def of(cls, network: GeneratorNetwork) -> Self:
        """The same distribution as a network's."""
        mixture = cls(MixtureShape(widths=network.shape.widths, latents=network.shape.latents))
        mixture.to(network.latent.device)
        with torch.no_grad():
            mixture.logits.copy_(network().t())
        return mixture

    def forward(self) -> torch.Tensor:
        """Logits (latents, D)."""
        return self.logits.t()

    def soft_rows(self) -> torch.Tensor:
        """Probabilities (latents, D), without a gradient: in each column's block a row sums to one."""
        return softmax_by_code(self.logits.detach(), self.shape.widths).t()

    def shift(self, logits: torch.Tensor) -> None:
        """Add to the logits of each code (D,), the same for all latents."""
        with torch.no_grad():
            self.logits.add_(logits.unsqueeze(1))


FlatNetwork = GeneratorMixture | GeneratorNetwork
"""A generator of records without histories; the second form is read from older files."""
