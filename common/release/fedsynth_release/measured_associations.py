"""How strongly two columns are associated, as far as a measured pair of columns shows it.

A report without real records says with these figures which relations the generator keeps. They are
the figures of `evaluation.association` (Pearson's r, Cramér's V, the correlation ratio η), computed
from codes: a code of a number stands for its mean value, and the spread inside the code counts too.

Three things hide a part of a relation, and each is known:

* the noise that is left in the pair (the posterior variance of each cell);
* what removing the noise has removed of the relation itself. The raw noise alone would leave
  τ² v / (τ² + v) of a figure with noise variance v, where τ says how strong relations are: `TYPICAL`,
  unless the pairs of a column that noise does not hide say otherwise. Half of it is used for two
  numbers and a fifth otherwise, because the removal learns from all pairs of a column. No error is
  larger than τ;
* the cells: a relation inside a bin is lost. Where a relation is a straight line, a number keeps the
  share of its variance that lies between its bins, for both numbers. Where it is not, it keeps all.
  The square root of the share stands between the two.

The weights were chosen on six open tables at three ε (simulations/RESULTS.md, "Lights").
"""

import math
from dataclasses import dataclass

import numpy as np

from fedsynth_common.array_types import BoolArray, Float64Array, UInt16Array
from fedsynth_common.schema import ModelledColumn, domain_of

TYPICAL = 0.2
"""Root mean square of the associations of a table; six open tables have .16 to .26."""
LEARNED_NUMBERS, LEARNED_OTHERS = 0.5, 0.2
"""What removing the noise hides of a figure, as a share of what the raw noise alone would hide."""
DOUBT = 3.0
"""The typical strength of relations counts as much as so many pairs without noise."""
LEAST_SHARE = 1e-5
"""Least product of two shares by which the noise of a cell is divided."""


@dataclass(frozen=True)
class CodeValues:
    """What the codes of a column stand for.

    Attributes:
        number: whether the column has values in an order.
        held: the codes that are not *missing*, (codes,).
        mean, variance: of the values in each code, in ticks, (codes,); 0 for categories.
        cells: number of fine cells that are not *missing*.
    """

    number: bool
    held: BoolArray
    mean: Float64Array
    variance: Float64Array
    cells: int


@dataclass(frozen=True)
class Association:
    """The association of two columns.

    Attributes:
        measured: what it is likely to be among the records; signed for two numbers.
        posterior: variance of the noise that is left in it.
        noise: variance that it would have if no noise had been removed.
        generator: what it is in the generator's records.
    """

    measured: float
    posterior: float
    noise: float
    generator: float


def code_values(column: ModelledColumn, view: UInt16Array, shape: Float64Array) -> CodeValues:
    """The values of the codes of one column, from its view and shape (`decoding.Codebook`)."""
    domain = domain_of(column)
    codes = int(view.max()) + 1
    held = np.ones(codes, dtype=bool)
    if domain.missing is not None:
        held[view[domain.missing]] = False
    mean = variance = np.zeros(codes)
    if domain.ordered:
        value, spread = np.zeros(domain.width), np.zeros(domain.width)
        edges = domain.ticks.astype(np.float64)
        leaves = slice(domain.atoms, domain.atoms + domain.leaves)
        value[: domain.atoms] = domain.atom_ticks
        value[leaves] = (edges[:-1] + edges[1:] - 1) / 2
        spread[leaves] = (np.diff(edges) ** 2 - 1) / 12
        mean = np.asarray(
            np.bincount(view, weights=shape * value, minlength=codes), dtype=np.float64
        )
        square = np.bincount(view, weights=shape * (value - mean[view]) ** 2, minlength=codes)
        spreads = np.bincount(view, weights=shape * spread, minlength=codes)
        variance = np.asarray(square + spreads, dtype=np.float64)
    cells = domain.width - (domain.missing is not None)
    return CodeValues(domain.ordered, held, mean, variance, cells)


def measured_association(
    measured: Float64Array,
    unknown: Float64Array,
    noise: float,
    generator: Float64Array,
    sides: tuple[CodeValues, CodeValues],
) -> Association:
    """The association of two columns from their joint shares.

    Args:
        measured: shares of the pairs of codes without most of their noise (codes, codes).
        unknown: variance of what is unknown of each, (codes, codes).
        noise: variance of the noise of one share before its removal.
        generator: shares of the generator, (codes, codes).
        sides: what the codes of the two axes stand for.
    """
    a, b = sides
    held = np.ix_(a.held, b.held)
    shares, weight = _normalised(measured[held])
    made, _ = _normalised(generator[held])
    if weight <= 0 or min(shares.shape) < 2:
        return Association(0.0, 0.0, 1.0 if weight <= 0 else 0.0, 0.0)
    left = unknown[held] / weight**2
    raw = np.full_like(left, noise / weight**2)
    figure = _pearson if a.number and b.number else _mixed if a.number or b.number else _cramer
    value, kept, (posterior, alone) = figure(shares, (left, raw), a, b)
    of_generator, _, _ = figure(made, (left, raw), a, b)
    if figure is _cramer:  # a code of several rare categories is drawn as its categories
        codes = min(int(a.held.sum()), int(b.held.sum()))
        of_generator *= math.sqrt((codes - 1) / max(1, min(a.cells, b.cells) - 1))
    likely, of_generator = np.clip([value / math.sqrt(kept), of_generator], -1.0, 1.0).tolist()
    return Association(likely, posterior / kept**2, alone / kept**2, of_generator)


