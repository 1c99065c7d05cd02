"""How much a table holds beyond pairs of columns: boosting against logistic regression, same bins.

A logistic regression on one-hot codes adds up one number for each code of each other column. This is
what pairs with the target can tell, if the other columns do not depend on each other once it is known.
Boosted trees on the same codes can use combinations of columns as well. What they predict better is
beyond pairs. The question of each column is the one of the benchmark's mean AUC (`evaluation/targets`).

The figures say nothing about any method and promise nothing: they are computed on the real rows
without noise. They are a lower bound, because the trees may miss what there is.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import OneHotEncoder

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_release.evaluation.discretise import Discretiser, named_levels
from fedsynth_release.evaluation.targets import balanced, binarise
from fedsynth_release.evaluation.utility import boosted_scores
from fedsynth_simulations.benchmarks.tables import BenchmarkTable

ROWS = 20_000
"""Training rows, at most; both learners get the same."""
CLIP = 1e-4
"""The least probability that is scored, so that a sure and wrong tree costs no infinite loss."""


@dataclass(frozen=True)
class BeyondPairs:
    """What one column's question shows on test rows.

    Attributes:
        column: its name.
        logistic: AUC of logistic regression on one-hot codes.
        boosting: AUC of boosted trees on the same codes.
        nats: by how much the trees' log loss is less, in nats per record; below zero if it is more.
    """

    column: str
    logistic: float
    boosting: float
    nats: float

    @property
    def gap(self) -> float:
        """The AUC that trees gain."""
        return self.boosting - self.logistic


def beyond_pairs(table: BenchmarkTable) -> list[BeyondPairs]:
    """Every column of which both answers are frequent enough, in the order of the schema."""
    schema, train = table.schema, table.train
    chosen = np.random.default_rng(0).permutation(len(train))[:ROWS]
    train = train.iloc[np.sort(chosen)]
    levels = Discretiser.fit(schema, train)
    here, there = levels.transform(train), levels.transform(table.test)
    sets = np.array([bool(named_levels(column)) for column in schema.modelled])
    found = []
    for number, column in enumerate(schema.modelled):
        target = binarise(schema, train, column.name)
        if not balanced(target, train):
            continue
        labels = target.labels(train), target.labels(table.test)
        known = [~np.isnan(answers) for answers in labels]
        mine, theirs = (np.delete(codes, number, axis=1) for codes in (here, there))
        question = _Question(
            mine[known[0]], labels[0][known[0]], theirs[known[1]], labels[1][known[1]]
        )
        if len(np.unique(question.answers)) == 2:
            found.append(question.asked(column.name, np.delete(sets, number)))
    return found


@dataclass(frozen=True)
class _Question:
    """Codes (n, columns) and labels of the rows that are learned from and of those that are asked."""

    codes: Int64Array
    labels: Float64Array
    test: Int64Array
    answers: Float64Array

    def asked(self, name: str, sets: Int64Array) -> BeyondPairs:
        chances = self._logistic(), self._boosting(sets)
        logistic, boosting = (float(roc_auc_score(self.answers, c)) for c in chances)
        losses = [log_loss(self.answers, np.clip(c, CLIP, 1 - CLIP)) for c in chances]
        return BeyondPairs(name, logistic, boosting, float(losses[0] - losses[1]))

    def _logistic(self) -> Float64Array:
        encoder = OneHotEncoder(handle_unknown="ignore").fit(self.codes)
        model = LogisticRegression(C=1.0, max_iter=200)
        model.fit(encoder.transform(self.codes), self.labels)
        return np.asarray(model.predict_proba(encoder.transform(self.test))[:, 1])

    def _boosting(self, sets: Int64Array) -> Float64Array:
        codes = self.codes.astype(np.float64), self.test.astype(np.float64)
        classes = self.labels.astype(np.int64)
        chances, _ = boosted_scores(codes[0], classes, codes[1], sets.astype(bool))
        return np.asarray(chances[:, 1])
