"""Figures that say how good a synthetic table is: fidelity, utility, detection, attacks.

`evaluate_table` computes all of them at once, beside their references, as an `Evaluation`; `evaluate` is
the short line of the benchmarks. Definitions and sources: docs/METRICS.md.

Everything here reads real rows in the clear and is meant for the researcher's machine or for inside
one site. A figure that leaves a site is a release and has to be charged.
"""

from fedsynth_release.evaluation.detection import detection_auc
from fedsynth_release.evaluation.discretise import Discretiser
from fedsynth_release.evaluation.evaluate_table import evaluate_table
from fedsynth_release.evaluation.features import Features
from fedsynth_release.evaluation.fidelity import column_tvd, pair_tvd, resample_tvd, tvd
from fedsynth_release.evaluation.results import Evaluation
from fedsynth_release.evaluation.scorecard import Scorecard, evaluate
from fedsynth_release.evaluation.targets import Target, binarise, default_targets
from fedsynth_release.evaluation.utility import mean_auc, tstr

__all__ = [
    "Discretiser",
    "Evaluation",
    "Features",
    "Scorecard",
    "Target",
    "binarise",
    "column_tvd",
    "default_targets",
    "detection_auc",
    "evaluate",
    "evaluate_table",
    "mean_auc",
    "pair_tvd",
    "resample_tvd",
    "tstr",
    "tvd",
]
