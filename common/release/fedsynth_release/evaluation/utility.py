"""Train on synthetic, test on real (TSTR): is the table good for what tables are used for.

A classifier is trained on one table (the synthetic one; the real training rows give the ceiling)
and scored by its area under the ROC curve (AUC) on real rows that no site ever saw. Two learners
with fixed settings, since each forgives other faults: gradient boosting (histogram based, 100
trees) and logistic regression (L2, C = 1, lbfgs, at most 200 iterations). For numbers as targets
(`Duel.regress`) the same boosting of squared errors, and ridge regression (α = 1).

What is worth knowing about the figures:

- a synthetic table that lost a class entirely scores 0.5 for it, not an error: collapse is a
  result;
- rows whose target is missing are dropped on both sides, and training rows of a class that no test
  row has (a handful of `other` would turn a two-class problem into an unstable three-class one);
- the target never is among the inputs;
- logistic regression is trained on at most 20,000 rows, chosen with a fixed seed, and boosting on
  all rows. On the 39,074 training rows of Adult this moves single AUCs by .003 at most and the mean
  of ten by .0006, and ten targets take seconds.
"""

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.discretise import cell_column, level_codes, named_levels
from fedsynth_release.evaluation.features import Features, Floats
from fedsynth_release.evaluation.targets import Target, binarise

Learner = Literal["boosting", "logistic"]
Labels = npt.NDArray[np.int64]

_LOGISTIC_ROWS = 20_000


def boosted_scores(
    known: Floats, labels: Labels, asked: Floats, sets: npt.NDArray[np.bool_]
) -> tuple[Floats, Labels]:
    """Class probabilities of the rows `asked` by the one boosting classifier of all figures.

    `known`, `asked`: `Features.cells`; `sets` marks their unordered columns. Columns that are
    missing in every known row tell nothing and are left out (scikit-learn cannot bin them).
    Returns probabilities (rows x classes) and the classes in that order.
    """
    told = ~np.isnan(known).all(axis=0)
    if not told.any():
        return np.full((len(asked), len(np.unique(labels))), 0.5), np.unique(labels)
    model = HistGradientBoostingClassifier(
        max_iter=100, early_stopping=False, categorical_features=sets[told], random_state=0
    )
    model.fit(known[:, told], labels)
    return model.predict_proba(asked[:, told]), model.classes_


def tstr(
    train_like: pd.DataFrame,
    test: pd.DataFrame,
    schema: Schema,
    target: Target | str,
    learner: Learner = "boosting",
) -> float:
    """AUC on the real `test` rows of a classifier trained on `train_like`.

    Args:
        train_like: The synthetic table (or the real training rows, for the ceiling).
        test: Real rows that nothing was trained on.
        schema: The public schema of both.
        target: A fitted yes/no question, or the name of a column: a category is then predicted as
            it stands (two classes: AUC; more: the macro mean of one-versus-rest AUCs over the
            classes that occur in `test`), a number as "above the median of `test`".
        learner: Which classifier.

    Raises:
        InputError: `test` has fewer than two classes, or a table lacks a column of the schema.
    """
    duel = Duel(schema, train_like, test, learner)
    return duel.ask(target)


def mean_auc(
    train_like: pd.DataFrame,
    test: pd.DataFrame,
    schema: Schema,
    targets: Sequence[Target],
    learner: Learner = "logistic",
) -> float:
    """Mean of `tstr` over `targets` (from `default_targets` on the *real* training rows)."""
    if not targets:
        raise InputError("evaluation: mean_auc needs at least one target")
    duel = Duel(schema, train_like, test, learner)
    return float(np.mean([duel.ask(target) for target in targets]))


def _labels(
    train_like: pd.DataFrame, test: pd.DataFrame, schema: Schema, target: Target | str
) -> tuple[str, Floats, Floats]:
    """Name of the target's column and its labels in both tables, NaN where missing."""
    if isinstance(target, str):
        fitted = binarise(schema, test, target)
        if named_levels(fitted.column):
            train_codes, test_codes = (
                level_codes(cell_column(frame, target), fitted.column).astype(float)
                for frame in (train_like, test)
            )
            train_codes[train_codes < 0] = np.nan
            test_codes[test_codes < 0] = np.nan
            return target, train_codes, test_codes
        target = fitted
    return target.column.name, target.labels(train_like), target.labels(test)


