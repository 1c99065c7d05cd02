"""Computes the utility section: several targets, two learners, classification and regression.

For each target and learner, one model is trained on the real training rows (the ceiling), one on
the synthetic table, and one on independent columns (the floor). All three are tested on the
held-out real rows.

- Classification uses up to ten yes/no questions of `targets`, the learners of `utility`, and the
  AUC.
- Regression predicts up to three columns of numbers with more than ten distinct training values,
  evenly spread over the table. The learners are gradient boosting (100 trees) and ridge regression
  (α = 1). The figures are R2 on the hold-out and RMSE in the column's unit. An R2 below 0 means
  that guessing the mean would have been better; it is reported as it is.

A single very low R2 would dominate the mean over targets, so `MeanUtility` counts every R2 below -1
as -1.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.discretise import cell_column, named_levels, numbers
from fedsynth_release.evaluation.result_parts import TableRole
from fedsynth_release.evaluation.results import MeanUtility, TargetUtility, Utility
from fedsynth_release.evaluation.targets import Target, default_targets
from fedsynth_release.evaluation.utility import Learner, TrainTestPair

LEARNERS: tuple[Learner, ...] = ("boosting", "logistic")
_MEAN_METRICS: tuple[Literal["AUC", "R2"], ...] = ("AUC", "R2")
_PUBLIC_LEARNERS: tuple[Literal["boosting", "linear"], ...] = ("boosting", "linear")
_DISTINCT = 10


def table_utility(
    train: pd.DataFrame,
    test: pd.DataFrame,
    tables: Mapping[TableRole, pd.DataFrame],
    schema: Schema,
    say: Callable[[str], None] = lambda _: None,
    *,
    targets: int = 10,
    regressions: int = 3,
    learners: Sequence[Learner] = LEARNERS,
) -> Utility:
    """Train on `train` and on the tables "synthetic" and "independent", and test on `test`."""
    questions = default_targets(schema, train, targets)
    numeric = regression_targets(schema, train, regressions)
    results: list[TargetUtility] = []
    for learner in learners:
        pairs = [
            TrainTestPair(schema, frame, test, learner)
            for frame in (train, tables["synthetic"], tables["independent"])
        ]
        for question in questions:
            say(f"utility: {learner}, {question.column.name}")
            results.append(_classification(question, pairs, learner))
        for name in numeric:
            say(f"utility: {learner}, {name}")
            results += _regression(name, pairs, learner)
    return Utility(means=means_of(results), targets=tuple(results))


def regression_targets(schema: Schema, train: pd.DataFrame, count: int) -> list[str]:
    """The names of up to `count` columns of numbers that have enough distinct values to predict."""
    names: list[str] = []
    for column in schema.modelled:
        if named_levels(column):
            continue
        values = numbers(cell_column(train, column.name), column)
        if len(np.unique(values[~np.isnan(values)])) > _DISTINCT:
            names.append(column.name)
    places = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return [names[place] for place in places.tolist()]


def _classification(
    question: Target, pairs: list[TrainTestPair], learner: Learner
) -> TargetUtility:
    return question_result(question, learner, [pair.ask(question) for pair in pairs])


def question_result(question: Target, learner: Learner, scores: Sequence[float]) -> TargetUtility:
    """The AUCs of one question after training on real, synthetic and independent rows."""
    return TargetUtility(
        column=question.column.name,
        question=describe(question),
        task="classification",
        learner=_public(learner),
        metric="AUC",
        real=scores[0],
        synthetic=scores[1],
        independent=scores[2],
    )


def _regression(name: str, pairs: list[TrainTestPair], learner: Learner) -> list[TargetUtility]:
    scores = [pair.regress(name) for pair in pairs]
    metrics: tuple[Literal["R2", "RMSE"], ...] = ("R2", "RMSE")
    return [
        TargetUtility(
            column=name,
            question=f"the value of {name}",
            task="regression",
            learner=_public(learner),
            metric=metric,
            real=scores[0][place],
            synthetic=scores[1][place],
            independent=scores[2][place],
        )
        for place, metric in enumerate(metrics)
    ]


def describe(question: Target) -> str:
    """A yes/no question in words."""
    if question.level is not None:
        return f"{question.column.name} is {named_levels(question.column)[question.level]!r}"
    return f"{question.column.name} is above its median"


def _public(learner: Learner) -> Literal["boosting", "linear"]:
    return "boosting" if learner == "boosting" else "linear"


def means_of(results: list[TargetUtility]) -> tuple[MeanUtility, ...]:
    """The mean of each metric and learner over its questions."""
    means = []
    for metric in _MEAN_METRICS:
        for learner in _PUBLIC_LEARNERS:
            chosen = [t for t in results if t.metric == metric and t.learner == learner]
            if chosen:
                rows = np.array([[t.real, t.synthetic, t.independent] for t in chosen])
                real, synthetic, independent = np.maximum(rows, -1).mean(axis=0).tolist()
                means.append(
                    MeanUtility(
                        learner=learner,
                        metric=metric,
                        targets=len(chosen),
                        real=real,
                        synthetic=synthetic,
                        independent=independent,
                    )
                )
    return tuple(means)
