"""The generator in the adversarial rounds: a latent z -> one softmax per column, by a small MLP.

z is drawn uniformly from `latents` learned vectors; the MLP decodes it. Given z the columns are
independent, all dependence between columns runs through z. Because z has finitely many values,
expected marginals are exact averages over all of them, with no sampling error in the training
signal (a fixed z set as in GEM: Liu, Vietri & Wu 2021; learned vectors as in GLO: Bojanowski et al.
2018). What a discriminator says about the row of one latent changes the weights that all latents
share, and that is how a few thousand rows teach the whole generator. Measured marginals alone are
fitted better without the MLP (`generator_mixture.py`), and every finished generator has that form;
generators of format 1 are read as networks.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

MAX_PROBABILITIES = 1 << 26
"""Largest table of probabilities, latents x codes: 256 MiB in single precision."""


Latents = Annotated[int, Field(ge=1, le=65536)]


class LatentShape(BaseModel):
    """Sizes of a generator of independent columns given a latent: `widths`, codes of each column."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    widths: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = Field(min_length=1)
    latents: Latents

    @model_validator(mode="after")
    def _fits_in_memory(self) -> Self:
        if self.latents * sum(self.widths) > MAX_PROBABILITIES:
            raise ValueError(
                f"{self.latents} latents x {sum(self.widths)} codes: expected at most "
                f"{MAX_PROBABILITIES}; use fewer latents, or fewer bins"
            )
        return self


class GeneratorShape(LatentShape):
    """Architecture of the network, stored with the weights."""

    latents: Latents = 2048
    latent_size: int = Field(default=64, ge=1, le=1024)
    hidden: int = Field(default=128, ge=1, le=4096)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter, without building the network."""
        width, features = sum(self.widths), self.hidden + self.latent_size
        return {
            "latent": (self.latents, self.latent_size),
            "hidden.weight": (self.hidden, self.latent_size),
            "hidden.bias": (self.hidden,),
            "head.weight": (width, features),
            "head.bias": (width,),
        }


class GeneratorNetwork(nn.Module):
    """Latent vectors (latents, latent_size) -> logits (latents, D), D the sum of the widths."""

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        self.shape = shape
        width = sum(shape.widths)
        self.latent = nn.Parameter(torch.empty(shape.latents, shape.latent_size))
        self.hidden = nn.Linear(shape.latent_size, shape.hidden)
        self.head = nn.Linear(shape.hidden + shape.latent_size, width)

    def initialise(self, frequencies: torch.Tensor, source: torch.Generator) -> None:
        """Start at independent columns with the given frequencies (D,), one block per column."""
        draw_weights(self.latent, self.hidden, self.head, source)
        with torch.no_grad():
            self.head.bias.copy_(torch.log(frequencies.clamp(min=1e-5)))

    def forward(self, index: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (B, D) of the latents at `index` (B,), or of all of them in order."""
        latent = self.latent if index is None else self.latent[index]
        features = F.relu(self.hidden(latent))
        inputs = torch.cat([features, latent], dim=1)
        # code by code in memory: a column's block is one piece, and its softmax needs no copy
        return torch.addmm(self.head.bias.unsqueeze(1), self.head.weight, inputs.t()).t()

    def soft_rows(self, index: torch.Tensor | None = None) -> torch.Tensor:
        """Probabilities (B, D): within each column's block a row sums to one."""
        return block_softmax(self.forward(index), self.shape.widths)


def draw_weights(
    latent: torch.Tensor, hidden: nn.Linear, head: nn.Linear, source: torch.Generator
) -> None:
    """Draw the first latents and weights in place; the bias of `head` is left to the caller."""
    with torch.no_grad():
        latent.normal_(generator=source)
        for layer in (hidden, head):
            bound = layer.in_features**-0.5
            layer.weight.uniform_(-bound, bound, generator=source)
        hidden.bias.zero_()


def block_softmax(logits: torch.Tensor, widths: Sequence[int]) -> torch.Tensor:
    """Softmax (B, D) of each column's block; two to five times faster for logits in code order."""
    soft: torch.Tensor = _BlockSoftmax.apply(logits, widths)  # type: ignore[no-untyped-call]
    return soft


class _BlockSoftmax(torch.autograd.Function):
    """Block by block into one piece of memory, where `torch.cat` would copy the blocks once more."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, widths: Sequence[int]) -> torch.Tensor:
        soft = softmax_by_code(logits.t(), widths).t()
        ctx.save_for_backward(soft)
        ctx.widths = widths
        return soft

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slopes: torch.Tensor) -> tuple[torch.Tensor, None]:
        (soft,) = ctx.saved_tensors
        return slopes_before_softmax(slopes.t(), soft.t(), ctx.widths).t(), None


def softmax_by_code(logits: torch.Tensor, widths: Sequence[int]) -> torch.Tensor:
    """Softmax of each column's block of logits (D, B), which has its codes one below the other."""
    soft = torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)
    blocks = (torch.split(of, list(widths)) for of in (logits, soft))
    for part, into in zip(*blocks, strict=True):
        torch.softmax(part, 0, out=into)
    return soft


def slopes_before_softmax(
    slopes: torch.Tensor, soft: torch.Tensor, widths: Sequence[int]
) -> torch.Tensor:
    """Gradient at the logits (D, B) from the one at their softmax; all have codes as rows."""
    before = torch.empty(soft.shape, dtype=soft.dtype, device=soft.device)
    blocks = (torch.split(of, list(widths)) for of in (slopes, soft, before))
    for slope, value, into in zip(*blocks, strict=True):
        torch.ops.aten._softmax_backward_data(slope, value, 0, soft.dtype, grad_input=into)
    return before
