"""The anchor: how far a generator's marginals are from the noisy ones, in units of their noise.

For soft rows P (B, D) of the generator the expected pair marginals are the blocks of PᵀP / B (GEM:
Liu, Vietri & Wu 2021). The loss is the mean over all measured cells of (expected - measured)² /
variance, so that a generator equal to the real distribution has a loss of about one, whatever ε is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from fedsynth_server.marginals import Marginal

VARIANCE_FLOOR = 1e-4**2
"""Frequencies are not fitted to better than this: a sample of 10,000 rows would not show it."""


class Anchor:
    """Mean squared residual of all measured cells, in units of the noise variance.

    Attributes:
        goal: the loss that is good enough: below it, what is left to fit is noise. A fit ends there, and
            in the adversarial rounds the anchor holds a generator no closer.
        order: 2 with pairs, 1 with one-way marginals alone.
        noise: standard deviation of the noise in the marginals of the highest order, a frequency.
        softening: softened loss per loss above the goal.
    """

    def __init__(
        self, marginals: Sequence[Marginal], widths: Sequence[int], goal: float = 0.0
    ) -> None:
        self.goal = goal
        self.starts = [int(s) for s in np.concatenate([[0], np.cumsum(widths)[:-1]])]
        size = int(sum(widths))
        self.first_target, self.first_weight = torch.zeros(size), torch.zeros(size)
        self.pair_target, self.pair_weight = torch.zeros(size, size), torch.zeros(size, size)
        self.cells = sum(marginal.frequencies.size for marginal in marginals)
        self.order = max(len(marginal.columns) for marginal in marginals)
        variance = max(m.variance for m in marginals if len(m.columns) == self.order)
        self.noise = variance**0.5
        self.softening = self.cells * variance * (8.0 if self.order == 1 else 1.0)
        for marginal in marginals:
            self._add(marginal)

    def _add(self, marginal: Marginal) -> None:
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
                raise ValueError(f"anchor: marginals of 1 or 2 columns, got {len(other)}")

    def softened(self, soft: torch.Tensor) -> torch.Tensor:
        """The loss above the goal in squared frequency: 1 for a residual of 1 in the highest order.

        In units of the noise the anchor is stiff at large ε: its gradient drowns every other term and
        an optimiser that scales by the gradient's size stands still. One-way margins alone count
        eightfold, as they are all that holds a generator then.
        """
        return torch.relu(self.loss(soft) - self.goal) * self.softening

    def loss(self, soft: torch.Tensor) -> torch.Tensor:
        """Scalar loss of soft rows (B, D); differentiable."""
        self._follow(soft.device)
        first = soft.mean(0) - self.first_target
        total = (self.first_weight * first.square()).sum()
        if self.order > 1:
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
