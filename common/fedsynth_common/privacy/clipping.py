"""Bounds what one record can add to a gradient sum. Nothing may stand between this and the noise.

Flat clipping (Abadi et al. 2016, arXiv:1607.00133, Algorithm 1): a record's gradient over *all*
parameters together is scaled by min(1, C / norm), then summed.

Formal guarantee: for f = `clip_and_sum` and any row x, ||f(D) - f(D without x)|| <= C (1 + 1e-9) in
exact L2 norm, whatever the entries of the gradients, including NaN, infinity and 3e38. Three
decisions carry it:

1. A row with any non-finite entry is zeroed *before* clipping. Otherwise C / inf = 0 and 0 x inf =
   NaN: crafted weights turn one record into a NaN sum, which reveals membership at any noise level.
2. Norms and sums are float64. Squares of float32 entries reach 1e77, and float32 sums of thousands
   of rows round by more than 1e-5 C depending on who else is in the batch.
3. The result stays float64: add the noise first and round to the parameters' type afterwards.

| input | result |
|---|---|
| B = 0 | zeros of the parameters' shapes |
| zero row | adds zero (no division by zero) |
| row with NaN or ±infinity, or a float64 row whose norm overflows | adds zero |
| clipping norm not positive or not finite, differing B | `PrivacyError` |
"""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from fedsynth_common.privacy import PrivacyError

_ROWS = 64  # rows converted to float64 at a time: stays in the processor's cache


def clip_and_sum(grad_samples: Sequence[Tensor], clipping_norm: float) -> list[Tensor]:
    """Clip each row of the per-sample gradients to joint norm C and sum the rows.

    Args:
        grad_samples: one tensor (B, *parameter shape) for each parameter, row i of all of them
            from record (or record pair, or person) i and from no other record.
        clipping_norm: C, public.

    Returns:
        One float64 tensor of the parameter's shape for each parameter: sensitivity C.
    """
    rows = _rows(grad_samples)
    sums = [g.new_zeros(g.shape[1:].numel(), dtype=torch.float64) for g in grad_samples]
    for start in range(0, rows, _ROWS):
        part = (g[start : start + _ROWS].detach() for g in grad_samples)
        _add_clipped([g.double().reshape(len(g), -1) for g in part], clipping_norm, sums)
    return [s.view(g.shape[1:]) for s, g in zip(sums, grad_samples, strict=True)]


def clipping_factors(norms: Tensor, clipping_norm: float) -> tuple[Tensor, Tensor]:
    """min(1, C / norm) of each unit (n,), zero where the norm is not finite; and where it is.

    NaN and infinity pass through a norm, so that one test speaks for all entries of a gradient.
    """
    if not (math.isfinite(clipping_norm) and clipping_norm > 0):
        raise PrivacyError(f"clipping_norm: {clipping_norm!r} is not a positive number")
    finite = torch.isfinite(norms)
    return torch.where(finite, clipping_norm / norms.clamp(min=clipping_norm), 0.0), finite


def _add_clipped(block: list[Tensor], clipping_norm: float, sums: list[Tensor]) -> None:
    """Add the clipped rows of one block to the sums."""
    norms = torch.stack([torch.linalg.vector_norm(g, dim=1) for g in block]).norm(dim=0)
    factors, finite = clipping_factors(norms, clipping_norm)
    if not bool(finite.all()):
        # 0 x NaN is NaN: such rows must be zeroed, not only weighted by zero
        block = [gradients.masked_fill(~finite.unsqueeze(1), 0.0) for gradients in block]
    for total, gradients in zip(sums, block, strict=True):
        total += factors @ gradients


class FactoredGradients(Protocol):
    """Gradients of n privacy units that are never formed, only measured and summed."""

    def squared_norms(self) -> Tensor:
        """Squared norm of each unit's gradient over all parameters (n,)."""

    def zero(self, rows: Tensor) -> None:
        """Make the gradients of some units (n,), True for them, zero: NaN included."""

    def weighted_sum(self, weights: Tensor) -> list[Tensor]:
        """Sum of weight (n,) times gradient, one tensor for each parameter."""


def clip_and_sum_factored(
    gradients: FactoredGradients, used: Tensor, clipping_norm: float
) -> list[Tensor]:
    """`clip_and_sum` of gradients in factored form (ghost clipping: Li et al. 2021).

    Args:
        gradients: unit i's from the rows of unit i alone.
        used: (n,) True for a unit, False for what only fills up the piece.
        clipping_norm: C, public.
    """
    factors, finite = clipping_factors(gradients.squared_norms().sqrt(), clipping_norm)
    if not bool(finite.all()):
        gradients.zero(~finite)
    return gradients.weighted_sum(factors * used)


def _rows(grad_samples: Sequence[Tensor]) -> int:
    """Return B, the same for all parameters."""
    counts = {len(g) for g in grad_samples}
    if len(counts) != 1:
        raise PrivacyError("grad_samples: expected the same number of rows for every parameter")
    return counts.pop()