def hidden_errors(
    measured: Float64Array,
    posterior: Float64Array,
    noise: Float64Array,
    numbers: BoolArray,
    known: BoolArray,
) -> Float64Array:
    """Standard deviation of what is unknown of each association, (columns, columns).

    Args:
        measured: association of each pair (`Association`), (columns, columns).
        posterior: variance of the noise left in it, (columns, columns).
        noise: its variance if no noise had been removed, (columns, columns).
        numbers: which columns have values in an order, (columns,).
        known: the pairs that were measured; not the diagonal, (columns, columns).
    """
    weight = np.where(known, (TYPICAL**2 / (TYPICAL**2 + noise)) ** 2, 0.0)
    squares, usual = weight * measured**2, np.array(TYPICAL**2)
    whole = _strength(weight.sum(keepdims=True), squares.sum(keepdims=True), usual)[0]
    own = _strength(weight.sum(axis=1), squares.sum(axis=1), whole)
    strength = np.sqrt(np.outer(own, own))
    learned = np.where(np.outer(numbers, numbers), LEARNED_NUMBERS, LEARNED_OTHERS)
    removed = learned * strength * noise / (strength + noise)
    return np.asarray(np.sqrt(np.minimum(np.maximum(posterior, removed), strength)) * known)


def _strength(weights: Float64Array, squares: Float64Array, usual: Float64Array) -> Float64Array:
    """Mean squared association, drawn towards the usual one where few pairs tell."""
    return np.asarray((DOUBT * usual + squares) / (DOUBT + weights))


def _normalised(shares: Float64Array) -> tuple[Float64Array, float]:
    positive = np.maximum(shares, 0.0)
    total = float(positive.sum())
    return (positive / total if total > 0 else positive), total


Noises = tuple[Float64Array, Float64Array]
_Figure = tuple[float, float, tuple[float, float]]
"""An association, the share of it that cells keep, and its variance by each of two noises."""
_NOTHING: _Figure = (0.0, 1.0, (0.0, 0.0))


def _standard(shares: Float64Array, values: CodeValues) -> tuple[Float64Array, float, float]:
    """Deviations of the codes' means, their variance, and the whole variance."""
    deviation = values.mean[values.held] - shares @ values.mean[values.held]
    between = float(shares @ deviation**2)
    return deviation, between, between + float(shares @ values.variance[values.held])


def _pearson(shares: Float64Array, noises: Noises, a: CodeValues, b: CodeValues) -> _Figure:
    x, between_x, all_x = _standard(shares.sum(axis=1), a)
    y, between_y, all_y = _standard(shares.sum(axis=0), b)
    if between_x <= 0 or between_y <= 0:
        return _NOTHING
    scale = math.sqrt(all_x * all_y)
    one, other = (float(x**2 @ noise @ y**2) / scale**2 for noise in noises)
    return float(x @ shares @ y) / scale, between_x / all_x * between_y / all_y, (one, other)


def _mixed(shares: Float64Array, noises: Noises, a: CodeValues, b: CodeValues) -> _Figure:
    if a.number:
        turned = noises[0].T, noises[1].T
        return _mixed(shares.T, turned, b, a)
    y, between, whole = _standard(shares.sum(axis=0), b)
    if between <= 0:
        return _NOTHING
    groups = shares.sum(axis=1)
    sums = (shares @ y) ** 2 / np.maximum(groups, LEAST_SHARE)
    one, other = (
        float(((noise @ y**2) / np.maximum(groups, 5e-4)).sum()) / whole for noise in noises
    )
    return math.sqrt(min(1.0, float(sums.sum()) / whole)), between / whole, (one, other)


def _cramer(shares: Float64Array, noises: Noises, a: CodeValues, b: CodeValues) -> _Figure:
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    expected = np.maximum(np.outer(rows, columns), LEAST_SHARE)
    degrees = min(np.count_nonzero(rows > 1e-6), np.count_nonzero(columns > 1e-6)) - 1
    if degrees < 1:
        return _NOTHING
    square = float(((shares - np.outer(rows, columns)) ** 2 / expected).sum()) / degrees
    one, other = (float((noise / expected).sum()) / degrees for noise in noises)
    return math.sqrt(min(1.0, square)), 1.0, (one, other)
