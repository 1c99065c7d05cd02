"""Bounds what one record can add to a gradient sum. Nothing may stand between this and the noise.

Flat clipping (Abadi et al. 2016, arXiv:1607.00133, Algorithm 1): a record's gradient over *all*
parameters together is scaled by min(1, C / norm), then summed. Gradients come in a form that is only
measured and summed (ghost clipping: Li et al. 2021, arXiv:2110.05679); how is `networks.gradients`.

Formal guarantee: for f = `clip_and_sum` and any unit x, ||f(D) - f(D without x)|| <= C (1 + 1e-9) in
exact L2 norm for gradients in float64, whatever their entries, including NaN and infinity, as far as
norms and sums of a gradient do not depend on others; how far they may, `rounding` bounds. Two decisions
carry it:

1. A unit with any non-finite entry is zeroed *before* it is weighted. Otherwise C / inf = 0 and
   0 x inf = NaN: crafted weights turn one record into a NaN sum, which reveals membership at any noise.
2. The result stays float64: add the noise first and round to the parameters' type afterwards.

| input | result |
|---|---|
| nobody | zeros of the parameters' shapes |
| zero gradient | adds zero (no division by zero) |
| gradient with NaN or ±infinity, or whose squared norm overflows | adds zero |
| clipping norm not positive or not finite | `PrivacyError` |
"""

import math
from typing import Protocol

import torch
from torch import Tensor

from fedsynth_common.privacy import PrivacyError


class Gradients(Protocol):
    """Gradients of n units, each from the rows of that unit alone."""

    def squared_norms(self) -> Tensor:
        """Squared norm of each unit's gradient over all parameters (n,)."""

    def zero(self, units: Tensor) -> None:
        """Make the gradients of some units (n,), True for them, zero: NaN included."""

    def weighted_sum(self, weights: Tensor) -> list[Tensor]:
        """Sum of weight (n,) times gradient, one tensor for each parameter."""


def clip_and_sum(gradients: Gradients, used: Tensor, clipping_norm: float) -> list[Tensor]:
    """Clip each unit's gradient to joint norm C and sum them.

    Args:
        gradients: unit i's from record (or person) i and from no other.
        used: (n,) True for a unit, False for what only fills up a piece.
        clipping_norm: C, public.

    Returns:
        One tensor of the parameter's shape for each parameter: sensitivity C.
    """
    if not (math.isfinite(clipping_norm) and clipping_norm > 0):
        raise PrivacyError(f"clipping_norm: {clipping_norm!r} is not a positive number")
    norms = gradients.squared_norms().sqrt()
    finite = torch.isfinite(norms)  # NaN and infinity pass through a norm: one test for all entries
    if not bool(finite.all()):
        # 0 x NaN is NaN: such units must be zeroed, not only weighted by zero
        gradients.zero(~finite)
    factors = torch.where(finite, clipping_norm / norms.clamp(min=clipping_norm), 0.0)
    return gradients.weighted_sum(factors * used)
