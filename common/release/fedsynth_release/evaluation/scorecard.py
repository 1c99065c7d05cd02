"""All figures of one synthetic table in one call: a line of every benchmark and report.

The same settings for everybody, so that lines compare: marginals against the real training rows,
classifiers and the detector against held-out rows. `evaluate` on the real training rows in place of
synthetic ones gives the ceiling, on independent columns the floor; print both beside any result.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.detection import detection_auc
from fedsynth_release.evaluation.discretise import Discretiser
from fedsynth_release.evaluation.fidelity import tvd
from fedsynth_release.evaluation.targets import Target, default_targets
from fedsynth_release.evaluation.utility import mean_auc, tstr


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """Figures of one table; lower is better for `tvd_*`, 0.5 is best for `detection_auc`.

    Attributes:
        tvd_1: Mean total variation distance of single columns.
        tvd_2: The same over all pairs of columns.
        tvd_3: The same over (at most 300) triples.
        mean_auc: Mean logistic AUC over up to ten targets: the headline figure of utility.
        target_auc_boosting: AUC of the declared target, gradient boosting; None without a target.
        target_auc_logistic: The same with logistic regression.
        detection_auc: Cross-validated AUC of telling it from held-out real rows.
    """

    tvd_1: float
    tvd_2: float
    tvd_3: float
    mean_auc: float
    target_auc_boosting: float | None
    target_auc_logistic: float | None
    detection_auc: float

    def to_dict(self) -> dict[str, float | None]:
        """Plain figures by name."""
        return asdict(self)


def evaluate(
    train: pd.DataFrame,
    test: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    targets: Sequence[Target] | None = None,
) -> Scorecard:
    """Score `synthetic` against the real `train` rows and the held-out real `test` rows.

    `targets` defaults to `default_targets(schema, train)`; pass them to ask fewer questions.
    """
    levels = Discretiser.fit(schema, train)
    real, made = levels.transform(train), levels.transform(synthetic)
    questions = default_targets(schema, train) if targets is None else targets
    goal = schema.target
    return Scorecard(
        tvd_1=tvd(real, made, ways=1),
        tvd_2=tvd(real, made, ways=2),
        tvd_3=tvd(real, made, ways=3),
        mean_auc=mean_auc(synthetic, test, schema, questions),
        target_auc_boosting=tstr(synthetic, test, schema, goal, "boosting") if goal else None,
        target_auc_logistic=tstr(synthetic, test, schema, goal, "logistic") if goal else None,
        detection_auc=detection_auc(test, synthetic, schema),
    )