class Duel:
    """Two encoded tables, kept so that ten targets cost one encoding.

    `train` teaches, `test` examines; both are encoded by what `train` shows.
    """

    def __init__(
        self, schema: Schema, train: pd.DataFrame, test: pd.DataFrame, learner: Learner
    ) -> None:
        self._frames = (train, test)
        self._schema = schema
        self._features = Features.fit(schema, train)
        self._names = [column.name for column in schema.modelled]
        self._train = self._features.cells(train)
        self._test = self._features.cells(test)
        self._learner = learner

    def ask(self, target: Target | str) -> float:
        """AUC of a question; see `tstr`."""
        return self.auc(*_labels(*self._frames, self._schema, target))

    def regress(self, column: str) -> tuple[float, float]:
        """R2 and RMSE on the test rows of predicting the number `column` from all other columns.

        Rows whose number is missing are left out on both sides. Nothing to learn from gives the
        mean of the training numbers, or 0.

        Raises:
            InputError: the test rows hold less than two different numbers.
        """
        place = self._names.index(column)
        keep = [j for j in range(len(self._names)) if j != place]
        taught = np.flatnonzero(~np.isnan(self._train[:, place]))
        asked = np.flatnonzero(~np.isnan(self._test[:, place]))
        truth = self._test[asked, place]
        if len(truth) < 2 or np.ptp(truth) == 0:
            raise InputError(f"evaluation: the test rows do not vary in {column!r}; use more rows")
        if self._learner == "logistic" and len(taught) > _LOGISTIC_ROWS:
            taught = np.random.default_rng(0).permutation(taught)[:_LOGISTIC_ROWS]
        known = self._train[taught, place]
        guess = np.full(len(truth), known.mean() if len(known) else 0.0)
        if len(known) > 1 and keep:
            guess = self._numbers(self._train[taught], known, self._test[asked], keep)
        error = float(((guess - truth) ** 2).mean())
        return 1 - error / float(truth.var()), float(np.sqrt(error))

    def _numbers(self, known: Floats, values: Floats, asked: Floats, keep: list[int]) -> Floats:
        if self._learner == "boosting":
            kept = [j for j in keep if not np.isnan(known[:, j]).all()]
            model = HistGradientBoostingRegressor(
                max_iter=100,
                early_stopping=False,
                categorical_features=self._features.sets[kept],
                random_state=0,
            )
            return np.asarray(model.fit(known[:, kept], values).predict(asked[:, kept]))
        line = Ridge(alpha=1.0).fit(self._features.linear(known, keep), values)
        return np.asarray(line.predict(self._features.linear(asked, keep)))

    def auc(self, column: str, train_labels: Floats, test_labels: Floats) -> float:
        """AUC for labels of `column`, which is left out of the inputs."""
        keep = [j for j, name in enumerate(self._names) if name != column]
        tested = np.flatnonzero(~np.isnan(test_labels))
        truth = test_labels[tested].astype(int)
        rows = np.flatnonzero(np.isin(train_labels, truth))
        if len(np.unique(truth)) < 2:
            raise InputError(
                f"evaluation: the test rows hold fewer than two classes of target {column!r}; "
                "use more test rows or another target"
            )
        if self._learner == "logistic" and len(rows) > _LOGISTIC_ROWS:
            rows = np.random.default_rng(0).permutation(rows)[:_LOGISTIC_ROWS]
        known = train_labels[rows].astype(int)
        if not keep or len(np.unique(known)) < 2:
            return 0.5
        scores, classes = self._scores(self._train[rows], known, self._test[tested], keep)
        return _macro_auc(truth, scores, classes)

    def _scores(
        self, known: Floats, labels: Labels, asked: Floats, keep: list[int]
    ) -> tuple[Floats, Labels]:
        if self._learner == "boosting":
            sets = self._features.sets[keep]
            return boosted_scores(known[:, keep], labels, asked[:, keep], sets)
        model = LogisticRegression(max_iter=200)
        with warnings.catch_warnings():  # the limit is part of the figure's definition
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(self._features.linear(known, keep), labels)
        return model.predict_proba(self._features.linear(asked, keep)), model.classes_


def _macro_auc(truth: Labels, scores: Floats, classes: Labels) -> float:
    """Mean one-versus-rest AUC over the classes in `truth`; a class never learned scores 0.5."""
    learned = {int(label): scores[:, place] for place, label in enumerate(classes.tolist())}
    occurring = np.unique(truth)
    if len(occurring) == 2:  # the two one-versus-rest problems mirror each other
        occurring = occurring[1:]
    return float(
        np.mean(
            [
                roc_auc_score(truth == label, learned[int(label)]) if int(label) in learned else 0.5
                for label in occurring
            ]
        )
    )
