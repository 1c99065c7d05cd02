"""Measures how far the marginals of a synthetic table are from those of a real table.

The figure is the total variation distance (TVD), which is half the L1 distance of two
distributions. It is averaged over all sets of `ways` columns. The literature on private marginals
calls this the workload error (McKenna et al. 2021). It is 0 for equal tables and 1 for tables
without a common value. Single columns show whether the values are right, pairs show whether two
columns are related as in the real table, and triples show relations that no pair shows. Two
references help to read the figure: `resample_tvd`, which is what a second real sample of the same
size would score, and the table of `references.independent`, in which columns are not related at
all.

The inputs are the integer codes of `Discretiser.transform`. Every row has the same weight. The two
tables may have different lengths.
"""

import itertools
import math

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.errors import InputError

# if a contingency table has more cells than this, only the cells that occur are counted
_DENSE_CELLS = 1 << 20


def column_sets(
    columns: int, ways: int, max_marginals: int = 300, seed: int = 0
) -> list[tuple[int, ...]]:
    """All sets of `ways` columns, or a fixed random subset if there are too many of three or more.

    >>> len(column_sets(15, 2)), len(column_sets(15, 3))
    (105, 300)
    """
    if ways < 1:
        raise InputError(f"evaluation: ways must be at least 1, got {ways}")
    total = math.comb(columns, ways)
    everything = itertools.combinations(range(columns), ways)
    if ways <= 2 or total <= max_marginals:
        return list(everything)
    chosen = np.random.default_rng(seed).choice(total, size=max_marginals, replace=False)
    wanted = set(chosen.tolist())
    return [one for index, one in enumerate(everything) if index in wanted]


def tvd(
    real: Int64Array, synthetic: Int64Array, ways: int = 2, max_marginals: int = 300, seed: int = 0
) -> float:
    """The mean total variation distance over the sets of `ways` columns.

    Args:
        real: Codes of the real rows (n x d), all >= 0.
        synthetic: Codes of the synthetic rows (m x d) from the same `Discretiser`.
        ways: The number of columns in a set: 1, 2, 3, ...
        max_marginals: The most sets that are used if `ways` > 2. All pairs are always used.
        seed: Chooses the subset of the sets. It is public and fixed, so that the figures of two
            runs can be compared.

    Returns:
        1/|sets| * sum over sets of 1/2 sum over cells |p_real - p_synthetic|; 0 if the table has
        fewer than `ways` columns.

    >>> a = np.array([[0, 0], [1, 1]]); b = np.array([[0, 1], [1, 0]])
    >>> tvd(a, b, ways=1), tvd(a, b, ways=2)
    (0.0, 1.0)
    """
    _check(real, synthetic)
    sets = column_sets(real.shape[1], ways, max_marginals, seed)
    distances = [_distance(*_frequencies(real, synthetic, chosen)) for chosen in sets]
    return float(np.mean(distances)) if distances else 0.0


def column_tvd(real: Int64Array, synthetic: Int64Array) -> Float64Array:
    """The total variation distance of every single column, (d,)."""
    _check(real, synthetic)
    columns = range(real.shape[1])
    return np.array([_distance(*_frequencies(real, synthetic, (j,))) for j in columns])


def pair_tvd(real: Int64Array, synthetic: Int64Array) -> Float64Array:
    """The total variation distance of every pair, (d x d), with `column_tvd` on the diagonal."""
    matrix = np.diag(column_tvd(real, synthetic))
    for i, j in column_sets(real.shape[1], 2):
        matrix[i, j] = matrix[j, i] = _distance(*_frequencies(real, synthetic, (i, j)))
    return matrix


def resample_tvd(
    real: Int64Array, size: int, ways: int = 2, max_marginals: int = 300, seed: int = 0
) -> float:
    """The expected `tvd` of another real sample of `size` rows, which no synthetic table can beat.

    Uses the normal approximation E|p_1 - p_2| = sqrt(2/pi * p(1-p) * (1/n + 1/size)) for each cell,
    with the observed p in place of the true one.
    """
    _check(real, real)
    spread = 2 / math.pi * (1 / len(real) + 1 / size)
    sets = column_sets(real.shape[1], ways, max_marginals, seed)
    expected = [_expected_distance(real, chosen, spread) for chosen in sets]
    return float(np.mean(expected)) if expected else 0.0


def _expected_distance(real: Int64Array, chosen: tuple[int, ...], spread: float) -> float:
    p, _ = _frequencies(real, real, chosen)
    return float(0.5 * np.sqrt(spread * p * (1 - p)).sum())


def _check(real: Int64Array, synthetic: Int64Array) -> None:
    if real.shape[1] != synthetic.shape[1]:
        raise InputError(
            f"evaluation: the real table has {real.shape[1]} columns, the synthetic "
            f"{synthetic.shape[1]}; discretise both with the same schema"
        )
    if not len(real) or not len(synthetic):
        raise InputError("evaluation: a table without rows has no marginals")


def _frequencies(
    real: Int64Array, synthetic: Int64Array, chosen: tuple[int, ...]
) -> tuple[Float64Array, Float64Array]:
    joint = np.zeros(len(real) + len(synthetic), dtype=np.int64)
    cells = 1
    for j in chosen:
        column = np.concatenate([real[:, j], synthetic[:, j]])
        width = int(column.max()) + 1
        joint = joint * width + column
        cells *= width
    if cells > _DENSE_CELLS:
        occurring, joint = np.unique(joint, return_inverse=True)
        cells = len(occurring)
    return (
        np.bincount(joint[: len(real)], minlength=cells) / len(real),
        np.bincount(joint[len(real) :], minlength=cells) / len(synthetic),
    )


def _distance(p: Float64Array, q: Float64Array) -> float:
    return float(0.5 * np.abs(p - q).sum())
