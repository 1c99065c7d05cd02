"""The result of an evaluation as data, which `evaluation.json` contains and a report draws.

No figure can be read alone, so every figure stands beside its references. The *ceiling* is what
other real rows of the same population (the hold-out) score. The *floor* is what independent columns
score. Attacks stand beside the same attack on tables whose risk is known (`TableRole`).

An evaluation is computed from real records **without noise**, so it is not differentially private.
Histograms, thresholds and rates are facts about the records. It must stay where the records are, or
on a researcher's machine with public data. The field `notice` says so.

Guarantees: instances are immutable; `from_json(to_json(e)) == e`; there is no NaN or infinity,
since an undefined figure is None; unknown fields are refused; shares and rates are between 0 and 1.
Column names and category labels come from the public schema, and no cell of a record is quoted.
"""

from pathlib import Path
from typing import Literal, Self

from fedsynth_common.limits import MAX_STATEMENT_BYTES
from fedsynth_common.validated import read_model, validated
from fedsynth_release.evaluation.amounts import ComparedAmounts
from fedsynth_release.evaluation.analysis_results import AnalysisResult
from fedsynth_release.evaluation.attack_results import Attack, CopyRow
from fedsynth_release.evaluation.history_results import HistoryFidelity
from fedsynth_release.evaluation.number_errors import NumberErrors
from fedsynth_release.evaluation.result_parts import Finite, Matrix, Part, TableRole

Kind = Literal["numeric", "integer", "date", "datetime", "duration", "categorical", "boolean"]

NOTICE = (
    "These figures were computed from real records without noise. They are not differentially private "
    "and must not be published."
)


class Sizes(Part):
    """The numbers of rows of the tables, and the number of modelled columns."""

    train: int
    holdout: int
    synthetic: int
    columns: int


class Settings(Part):
    """The settings on which the figures depend.

    Attributes:
        seed: the seed of all draws (subsets, predicates, references).
        quick: whether fewer rows, targets and attempts were used, which makes intervals wider.
        max_rows: the most rows of a table that fidelity and classifiers use; None means all.
        max_attacks: the most targets or predicates of an attack.
        quasi_identifiers: the columns that the k-anonymised reference generalises; () means all
            modelled columns except the target.
        epsilon: the claimed ε of the synthetic table, if one was given.
        delta: the claimed δ.
    """

    seed: int
    quick: bool
    max_rows: int | None
    max_attacks: int
    quasi_identifiers: tuple[str, ...] = ()
    epsilon: Finite | None = None
    delta: Finite | None = None


class TableFigures(Part):
    """The fidelity of one table to the real training rows.

    Attributes:
        role: which table the figures are about.
        tvd_1, tvd_2, tvd_3: mean total variation distance of 1-, 2- and 3-way marginals; 0 is best.
        column_shapes: mean over columns of the KS or TV complement; 1 is best.
        association_difference: mean over pairs of |association - real association|; 0 is best.
        detection_auc: AUC of a classifier that tells the table from held-out real rows; 0.5 is
            best. For the hold-out, training rows are told from held-out rows; None if this is
            impossible.
        numbers: errors of what people calculate; None without columns of numbers, and of histories.
    """

    role: TableRole
    tvd_1: Finite
    tvd_2: Finite
    tvd_3: Finite
    column_shapes: Finite
    association_difference: Finite
    detection_auc: Finite | None
    numbers: NumberErrors | None = None


class Histogram(Part):
    """The shares of one column in both tables, for a drawing.

    Attributes:
        edges: the n + 1 increasing edges of the bars of a number; () for categories. Dates and
            times are counts of their granularity since 1970, and durations are counts of their
            unit.
        labels: the n levels of a category or boolean; the n + 1 edges of a date or time in ISO
            8601; () for other numbers.
        real, synthetic: the n shares of all rows. They sum to 1 minus the share of missing cells.
    """

    edges: tuple[Finite, ...] = ()
    labels: tuple[str, ...] = ()
    real: tuple[Finite, ...]
    synthetic: tuple[Finite, ...]


