"""Trains models on a synthetic table and tests them on real rows (TSTR).

A classifier is trained on one table: the synthetic table or, for the ceiling, the real training rows.
It is scored by its area under the ROC curve (AUC) on real rows that no site ever had. There are two
learners with fixed settings, because each overlooks other faults of a table: gradient boosting
(histogram based, 100 trees; for more than two classes with an L2 penalty of 1, because rare classes let
it diverge without) and logistic regression (L2, C = 1, lbfgs, at most 200 iterations). For numbers as
targets (`TrainTestPair.regress`) they are gradient boosting of squared errors and ridge regression (α =
1).

To read the figures, you should know that:

- If a synthetic table has lost a class, the AUC for this class is 0.5. This is not an error,
  because such a collapse is a result.
- Rows whose target is missing are left out on both sides. Training rows of a class that no test row
  has are left out too, because a few rows of `other` would turn a problem of two classes into an
  unstable one of three.
- The target is never among the inputs.
- Logistic regression is trained on at most 20,000 rows, chosen with a fixed seed; boosting is
  trained on all rows. On the 39,074 training rows of Adult this limit changes a single AUC by at
  most .003 and the mean of ten by .0006, and ten targets take seconds.
"""

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.discretise import cell_column, level_codes, named_levels
from fedsynth_release.evaluation.features import Features
from fedsynth_release.evaluation.targets import Target, binarise

Learner = Literal["boosting", "logistic"]

_LOGISTIC_ROWS = 20_000
_SOFTMAX_PENALTY = 1.0


def boosted_scores(
    train: Float64Array, labels: Int64Array, test: Float64Array, sets: BoolArray
) -> tuple[Float64Array, Int64Array]:
    """Train the boosting classifier that all figures use, and predict classes of other rows.

    Args:
        train: Training rows, as `Features.cells`.
        labels: The class of each training row.
        test: The rows to predict, as `Features.cells`.
        sets: Which columns contain categories without an order.

    Returns:
        The class probabilities of the rows of `test` (rows x classes), and the classes in that
        order. Columns that are missing in every training row are left out; scikit-learn cannot bin
        them.
    """
    present = ~np.isnan(train).all(axis=0)
    if not present.any():
        return np.full((len(test), len(np.unique(labels))), 0.5), np.unique(labels)
    model = HistGradientBoostingClassifier(
        max_iter=100,
        early_stopping=False,
        l2_regularization=_SOFTMAX_PENALTY if len(np.unique(labels)) > 2 else 0.0,
        categorical_features=sets[present],
        random_state=0,
    )
    model.fit(train[:, present], labels)
    return model.predict_proba(test[:, present]), model.classes_


def tstr(
    train_like: pd.DataFrame,
    test: pd.DataFrame,
    schema: Schema,
    target: Target | str,
    learner: Learner = "boosting",
) -> float:
    """AUC on the real `test` rows of a classifier trained on `train_like`.

    Args:
        train_like: The synthetic table or, for the ceiling, the real training rows.
        test: Real rows that nothing was trained on.
        schema: The public schema of both tables.
        target: A fitted yes/no question, or the name of a column. The classes of a named category
            are predicted; with more than two classes the result is the macro mean of the
            one-versus-rest AUCs over the classes in `test`. For a number it is predicted whether it
            is above the median of `test`.
        learner: Which classifier to use.

    Raises:
        InputError: `test` has fewer than two classes, or a table lacks a column of the schema.
    """
    pair = TrainTestPair(schema, train_like, test, learner)
    return pair.ask(target)


def mean_auc(
    train_like: pd.DataFrame,
    test: pd.DataFrame,
    schema: Schema,
    targets: Sequence[Target],
    learner: Learner = "logistic",
) -> float:
    """The mean of `tstr` over the targets, which come from the *real* training rows."""
    if not targets:
        raise InputError("evaluation: mean_auc needs at least one target")
    pair = TrainTestPair(schema, train_like, test, learner)
    return float(np.mean([pair.ask(target) for target in targets]))


def _labels(
    train_like: pd.DataFrame, test: pd.DataFrame, schema: Schema, target: Target | str
) -> tuple[str, Float64Array, Float64Array]:
    """The name of the target's column and its labels in both tables; missing labels are NaN."""
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


