"""How far rounding can move the gradient of a row, from the weights alone.

Float64 sums round in an order that depends on how many rows there are, on threads and on the library,
so a row's computed gradient may depend on who else is in the batch. `row_error` bounds its distance
from the exact gradient, whatever the row, the batch and the order; `PRIVACY.md` derives it ("Rounding").
The vault refuses weights beyond `ROW_ERROR`, and `slack` is what the noise must then be larger by.

Standard model of floating-point arithmetic (Higham 2002, "Accuracy and Stability of Numerical
Algorithms", 2nd ed., chapters 2 and 3): a sum or dot product of n terms in any order errs by at most
γ(n) = n u / (1 - n u) times the sum of their magnitudes, u = 2^-53.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Layer = tuple[Floats, Floats]
"""Weight (out, in) and bias (out,)."""

UNIT = 2.0**-53
FUNCTION = 8 * UNIT
"""Error of one tanh (of at most 1), and relative error of one exponential: 4 ulp."""
ROW_ERROR = 2.0**-34
"""Largest accepted error of a row's gradient, in L2 (5.8e-11; clipping norms are near 1)."""
FIRST_LIMIT = 2.0**14
"""Largest weight of the first layer: up to it, sums of its rows on a grid of 2^-24 are exact."""
_CROWD = 8
"""Batches up to so many times the expected one are covered in full."""


def row_error(layers: Sequence[Layer], columns: int, masked: int, widest: int) -> float:
    """Bound of the L2 distance between computed and exact gradient of a row; infinite if unknown.

    Args:
        layers: of the discriminator, in order: first, hidden ones, heads.
        columns: d, columns of a row; a row of the first layer is added for each.
        masked: M, columns predicted of a row; its loss is their mean.
        widest: k, codes of the widest column.
    """
    first, *between, heads = layers
    largest = max(float(np.abs(part).max(initial=0.0)) for part in first)
    if not largest <= FIRST_LIMIT or columns + 1 > 2.0**15:
        return math.inf
    feature = FUNCTION * math.sqrt(len(first[1]))  # the pre-activations are exact
    features, lengths = [feature], [math.sqrt(len(first[1]))]
    for weight, bias in between:
        length = float(np.linalg.norm(weight))
        linear = gamma(weight.shape[1] + 1) * (length * lengths[-1] + float(np.linalg.norm(bias)))
        lengths.append(math.sqrt(len(bias)))
        features.append(length * features[-1] + linear + FUNCTION * lengths[-1])
    reach = float(np.linalg.norm(heads[0], axis=1).max())
    fan_in, last = heads[0].shape[1], lengths[-1]
    logit = reach * (features[-1] + (gamma(fan_in) + UNIT) * last)
    logit += UNIT * float(np.abs(heads[1]).max())
    error = logit + (2 * widest + 25) * UNIT
    total = error * math.sqrt(fan_in + 1) + math.sqrt(2) * features[-1]
    size, back = 2 * reach, reach * error + 2 * gamma(widest) * reach
    for number in range(len(features) - 1, -1, -1):
        slope = back + size * (2 * features[number] + 5 * UNIT)
        if number == 0:
            return 1.01 * (total + math.sqrt(columns + 1) * (slope + 2 * gamma(masked + 1) * size))
        weight = between[number - 1][0]
        length, before = float(np.linalg.norm(weight)), lengths[number - 1]
        total += slope * (before + 1) + size * (features[number - 1] + gamma(masked) * (before + 1))
        back = length * (slope + gamma(len(weight)) * size)
        size *= length
    raise AssertionError("unreachable: the first layer returns")


def slack(expected_batch: int, rows_per_unit: int, clipping_norm: float) -> float:
    """What rounding may add to the sensitivity of a step, as a share of the clipping norm.

    A batch of B units of k rows differs from the exact sum by at most B (k ROW_ERROR + γ C), and two
    neighbouring batches from each other by C and twice that. Covered up to B = 8 expected batches.

    >>> slack(500, 1, 1.0)
    1e-06
    """
    units = _CROWD * expected_batch + 1
    rows = rows_per_unit * ROW_ERROR / clipping_norm + gamma(units * rows_per_unit + 2048)
    return max(1e-6, 2 * units * rows)


def gamma(terms: int) -> float:
    """γ(n): relative error of a sum or dot product of n terms in any order (Higham, Lemma 3.1)."""
    return terms * UNIT / (1 - terms * UNIT)
