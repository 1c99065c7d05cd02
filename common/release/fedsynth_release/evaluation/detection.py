"""Measures whether a classifier can tell real rows from synthetic ones (two-sample test, C2ST).

A gradient boosting classifier predicts for each row of an evenly mixed table whether the row is
real. Its cross-validated AUC is 0.5 if it cannot tell and 1 if it always can (Lopez-Paz and Oquab
2017). This figure is much stricter than marginals: a single column with an impossible value, or
with only round numbers, is enough to tell the tables apart.

Compare a synthetic table with **held-out** real rows. If it were compared with training rows, a
table of plain copies would score best. If people have several rows, the rows of one person resemble
each other, and even real training rows can be told from the rows of other people. The AUC of real
rows is then far above 0.5 (about .8 on the demonstration table). Always read the figure beside this
ceiling.
"""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.features import Features
from fedsynth_release.evaluation.utility import boosted_scores


def detection_auc(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    max_rows: int = 10_000,
    folds: int = 3,
    seed: int = 0,
) -> float:
    """Cross-validated AUC of real against synthetic rows; 0.5 is best.

    Equally many rows of either table are used, at most `max_rows`, drawn with a fixed seed.

    Raises:
        InputError: one of the tables has fewer than `folds` rows.
    """
    size = min(len(real), len(synthetic), max_rows)
    if size < folds:
        raise InputError(f"evaluation: detection needs at least {folds} rows of either table")
    features = Features.fit(schema, real)
    cells, origin = _mixed(features, real, synthetic, size, np.random.default_rng(seed))
    guesses = np.empty(len(cells))
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(cells, origin):
        scores, _ = boosted_scores(cells[train], origin[train], cells[test], features.sets)
        guesses[test] = scores[:, 1]
    return float(roc_auc_score(origin, guesses))


def giveaways(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    max_rows: int = 4_000,
    seed: int = 0,
) -> tuple[float, ...]:
    """How much each column helps to tell synthetic rows from real ones: permutation importance.

    A classifier learns from half of the rows. On the other half, the cells of one column are dealt
    out anew among all rows, and the importance is by how much the AUC then falls (Breiman 2001).
    Columns that say the same share what they give away.

    Returns:
        One figure for each modelled column, in order; about 0 for a column that gives nothing away.
    """
    size = min(len(real), len(synthetic), max_rows)
    if size < 4:
        return ()
    features = Features.fit(schema, real)
    rng = np.random.default_rng(seed)
    cells, origin = _mixed(features, real, synthetic, size, rng)
    order = rng.permutation(2 * size)
    learn, test = order[:size], order[size:]
    copies = [cells[test]]
    for j in range(cells.shape[1]):
        changed = cells[test].copy()
        changed[:, j] = rng.permutation(changed[:, j])
        copies.append(changed)
    stacked = np.concatenate(copies)
    scores, _ = boosted_scores(cells[learn], origin[learn], stacked, features.sets)
    areas = [roc_auc_score(origin[test], part) for part in scores[:, 1].reshape(len(copies), -1)]
    return tuple(float(areas[0] - area) for area in areas[1:])


def _mixed(
    features: Features,
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    size: int,
    rng: np.random.Generator,
) -> tuple[Float64Array, Int64Array]:
    """The cells of `size` rows of each table, (2 size, columns), and which table a row is of."""
    sides = [
        cells[rng.choice(len(cells), size=size, replace=False)]
        for cells in (features.cells(frame) for frame in (real, synthetic))
    ]
    return np.concatenate(sides), np.repeat(np.array([0, 1]), size)