class TrainTestPair:
    """A table to train on and a table to test on, encoded once for all targets.

    Both are encoded with the means and standard deviations of `train`.
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
        """The AUC for a target; see `tstr`."""
        return self.auc(*_labels(*self._frames, self._schema, target))

    def regress(self, column: str) -> tuple[float, float]:
        """R2 and RMSE on the test rows when `column` is predicted from all other columns.

        Rows whose number is missing are left out on both sides. If nothing can be learned, the
        prediction is the mean of the training numbers, or 0 if there are none.

        Raises:
            InputError: the test rows contain less than two different numbers.
        """
        place = self._names.index(column)
        keep = [j for j in range(len(self._names)) if j != place]
        train_rows = np.flatnonzero(~np.isnan(self._train[:, place]))
        test_rows = np.flatnonzero(~np.isnan(self._test[:, place]))
        truth = self._test[test_rows, place]
        if len(truth) < 2 or np.ptp(truth) == 0:
            raise InputError(f"evaluation: the test rows do not vary in {column!r}; use more rows")
        if self._learner == "logistic" and len(train_rows) > _LOGISTIC_ROWS:
            train_rows = np.random.default_rng(0).permutation(train_rows)[:_LOGISTIC_ROWS]
        values = self._train[train_rows, place]
        predicted = np.full(len(truth), values.mean() if len(values) else 0.0)
        if len(values) > 1 and keep:
            predicted = self._numbers(self._train[train_rows], values, self._test[test_rows], keep)
        error = float(((predicted - truth) ** 2).mean())
        return 1 - error / float(truth.var()), float(np.sqrt(error))

    def _numbers(
        self, train: Float64Array, values: Float64Array, test: Float64Array, keep: list[int]
    ) -> Float64Array:
        """Numbers predicted for the rows of `test` from their columns `keep`."""
        if self._learner == "boosting":
            present = [j for j in keep if not np.isnan(train[:, j]).all()]
            model = HistGradientBoostingRegressor(
                max_iter=100,
                early_stopping=False,
                categorical_features=self._features.sets[present],
                random_state=0,
            )
            return np.asarray(model.fit(train[:, present], values).predict(test[:, present]))
        line = Ridge(alpha=1.0).fit(self._features.linear(train, keep), values)
        return np.asarray(line.predict(self._features.linear(test, keep)))

    def auc(self, column: str, train_labels: Float64Array, test_labels: Float64Array) -> float:
        """The AUC of predicting labels of `column`, which is left out of the inputs."""
        keep = [j for j, name in enumerate(self._names) if name != column]
        test_rows = np.flatnonzero(~np.isnan(test_labels))
        truth = test_labels[test_rows].astype(int)
        rows = np.flatnonzero(np.isin(train_labels, truth))
        if len(np.unique(truth)) < 2:
            raise InputError(
                f"evaluation: the test rows have fewer than two classes of target {column!r}; "
                "use more test rows or another target"
            )
        if self._learner == "logistic" and len(rows) > _LOGISTIC_ROWS:
            rows = np.random.default_rng(0).permutation(rows)[:_LOGISTIC_ROWS]
        labels = train_labels[rows].astype(int)
        if not keep or len(np.unique(labels)) < 2:
            return 0.5
        scores, classes = self._scores(self._train[rows], labels, self._test[test_rows], keep)
        return _macro_auc(truth, scores, classes)

    def _scores(
        self, train: Float64Array, labels: Int64Array, test: Float64Array, keep: list[int]
    ) -> tuple[Float64Array, Int64Array]:
        if self._learner == "boosting":
            sets = self._features.sets[keep]
            return boosted_scores(train[:, keep], labels, test[:, keep], sets)
        model = LogisticRegression(max_iter=200)
        with warnings.catch_warnings():  # the limit is part of the figure's definition
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(self._features.linear(train, keep), labels)
        return model.predict_proba(self._features.linear(test, keep)), model.classes_


def _macro_auc(truth: Int64Array, scores: Float64Array, classes: Int64Array) -> float:
    """The mean one-versus-rest AUC over the classes in `truth`; an unlearned class scores 0.5."""
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