class ColumnFidelity(Part):
    """The fidelity of one column of the synthetic table, with its ceiling (the hold-out).

    `shape` is 1 - KS distance for numbers and 1 - TV distance for others; `metric` says which.
    `amounts` is None unless the column holds numbers or durations.
    """

    name: str
    kind: Kind
    tvd: Finite
    tvd_ceiling: Finite
    metric: Literal["KSComplement", "TVComplement"]
    shape: Finite
    shape_ceiling: Finite
    missing_real: Finite
    missing_synthetic: Finite
    histogram: Histogram
    amounts: ComparedAmounts | None = None


class JointShares(Part):
    """One pair of columns cell by cell: shares of the real and of the synthetic rows.

    Attributes:
        columns: of the rows and of the columns of the tables.
        labels: of the levels of both columns; "all others" stands for the rare ones together.
        real, synthetic: a row for each level of the first column; each table sums to 1.
    """

    columns: tuple[str, str]
    labels: tuple[tuple[str, ...], tuple[str, ...]]
    real: Matrix
    synthetic: Matrix


class PairFidelity(Part):
    """The fidelity of all pairs of columns, as square, symmetric tables over the columns `names`.

    Attributes:
        names: the modelled columns in schema order.
        tvd: the total variation distance of each pair, and of each single column on the diagonal.
        tvd_floor: the same distances of the table of independent columns.
        association_real, association_synthetic: Pearson's r for two numbers, Cramér's V for two
            categories, and the correlation ratio η for a number and a category; 1 on the diagonal.
        joint: the pairs with the strongest real association, cell by cell.
    """

    names: tuple[str, ...]
    tvd: Matrix
    tvd_floor: Matrix
    association_real: Matrix
    association_synthetic: Matrix
    joint: tuple[JointShares, ...] = ()


class Fidelity(Part):
    """How far the marginals of the synthetic table are from the real ones.

    `figures` are about the synthetic table, the hold-out (ceiling) and the independent columns
    (floor), in this order. `giveaways` says of each column by how much the detector's AUC falls
    without it; () if no detector was trained.
    """

    figures: tuple[TableFigures, ...]
    columns: tuple[ColumnFidelity, ...]
    pairs: PairFidelity
    giveaways: tuple[Finite, ...] = ()


class TargetUtility(Part):
    """One question to one learner, which is trained on three tables and tested on the hold-out.

    Attributes:
        column: the column to predict.
        question: the question in words.
        task: classification (metric AUC) or regression (metrics R2 and RMSE).
        learner: boosting, or linear (logistic or ridge regression).
        metric: AUC or R2, where higher is better; or RMSE in the column's unit, where lower is
            better.
        real: the result after training on the real training rows (the ceiling).
        synthetic: the result after training on the synthetic table.
        independent: the result after training on independent columns (the floor).
    """

    column: str
    question: str
    task: Literal["classification", "regression"]
    learner: Literal["boosting", "linear"]
    metric: Literal["AUC", "R2", "RMSE"]
    real: Finite
    synthetic: Finite
    independent: Finite


class MeanUtility(Part):
    """The mean of one metric over all targets of one learner."""

    learner: Literal["boosting", "linear"]
    metric: Literal["AUC", "R2"]
    targets: int
    real: Finite
    synthetic: Finite
    independent: Finite


class Utility(Part):
    """The results of models that are trained on synthetic and tested on real rows."""

    means: tuple[MeanUtility, ...]
    targets: tuple[TargetUtility, ...]


class Evaluation(Part):
    """Everything that was measured about one synthetic table.

    `attacks` is () if none were run, `analyses` if none were declared, and `histories` is None
    unless persons have histories. Then a row of `fidelity` is about a person or an event, and
    `utility` is about the next event.
    """

    format_version: Literal[1] = 1
    notice: str = NOTICE
    table: str
    target: str | None
    sizes: Sizes
    settings: Settings
    seconds: Finite
    fidelity: Fidelity
    utility: Utility
    histories: HistoryFidelity | None = None
    attacks: tuple[Attack, ...] = ()
    copies: tuple[CopyRow, ...] = ()
    analyses: tuple[AnalysisResult, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The evaluation as indented JSON."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = "evaluation") -> Self:
        """Read an evaluation; an error message calls the text `source`.

        Raises:
            InputError: the text is not JSON, or not an evaluation of this version.
        """
        return validated(cls, text, f"{source}: not an evaluation")

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read `evaluation.json`.

        Raises:
            InputError: the file is missing, cannot be read or is not an evaluation.
        """
        return read_model(Path(path), cls, MAX_STATEMENT_BYTES, "not an evaluation")
