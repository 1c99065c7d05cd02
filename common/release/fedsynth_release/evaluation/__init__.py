"""Measures how good a synthetic table is (fidelity, utility, detection), and attacks it.

`evaluate_table` computes all figures, with the references to compare them with, as an `Evaluation`.
`evaluate` computes the few figures that the benchmarks print. docs/METRICS.md has definitions and
sources.

Everything here reads real rows without adding noise. Use it on a researcher's machine with public
data, or inside one site. A figure that leaves a site is a release and has to be charged to the
privacy budget.
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
