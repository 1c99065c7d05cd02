"""The pairs of columns that go together most in the real records, cell by cell.

Associations say how strongly two columns go together, and these tables show how. Numbers are cut at
the deciles of the real rows (`discretise`). Of categories the most frequent have a row or a column of
their own, and the rest has one together.
"""

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.schema import ModelledColumn
from fedsynth_release.code_labels import edge_texts
from fedsynth_release.evaluation.discretise import Discretiser, named_levels
from fedsynth_release.evaluation.results import JointShares

PAIRS, LEVELS = 3, 12
"""How many pairs are shown, and how many levels of a column, at most."""


def joint_shares(
    levels: Discretiser, real: Int64Array, synthetic: Int64Array, association: Float64Array
) -> tuple[JointShares, ...]:
    """The tables of the strongest pairs.

    Args:
        levels: of all columns.
        real: codes of the real rows (rows, columns).
        synthetic: codes of the synthetic rows.
        association: of the real rows, (columns, columns).
    """
    strength = np.tril(np.abs(association), -1)
    strongest = np.argsort(-strength, axis=None, kind="stable")[:PAIRS]
    found = []
    for a, b in zip(*np.unravel_index(strongest, strength.shape), strict=True):
        if strength[a, b] > 0:
            found.append(_of_pair(levels, real[:, [a, b]], synthetic[:, [a, b]], int(a), int(b)))
    return tuple(found)


def _of_pair(
    levels: Discretiser, real: Int64Array, synthetic: Int64Array, a: int, b: int
) -> JointShares:
    groups = [_groups(levels, column, real[:, k]) for k, column in enumerate((a, b))]
    shape = tuple(len(labels) for labels, _ in groups)
    tables = []
    for codes in (real, synthetic):
        cells = [group[codes[:, k]] for k, (_, group) in enumerate(groups)]
        counts = np.bincount(np.ravel_multi_index(cells, shape), minlength=int(np.prod(shape)))
        tables.append((counts / max(1, len(codes))).reshape(shape))
    both = tables[0] + tables[1]
    down = len(groups[0][0]) - int(not both[-1].any())  # "all others" only where there are some
    across = len(groups[1][0]) - int(not both[:, -1].any())
    return JointShares(
        columns=(levels.names[a], levels.names[b]),
        labels=(groups[0][0][:down], groups[1][0][:across]),
        real=tuple(map(tuple, tables[0][:down, :across].tolist())),
        synthetic=tuple(map(tuple, tables[1][:down, :across].tolist())),
    )


def _groups(
    levels: Discretiser, column: int, codes: Int64Array
) -> tuple[tuple[str, ...], Int64Array]:
    """Labels of the shown levels of a column, and the place of each level among them."""
    labels = [*_labels(levels.columns[column], levels.edges[column]), "missing"]
    counts = np.bincount(codes, minlength=len(labels))
    shown = np.sort(np.argsort(-counts, kind="stable")[:LEVELS])
    shown = shown[counts[shown] > 0]
    group = np.full(len(labels), len(shown))
    group[shown] = np.arange(len(shown))
    return (*(labels[k] for k in shown), "all others"), group


def _labels(column: ModelledColumn, edges: Float64Array) -> tuple[str, ...]:
    if named := named_levels(column):
        return named
    texts = edge_texts(column, edges)
    return (*(f"up to {text}" for text in texts), f"above {texts[-1]}" if texts else "all")
