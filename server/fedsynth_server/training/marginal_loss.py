"""The marginal loss: how far a generator's marginals are from the noisy ones, in units of their noise.

For soft rows P (D, B) of the generator, a code in each row of P, the expected pair marginals are the
blocks of P Pᵀ / B (GEM: Liu, Vietri & Wu 2021). The loss is the mean over all measured cells of
(expected - measured)² / variance, so that a generator equal to the real distribution has a loss of
about one, whatever ε is. Its gradient is written out: autograd would find it with twice the products.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from fedsynth_server.aggregation.marginals import VARIANCE_FLOOR, MarginalEstimate
from fedsynth_server.training.three_way_loss import ThreeWayLoss

BAND = 128
"""Codes whose pairs with all later codes are computed at once."""


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
        self,
        marginals: Sequence[MarginalEstimate],
        widths: Sequence[int],
        target_loss: float = 0.0,
        three_way: ThreeWayLoss | None = None,
    ) -> None:
        self.target_loss, self.three_way = target_loss, three_way
        self.starts = [int(s) for s in np.concatenate([[0], np.cumsum(widths)[:-1]])]
        size = int(sum(widths))
        self.first_target, self.first_weight = torch.zeros(size), torch.zeros(size)
        self.pair_target, self.pair_weight = torch.zeros(size, size), torch.zeros(size, size)
        self._pairs = torch.zeros(size, size)
        self.cells = sum(marginal.frequencies.size for marginal in marginals)
        self.cells += three_way.cells if three_way else 0
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
            case (before, after):
                if before.start > after.start:  # only the upper half of the matrix is computed
                    before, after, values = after, before, values.t()
                self.pair_target[before, after] = values
                self.pair_weight[before, after] = precision
            case other:
                raise ValueError(f"marginal_loss: marginals of 1 or 2 columns, got {len(other)}")

    def excess(self, soft: torch.Tensor) -> tuple[float, torch.Tensor | None]:
        """The loss above the target in squared frequency: 1 for a residual of 1 in the pairs.

        In units of the noise the loss grows with ε. At large ε its gradient would therefore be much
        larger than that of every other term. An optimiser that scales its steps by the size of the
        gradient would then take very small steps for the other terms.
        Without pairs the one-way marginals count eightfold, because nothing else keeps the generator
        near the measured distribution then.

        Args:
            soft: soft rows by code (D, B).

        Returns:
            The excess, and its gradient (D, B); none below the target.
        """
        residual = self.residual(soft)
        above = residual.loss - self.target_loss
        if above <= 0:
            return 0.0, None
        return above * self.excess_scale, residual.slopes(soft, self.excess_scale)

    def loss(self, soft: torch.Tensor) -> torch.Tensor:
        """Scalar loss of soft rows (B, D); differentiable."""
        loss: torch.Tensor = _Loss.apply(soft, self.residual)  # type: ignore[no-untyped-call]
        return loss

    def residual(self, soft: torch.Tensor) -> "Residual":
        """What is left of soft rows by code (D, B), weighted by the precision of the marginals."""
        self._follow(soft.device)
        first = soft.mean(1) - self.first_target
        weighted = self.first_weight * first
        total, pairs = (weighted * first).sum(), None
        if self.has_pairs:
            self._products(soft)
            left = self._pairs - self.pair_target
            pairs = self.pair_weight * left
            total = total + (pairs * left).sum()
        more, three_way = self.three_way.residual(soft) if self.three_way else (0.0, None)
        return Residual((float(total) + more) / self.cells, weighted, pairs, three_way, self.cells)

    def _products(self, soft: torch.Tensor) -> None:
        """The upper half of soft softᵀ / B, in bands; below them, where no weight is, stays what was."""
        size = len(soft)
        if self._pairs.device != soft.device:
            self._pairs = soft.new_zeros(size, size)
        scaled = soft / soft.shape[1]
        for start in range(0, size, BAND):
            band = slice(start, min(start + BAND, size))
            torch.mm(soft[band], scaled[start:].t(), out=self._pairs[band, start:])

    def _follow(self, device: torch.device) -> None:
        """Move the measured marginals to where the generator trains."""
        if self.first_target.device != device:
            self.first_target = self.first_target.to(device)
            self.first_weight = self.first_weight.to(device)
            self.pair_target = self.pair_target.to(device)
            self.pair_weight = self.pair_weight.to(device)


@dataclass(frozen=True)
class Residual:
    """The loss, and what its gradient is made of: residual times precision (D,) and (D, D) or None."""

    loss: float
    first: torch.Tensor
    pairs: torch.Tensor | None
    three_way: torch.Tensor | None
    cells: int

    def slopes(self, soft: torch.Tensor, scale: float) -> torch.Tensor:
        """Gradient of scale x loss in soft rows by code (D, B).

        With G = W (P Pᵀ / B - T) that of the pairs is 2 (G + Gᵀ) P / B.
        """
        factor = 2.0 * scale / (self.cells * soft.shape[1])
        first = (self.first * factor).unsqueeze(1)
        if self.pairs is None:
            return first.expand_as(soft).contiguous()
        slopes = torch.addmm(first, self.pairs + self.pairs.t(), soft, alpha=factor)
        if self.three_way is not None:
            slopes.add_(self.three_way, alpha=scale / self.cells)
        return slopes


class _Loss(torch.autograd.Function):
    """The loss of soft rows (B, D), with the gradient of `Residual`."""

    @staticmethod
    def forward(
        ctx: Any, soft: torch.Tensor, of: Callable[[torch.Tensor], Residual]
    ) -> torch.Tensor:
        ctx.residual = of(soft.t())
        ctx.save_for_backward(soft)
        return soft.new_tensor(ctx.residual.loss)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None]:
        (soft,) = ctx.saved_tensors
        return ctx.residual.slopes(soft.t(), float(slope)).t(), None
