"""Can a classifier tell real rows from synthetic ones (classifier two-sample test, C2ST).

Gradient boosting is asked for the origin of rows of an evenly mixed table; its cross-validated AUC
is 0.5 where it cannot tell and 1 where it always can (Lopez-Paz and Oquab 2017). The figure is far
stricter than marginals: one column with an impossible value, or numbers that are all round, give a
table away.

Compare with **held-out** real rows; against training rows, plain copies would win. Where a person
has several rows, their likeness alone tells tables apart: real training rows against the rows of
other people then score well above 0.5 (about .8 on the demonstration table), so read a figure
beside that ceiling, never alone.
"""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.features import Features, Floats
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
        InputError: a table has fewer than `folds` rows.
    """
    size = min(len(real), len(synthetic), max_rows)
    if size < folds:
        raise InputError(f"evaluation: detection needs at least {folds} rows of either table")
    features = Features.fit(schema, real)
    rng = np.random.default_rng(seed)
    sides = [_draw(features.cells(frame), size, rng) for frame in (real, synthetic)]
    origin = np.repeat([0, 1], size)
    cells = np.concatenate(sides)
    guesses = np.empty(len(cells))
    for known, asked in StratifiedKFold(folds, shuffle=True, random_state=seed).split(
        cells, origin
    ):
        scores, _ = boosted_scores(cells[known], origin[known], cells[asked], features.sets)
        guesses[asked] = scores[:, 1]
    return float(roc_auc_score(origin, guesses))


def _draw(cells: Floats, size: int, rng: np.random.Generator) -> Floats:
    return cells[rng.choice(len(cells), size=size, replace=False)]
