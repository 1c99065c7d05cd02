"""Computes the figures that benchmarks print for a synthetic table, in one call.

The settings are always the same, so that figures can be compared. Marginals are compared with the
real training rows; classifiers and the detector are tested on held-out rows. `evaluate` on the real
training rows gives the ceiling, and on independent columns the floor. Print both beside every
result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import pandas as pd

from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.detection import detection_auc
from fedsynth_release.evaluation.discretise import Discretiser
from fedsynth_release.evaluation.features import Features
from fedsynth_release.evaluation.fidelity import tvd
from fedsynth_release.evaluation.number_errors import NumberErrors, number_errors
from fedsynth_release.evaluation.targets import Target, default_targets
from fedsynth_release.evaluation.utility import mean_auc, tstr


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """The figures of one table. Lower is better for `tvd_*`, and 0.5 is best for `detection_auc`.

    Attributes:
        tvd_1: mean total variation distance of single columns.
        tvd_2: mean total variation distance of pairs of columns.
        tvd_3: mean total variation distance of at most 300 triples of columns.
        mean_auc: mean AUC of logistic regression over up to ten targets, the main figure of
            utility.
        target_auc_boosting: AUC of gradient boosting for the declared target; None without a
            target.
        target_auc_logistic: AUC of logistic regression for the declared target.
        detection_auc: cross-validated AUC of a classifier that tells it from held-out real rows.
        numbers: errors of what people calculate with numbers; None without columns of numbers.
    """

    tvd_1: float
    tvd_2: float
    tvd_3: float
    mean_auc: float
    target_auc_boosting: float | None
    target_auc_logistic: float | None
    detection_auc: float
    numbers: NumberErrors | None

    def to_dict(self) -> dict[str, float | None]:
        """The figures by name; those of numbers begin with `number_`."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "numbers"}
        errors = self.numbers.model_dump() if self.numbers else {}
        return own | {f"number_{name}": errors.get(name) for name in NumberErrors.model_fields}


def evaluate(
    train: pd.DataFrame,
    test: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    targets: Sequence[Target] | None = None,
) -> Scorecard:
    """Score `synthetic` against the real `train` rows and the held-out real `test` rows.

    `targets` are the yes/no questions to use; the default is `default_targets(schema, train)`.
    """
    levels, features = Discretiser.fit(schema, train), Features.fit(schema, train)
    real, other = levels.transform(train), levels.transform(synthetic)
    questions = default_targets(schema, train) if targets is None else targets
    target = schema.target
    return Scorecard(
        tvd_1=tvd(real, other, ways=1),
        tvd_2=tvd(real, other, ways=2),
        tvd_3=tvd(real, other, ways=3),
        mean_auc=mean_auc(synthetic, test, schema, questions),
        target_auc_boosting=tstr(synthetic, test, schema, target, "boosting") if target else None,
        target_auc_logistic=tstr(synthetic, test, schema, target, "logistic") if target else None,
        detection_auc=detection_auc(test, synthetic, schema),
        numbers=number_errors(features.cells(train), features.cells(synthetic), schema),
    )
