"""How much an evaluation computes."""

from dataclasses import dataclass

from fedsynth_release.evaluation.utility import Learner

MIN_ROWS = 20
"""Fewest rows, or persons with histories, that a table of an evaluation may have."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is computed. With less effort a figure has the same meaning but a wider interval.

    Attributes:
        rows: the most rows of a table that fidelity and classifiers use; None means all.
        targets: number of yes/no questions for each learner.
        regressions: number of columns of numbers that each learner predicts.
        learners: the learners of the utility section.
        attempts: the most targets or predicates of an attack.
        detection_rows: the most rows of each table that the detector uses.
    """

    rows: int | None = None
    targets: int = 10
    regressions: int = 3
    learners: tuple[Learner, ...] = ("boosting", "logistic")
    attempts: int = 5000
    detection_rows: int = 10_000


FULL = Effort()
QUICK = Effort(
    rows=5000,
    targets=5,
    regressions=1,
    learners=("logistic",),
    attempts=400,
    detection_rows=1000,
)
