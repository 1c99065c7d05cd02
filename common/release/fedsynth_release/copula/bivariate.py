"""Two normal variables with a correlation, cut into codes: the probability of every pair of codes.

The probability below two cuts is Plackett's integral over the correlation (Plackett 1954, "A reduction
formula for normal multivariate integrals"), in the form of Drezner & Wesolowsky 1990 and by a
Gauss-Legendre rule:

    P(X <= h, Y <= k) = Φ(h) Φ(k) + 1 / 2π  ∫ exp(-(h² + k² - 2 h k sin θ) / (2 cos² θ)) dθ,

θ from 0 to the arc sine of the correlation.
"""

import numpy as np
from scipy.special import ndtr, ndtri

from fedsynth_common.array_types import Float64Array

MOST = 0.995
"""Largest correlation, in absolute value; nearer to 1 the rule is not exact to four digits."""
FAR = 8.0
"""A cut beyond so many standard deviations has everything on one side."""
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(48)


def cuts(shares: Float64Array) -> Float64Array:
    """Where a normal variable is cut so that its parts have these shares, (codes + 1,).

    >>> cuts(np.array([0.5, 0.5])).tolist()
    [-8.0, 0.0, 8.0]
    """
    below = np.concatenate([[0.0], np.cumsum(shares)])
    inner = ndtri(np.clip(below / max(float(below[-1]), 1e-300), 0.0, 1.0))
    return np.asarray(np.clip(inner, -FAR, FAR))


def scores(shares: Float64Array) -> Float64Array:
    """The mean of the normal variable in each part, (codes,); a part without a share has its middle."""
    edges = cuts(shares)
    density = np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi)
    held = np.diff(ndtr(edges))
    mean = (density[:-1] - density[1:]) / np.where(held > 1e-9, held, 1.0)
    return np.asarray(np.where(held > 1e-9, mean, (edges[:-1] + edges[1:]) / 2))


def dependence(
    rows: Float64Array, columns: Float64Array, correlations: Float64Array
) -> Float64Array:
    """How far each pair of codes is from independence, (correlations, rows, columns).

    Args:
        rows: shares of the codes of the one column, in their order, which sum to 1.
        columns: those of the other.
        correlations: each from -MOST to MOST.

    >>> dependence(np.array([0.5, 0.5]), np.array([0.5, 0.5]), np.array([0.5])).round(4).tolist()
    [[[0.0833, -0.0833], [-0.0833, 0.0833]]]
    """
    half = np.arcsin(np.clip(correlations, -MOST, MOST)) / 2
    angle = half[:, None] * (_POINTS + 1)
    sine = np.sin(angle)[:, :, None, None]
    first, second = cuts(rows)[:, None], cuts(columns)
    power = (first**2 + second**2 - 2 * first * second * sine) / (1 - sine**2)
    below = np.einsum("kp,kprc->krc", half[:, None] * _WEIGHTS, np.exp(-power / 2)) / (2 * np.pi)
    return np.asarray(np.diff(np.diff(below, axis=1), axis=2))
