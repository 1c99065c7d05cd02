"""The marginal loss: how far a generator's marginals are from the noisy ones, in units of their noise.

For soft rows P (B, D) of the generator the expected pair marginals are the blocks of PᵀP / B (GEM:
Liu, Vietri & Wu 2021). The loss is the mean over all measured cells of (expected - measured)² /
variance, so that a generator equal to the real distribution has a loss of about one, whatever ε is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from fedsynth_server.aggregation.marginals import MarginalEstimate

VARIANCE_FLOOR = 1e-4**2
"""Frequencies are not fitted to better than this: a sample of 10,000 rows would not show it."""


class MarginalLoss:
    """Mean squared residual of all measured cells, in units of the noise variance.

    Attributes:
        target_loss: the loss at which a fit ends: below it, what is left to fit is noise. In the
            adversarial rounds a loss below it pulls the generator no further.
        has_pairs: whether pairs are measured, or one-way marginals alone.
        noise: standard deviation of the noise in the pairs, or without them in the one-way marginals,
            as a frequency.
        excess_scale: `excess` per unit of loss above the target.
    """

    def __init__(
        self, marginals: Sequence[MarginalEstimate], widths: Sequence[int], target_loss: float = 0.0
    ) -> None:
        self.target_loss = target_loss
        self.starts = [int(s) for s in np.concatenate([[0], np.cumsum(widths)[:-1]])]
        size = int(sum(widths))
        self.first_target, self.first_weight = torch.zeros(size), torch.zeros(size)
        self.pair_target, self.pair_weight = torch.zeros(size, size), torch.zeros(size, size)
        self.cells = sum(marginal.frequencies.size for marginal in marginals)
        most = max(len(marginal.columns) for marginal in marginals)
        self.has_pairs = most > 1
        variance = max(m.variance for m in marginals if len(m.columns) == most)
        self.noise = variance**0.5
        self.excess_scale = self.cells * variance * (1.0 if self.has_pairs else 8.0)
        for marginal in marginals:
            self._add(marginal)

    def _add(self, marginal: MarginalEstimate) -> None:
        values = torch.from_numpy(marginal.frequencies).float()
        precision = 1.0 / max(marginal.variance, VARIANCE_FLOOR)
        parts = tuple(
            slice(self.starts[column], self.starts[column] + codes)
            for column, codes in zip(marginal.columns, values.shape, strict=True)
        )
        match parts:
            case (part,):
                self.first_target[part], self.first_weight[part] = values, precision
            case (_, _):
                self.pair_target[parts], self.pair_weight[parts] = values, precision
            case other:
                raise ValueError(f"marginal_loss: marginals of 1 or 2 columns, got {len(other)}")

    def excess(self, soft: torch.Tensor) -> torch.Tensor:
        """The loss above the target in squared frequency: 1 for a residual of 1 in the pairs.

        In units of the noise the loss grows with ε. At large ε its gradient would therefore be much
        larger than that of every other term. An optimiser that scales its steps by the size of the
        gradient would then take very small steps for the other terms.
        Without pairs the one-way marginals count eightfold, because nothing else keeps the generator
        near the measured distribution then.
        """
        return torch.relu(self.loss(soft) - self.target_loss) * self.excess_scale

    def loss(self, soft: torch.Tensor) -> torch.Tensor:
        """Scalar loss of soft rows (B, D); differentiable."""
        self._follow(soft.device)
        first = soft.mean(0) - self.first_target
        total = (self.first_weight * first.square()).sum()
        if self.has_pairs:
            pairs = _PairLoss.apply(soft, self.pair_target, self.pair_weight)  # type: ignore[no-untyped-call]
            total = total + pairs
        return total / self.cells

    def _follow(self, device: torch.device) -> None:
        """Move the measured marginals to where the generator trains."""
        if self.first_target.device != device:
            self.first_target = self.first_target.to(device)
            self.first_weight = self.first_weight.to(device)
            self.pair_target = self.pair_target.to(device)
            self.pair_weight = self.pair_weight.to(device)


class _PairLoss(torch.autograd.Function):
    """sum W (PᵀP / B - T)² of soft rows P (B, D); target T and weight W are (D, D).

    With G = W (PᵀP / B - T) its gradient is 2 P (G + Gᵀ) / B: one product, where differentiating both
    factors of PᵀP takes two.
    """

    @staticmethod
    def forward(
        ctx: Any, soft: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        residual = (soft.t() @ soft).div_(len(soft)).sub_(target)
        weighted = weight * residual
        ctx.save_for_backward(soft, weighted)
        return (weighted * residual).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        soft, weighted = ctx.saved_tensors
        return soft @ ((weighted + weighted.t()) * (2.0 * slope / len(soft))), None, None
