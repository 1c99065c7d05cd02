"""Sums of clipped gradients as whole numbers, with discrete noise that several sites make together.

A secure sum adds whole numbers. A site's clipped sum G (`clipping.clip_and_sum`) is therefore written in
units, `per_norm` of them to the clipping norm C, and rounded: v = round(G per_norm / C). If one privacy
unit moves G by at most C (1 + s) in L2 norm (s is `rounding.slack`), then v moves by at most

    Δ = per_norm (1 + s) + 1.01 sqrt(p)

for p parameters, since each coordinate is rounded by at most 1/2 on both sides. (The hundredth covers
the product G per_norm / C, which float64 rounds: by at most 2^-8 while |v| <= `LARGEST`.) A step of
noise multiplier z needs noise of standard deviation z Δ in every coordinate of the sum over the sites.
Each of n shares has the variance

    ceil((z² Δ² + 8 n) / n).

**Why discrete noise costs what DP-SGD costs.** Let r² = 8. A discrete Gaussian of variance t² + r² has,
within a factor of 1 ± 1e-60 in each coordinate, the distribution of a Gaussian of variance t² that is
rounded at random, by a discrete Gaussian of variance r² around it (Peikert 2010, "An Efficient and
Parallel Gaussian Sampler for Lattices", CRYPTO, Theorem 3.1: r is far above the smoothing parameter of
the whole numbers). Noise of variance z² Δ² + 8 is thus post-processing of Gaussian noise z Δ, whichever
vector is noised, and so is a mechanism that first draws a Poisson sample: the dominating pair of
`DpSgdEvent` holds. It holds for one share alone at z / sqrt(n), too, because the 8 is in every share.
That the sum of n shares is no exact discrete Gaussian changes less than the last digit (`secure_noise`:
shares have a variance of millions).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.events import LEAST_SHARE
from fedsynth_common.privacy.noise import MAX_SCALE, noisy_counts
from fedsynth_common.privacy.randomness import Randomness

FINEST = 1 << 16
"""Units to the clipping norm, at most."""
LARGEST = 1 << 44
"""Units that a coordinate of one site's sum is bounded to, in absolute value."""
_ROUNDED = 1.01
_NOISED = 1 << 20  # most numbers that get their noise at a time: bounds memory, nothing else


@dataclass(frozen=True)
class GradientUnits:
    """How sites write their sums of gradients.

    Attributes:
        per_norm: whole units to the clipping norm C.
        share_variance: of the noise that each site adds to every coordinate, in squared units.
    """

    per_norm: int
    share_variance: int


def gradient_units(
    noise_multiplier: float, shares: int, parameters: int, slack: float
) -> GradientUnits:
    """The finest units for which one share of the noise can be drawn; from public numbers alone.

    Args:
        noise_multiplier: z, of all shares together.
        shares: n, of how many sites the noise is made.
        parameters: p.
        slack: s, what rounding adds to the sensitivity as a share of C.

    Raises:
        PrivacyError: for so much noise that not one unit to C is left.

    >>> gradient_units(2.0, 4, 10_000, 1e-6).per_norm
    65536
    """
    rounded = _ROUNDED * math.sqrt(parameters)
    reach = 0.99 * MAX_SCALE * math.sqrt(shares) / noise_multiplier
    per_norm = min(FINEST, math.floor((reach - rounded) / (1 + slack)))
    if per_norm < 1:
        raise PrivacyError(f"noise_multiplier: {noise_multiplier!r} is too much to be drawn")
    moved = per_norm * (1 + slack) + rounded
    variance = (noise_multiplier * moved) ** 2 * (1 + 1e-9) + LEAST_SHARE * shares
    return GradientUnits(per_norm, math.ceil(variance / shares))


def noisy_units(
    total: npt.NDArray[np.float64],
    clipping_norm: float,
    units: GradientUnits,
    most: int,
    randomness: Randomness,
) -> npt.NDArray[np.int64]:
    """A site's clipped sum (p,) in whole units, with its share of the noise.

    To bound coordinates one by one, here to `most` units, brings no two sums further apart.

    Raises:
        PrivacyError: a coordinate is not finite.
    """
    if not np.isfinite(total).all():
        raise PrivacyError("total: not finite; clipped gradients always are")
    bound = min(most, LARGEST)
    whole = np.rint(np.clip(total * (units.per_norm / clipping_norm), -bound, bound))
    counts = whole.astype(np.int64)
    scale = math.sqrt(units.share_variance)
    for start in range(0, counts.size, _NOISED):
        part = counts[start : start + _NOISED]
        part[:] = noisy_counts(part, scale, randomness)
    return counts
