"""The discriminator: a small MLP that predicts a row's columns from its others, trained with DP-SGD.

Instead of a single output that says real or synthetic, the network has one auxiliary head per column
(Odena, Olah & Shlens 2017). A site trains it on records, so that it estimates log p(column | the
others). The coordinator trains a second network of the same form on the generator's rows. The
difference of the two estimates is the log ratio of a column, and this log ratio is the discriminator
(pseudo-likelihood: Besag 1975; why a second network is needed: Gong et al. 2019, "Twin auxiliary
classifiers GAN"). For two reasons it teaches more than a single output does at the same privacy. Its
training starts from the generator's rows, which costs no privacy and teaches it everything that the
generator already knows. And the gradient of a head is the difference between a record's value and what
its other columns predict, without the noise of a synthetic row beside it.

The network is small on purpose, because the norm of the noise in a DP-SGD step grows like sqrt(p)
with the number p of parameters while the clipped gradient's norm stays at most C. It has no
BatchNorm, which would mix records, no dropout, and no buffers, which would leave a site without
noise. Its activation is tanh, which is smooth and bounded. At a kink, the last bit of a number could
decide about a gradient, and without a bound the features would grow with the weights
(`privacy/rounding.py`).
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

FIRST_WEIGHTS = 1.5
"""Size of what goes into a hidden unit before training: with less, tanh learns more slowly."""


class Discriminator(nn.Module):
    """MLP: one-hot rows (..., D) with a masked column -> logits (..., D), one block per column."""

    def __init__(self, width: int, hidden: Sequence[int] = (64,)) -> None:
        super().__init__()
        sizes = [width, *hidden]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), nn.Tanh()]
        self.features = nn.Sequential(*layers)
        self.heads = nn.Linear(sizes[-1], width)

    def initialise(self, frequencies: torch.Tensor, columns: int, source: torch.Generator) -> None:
        """Start at independent columns with the given frequencies (D,).

        A row has as many ones as columns, so features have the same size, whatever the widths are.
        """
        with torch.no_grad():
            for layer in self.features:
                if isinstance(layer, nn.Linear):
                    ones = columns if layer is self.features[0] else layer.in_features
                    layer.weight.normal_(0.0, FIRST_WEIGHTS * ones**-0.5, generator=source)
                    layer.bias.zero_()
            self.heads.weight.zero_()
            self.heads.bias.copy_(torch.log(frequencies.clamp(min=1e-4)))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Logits of the rows."""
        logits: torch.Tensor = self.heads(self.features(rows))
        return logits


def layers_of(network: Discriminator) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weight (out, in) and bias (out,) of each layer, in order: first, hidden ones, heads."""
    linear = [layer for layer in network.features if isinstance(layer, nn.Linear)]
    return [(layer.weight.detach(), layer.bias.detach()) for layer in (*linear, network.heads)]


def column_blocks(widths: Sequence[int]) -> torch.Tensor:
    """Which of the D codes are a column's: (columns, D), True inside.

    >>> column_blocks([2, 1]).tolist()
    [[True, True, False], [False, False, True]]
    """
    owner = torch.repeat_interleave(torch.arange(len(widths)), torch.tensor(list(widths)))
    return owner == torch.arange(len(widths)).unsqueeze(1)


def prediction(
    discriminator: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor, blank: torch.Tensor
) -> torch.Tensor:
    """Log-probability of each row's blanked column given its others.

    Args:
        discriminator: a `Discriminator`, Opacus' wrapper of one, or one as a function.
        rows: (..., D) one-hot rows; differentiable in them too.
        blank: (..., D), True in the block of the column to predict.

    Returns:
        (...,) log-probabilities; each depends on its own row alone.
    """
    logits = discriminator(rows.masked_fill(blank, 0.0))
    inside = F.log_softmax(logits.masked_fill(~blank, -torch.inf), dim=-1)
    return (inside.masked_fill(~blank, 0.0) * rows).sum(-1)


def predictions(
    discriminator: Discriminator, rows: torch.Tensor, widths: Sequence[int]
) -> torch.Tensor:
    """Log-probability of every column of each row given its others: `prediction` of all at once.

    The first layer is linear. It is computed once, and the part of the predicted column is
    subtracted.

    Args:
        discriminator: not wrapped.
        rows: (B, D) one-hot rows; differentiable in them too.
        widths: codes of each column; they sum to D.

    Returns:
        (B, columns) log-probabilities.
    """
    first, rest = cast(nn.Linear, discriminator.features[0]), discriminator.features[1:]
    heads, sizes = discriminator.heads, list(widths)
    features, logarithms = first(rows), []
    for values, weight, head, bias in zip(
        torch.split(rows, sizes, dim=1),
        torch.split(first.weight, sizes, dim=1),
        torch.split(heads.weight, sizes),
        torch.split(heads.bias, sizes),
        strict=True,
    ):
        inside = F.linear(rest(features - values @ weight.t()), head, bias)
        logarithms.append((F.log_softmax(inside, dim=1) * values).sum(1))
    return torch.stack(logarithms, dim=1)
