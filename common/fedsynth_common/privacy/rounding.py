"""How far rounding can move the gradient of a row, from the weights alone.

Float64 sums round in an order that depends on how many rows there are, on threads and on the library,
so a row's computed gradient may depend on who else is in the batch. `row_error` bounds its distance
from the exact gradient, whatever the row, the batch and the order; `PRIVACY.md` derives it ("Rounding").
The vault refuses weights beyond `row_limit`, and `slack` is what the noise must then be larger by.

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
FIRST_LIMIT = 2.0**14
"""Largest weight of the first layer: up to it, sums of its rows on a grid of 2^-24 are exact."""
MOST_COLUMNS = 2**15 - 1
"""Beyond it such sums have more than 53 bits."""
PIECE = 1024
"""Most rows that are weighted and added at once, but for those of one unit."""
CROWD = 4
"""Batches of up to so many expected ones are covered in full by `slack`."""


def row_error(
    layers: Sequence[Layer], *, columns: int, masked: int, widest: int, rows: int
) -> float:
    """Bound of the L2 distance between computed and exact gradient of a row; infinite if unknown.

    Args:
        layers: of the discriminator, in order: first, hidden ones, heads.
        columns: d, columns of a row; a row of the first layer is added for each.
        masked: M, columns predicted of a row; its loss is their mean.
        widest: k, codes of the widest column.
        rows: most rows of a unit, whose gradients are added before they are clipped.
    """
    first, *between, heads = layers
    exact = all(bool((np.abs(part) <= FIRST_LIMIT).all()) for part in first)  # false for NaN
    if not exact or columns > MOST_COLUMNS:
        return math.inf
    lengths, features = _features(layers[:-1])
    fan_in, reach = heads[0].shape[1], float(np.linalg.norm(heads[0], axis=1).max())
    logit = reach * (features[-1] + (gamma(fan_in) + UNIT) * lengths[-1])
    error = logit + UNIT * float(np.abs(heads[1]).max()) + (2 * widest + 25) * UNIT
    total = error * math.sqrt(fan_in + 1) + math.sqrt(2) * features[-1]
    norm = math.sqrt(2) * math.sqrt(fan_in + 1)
    size, back = 2 * reach, reach * error + 2 * gamma(widest) * reach
    for number in range(len(between), 0, -1):
        slope, before = back + size * (2 * features[number] + 5 * UNIT), lengths[number - 1] + 1
        total += slope * before + size * (features[number - 1] + gamma(masked) * before)
        norm += size * before
        weight = between[number - 1][0]
        length = float(np.linalg.norm(weight))
        size, back = size * length, length * (slope + gamma(len(weight)) * size)
    slope = back + size * (2 * features[0] + 5 * UNIT)
    total += math.sqrt(columns + 1) * (slope + 2 * gamma(masked + 1) * size)
    norm += math.sqrt(columns + 1) * 2 * size
    return 1.01 * (total + gamma(rows + PIECE) * norm)


def row_limit(hidden: Sequence[int]) -> float:
    """Largest accepted `row_error`: what training reaches stays below a third of it.

    >>> row_limit([64]) == 2.0**-33
    True
    """
    return 2.0**-33 * max(1.0, sum(hidden) / 64) ** 2


def _features(layers: Sequence[Layer]) -> tuple[list[float], list[float]]:
    """Largest length of each layer's features and bound of their error; the first adds up exactly."""
    (_, bias), *between = layers
    lengths = [math.sqrt(len(bias))]
    errors = [FUNCTION * lengths[0]]
    for weight, bias in between:
        norm = float(np.linalg.norm(weight))
        linear = norm * lengths[-1] + float(np.linalg.norm(bias))
        lengths.append(math.sqrt(len(bias)))
        rounded = gamma(weight.shape[1] + 1) * linear + FUNCTION * lengths[-1]
        errors.append(norm * errors[-1] + rounded)
    return lengths, errors


def slack(
    hidden: Sequence[int], *, expected_batch: int, rows: int, parameters: int, clipping_norm: float
) -> float:
    """What rounding may add to the sensitivity of a step, as a share of the clipping norm C.

    The computed sum of B units of up to `rows` rows is at most B (rows row_limit + γ C) from the exact
    one, where γ counts what is added up in a norm and in the sum. Two neighbouring batches are
    therefore at most C and twice that apart. Covered in full up to B = 4 times the expected batch.

    >>> slack([64], expected_batch=500, rows=1, parameters=40_000, clipping_norm=1.0)
    1e-06
    """
    units = CROWD * expected_batch + 1
    unit = rows * row_limit(hidden) / clipping_norm + gamma(units * rows + parameters + 100)
    return max(1e-6, 2 * units * unit)


def gamma(terms: int) -> float:
    """γ(n): relative error of a sum or dot product of n terms in any order (Higham, Lemma 3.1)."""
    return terms * UNIT / (1 - terms * UNIT)
