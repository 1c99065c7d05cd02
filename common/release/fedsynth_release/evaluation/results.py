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
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from fedsynth_common.limits import MAX_STATEMENT_BYTES
from fedsynth_common.validated import read_model, validated

Finite = Annotated[float, Field(allow_inf_nan=False)]
Matrix = tuple[tuple[Finite, ...], ...]

TableRole = Literal[
    "synthetic", "hold-out", "independent", "pseudonymised", "k-anonymised", "leaky"
]
"""The table that a figure is about.

- synthetic: the table that is evaluated;
- hold-out: real rows that nothing was trained on (the ceiling);
- independent: columns drawn independently of each other from the real training rows (the floor);
- pseudonymised: the real training rows without their id columns;
- k-anonymised: the real training rows after Mondrian with k = 5;
- leaky: a table that leaks on purpose (the positive control of every attack).
"""

Kind = Literal["numeric", "integer", "date", "datetime", "duration", "categorical", "boolean"]

NOTICE = (
    "These figures were computed from real records without noise. They are not differentially private "
    "and must not be published."
)


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Estimate(_Part):
    """A figure with its 95 % confidence interval [low, high]."""

    value: Finite
    low: Finite
    high: Finite


class Sizes(_Part):
    """The numbers of rows of the tables, and the number of modelled columns."""

    train: int
    holdout: int
    synthetic: int
    columns: int


class Settings(_Part):
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


class TableFigures(_Part):
    """The fidelity of one table to the real training rows.

    Attributes:
        role: which table the figures are about.
        tvd_1, tvd_2, tvd_3: mean total variation distance of 1-, 2- and 3-way marginals; 0 is best.
        column_shapes: mean over columns of the KS or TV complement; 1 is best.
        association_difference: mean over pairs of |association - real association|; 0 is best.
        detection_auc: AUC of a classifier that tells the table from held-out real rows; 0.5 is
            best. For the hold-out, training rows are told from held-out rows; None if this is
            impossible.
    """

    role: TableRole
    tvd_1: Finite
    tvd_2: Finite
    tvd_3: Finite
    column_shapes: Finite
    association_difference: Finite
    detection_auc: Finite | None


class Histogram(_Part):
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


class ColumnFidelity(_Part):
    """The fidelity of one column of the synthetic table, with its ceiling (the hold-out).

    `shape` is 1 - KS distance for numbers and 1 - TV distance for others; `metric` says which.
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


class PairFidelity(_Part):
    """The fidelity of all pairs of columns, as square, symmetric tables over the columns `names`.

    Attributes:
        names: the modelled columns in schema order.
        tvd: the total variation distance of each pair, and of each single column on the diagonal.
        tvd_floor: the same distances of the table of independent columns.
        association_real, association_synthetic: Pearson's r for two numbers, Cramér's V for two
            categories, and the correlation ratio η for a number and a category; 1 on the diagonal.
    """

    names: tuple[str, ...]
    tvd: Matrix
    tvd_floor: Matrix
    association_real: Matrix
    association_synthetic: Matrix


class Fidelity(_Part):
    """How far the marginals of the synthetic table are from the real ones.

    `figures` are about the synthetic table, the hold-out (ceiling) and the independent columns
    (floor), in this order.
    """

    figures: tuple[TableFigures, ...]
    columns: tuple[ColumnFidelity, ...]
    pairs: PairFidelity


class TargetUtility(_Part):
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


class MeanUtility(_Part):
    """The mean of one metric over all targets of one learner."""

    learner: Literal["boosting", "linear"]
    metric: Literal["AUC", "R2"]
    targets: int
    real: Finite
    synthetic: Finite
    independent: Finite


class Utility(_Part):
    """The results of models that are trained on synthetic and tested on real rows."""

    means: tuple[MeanUtility, ...]
    targets: tuple[TargetUtility, ...]


class AttackedTable(_Part):
    """The result of one attack on one published table.

    Attributes:
        role: the table that was attacked.
        success: success rate on training records (for membership: true positive rate).
        control: success rate on held-out records (for membership: false positive rate).
        advantage: scale * (success - control), in [-1, 1], with its interval.
        scale: the ratio of training to held-out rows for singling out, if there are fewer held-out
            rows (see `attacks.singling_out`); otherwise 1.
        baseline: success rate of guessing without the table, if guessing is possible.
        attacks, controls: the numbers of attempts behind the two rates. If they are 0, the table
            offers nothing to attack and the rates are 0.
        auc: area under the ROC curve of the membership score.
        tpr_at_fpr_01: true positive rate at a false positive rate of 1 %.
        epsilon_lower: the lower bound of ε that the attack proves with 95 % confidence; 0 if it
            proves nothing.
        within_claim: whether success <= e^ε control + δ agrees with the data for the claimed (ε,
            δ); None without a claim, or if the attack is not about membership.
        flagged: whether the whole interval of the advantage is above 0.
    """

    role: TableRole
    success: Estimate
    control: Estimate
    advantage: Estimate
    scale: Finite = 1.0
    baseline: Finite | None = None
    attacks: int
    controls: int
    auc: Estimate | None = None
    tpr_at_fpr_01: Estimate | None = None
    epsilon_lower: Finite | None = None
    within_claim: bool | None = None
    flagged: bool


class RiskReduction(_Part):
    """How much smaller an attacker's advantage is on the synthetic than on a reference table.

    `reduction` is 1 - max(0, advantage on synthetic) / advantage on the reference. It is None if
    the interval of the advantage on the reference contains 0, because then there is nothing to
    reduce.
    """

    against: TableRole
    reduction: Estimate | None


class Attack(_Part):
    """One attack on all tables.

    Attributes:
        name: a short name that never changes (`membership`, `linkability`, ...).
        title: the title for people.
        definition: what the attacker knows and does, and what counts as success.
        source: the literature.
        tables: the results on the synthetic table and then on the references.
        reductions: the reductions compared with the pseudonymised and the k-anonymised table.
    """

    name: str
    title: str
    definition: str
    source: str
    tables: tuple[AttackedTable, ...]
    reductions: tuple[RiskReduction, ...] = ()

    def on(self, role: TableRole) -> AttackedTable | None:
        """The result on one table; None if the table was not attacked."""
        return next((table for table in self.tables if table.role == role), None)


class CopyRow(_Part):
    """Copies of real rows in one table. This finds accidents and does **not** measure privacy.

    Attributes:
        role: which table the shares are about.
        exact_train, exact_holdout: the share of the table's rows that equal a training row, and a
            held-out row. Equally many rows of both are compared.
        near_train, near_holdout: the share of the table's rows that are very near such a row:
            nearer than the 5 % quantile of the distance from a training row to the nearest other
            one.
        closer_to_train: the share of rows nearer to training than to held-out rows; 0.5 is
            expected.
    """

    role: TableRole
    exact_train: Finite
    exact_holdout: Finite
    near_train: Finite
    near_holdout: Finite
    closer_to_train: Finite


class Evaluation(_Part):
    """Everything that was measured about one synthetic table; `attacks` is () if none were run."""

    format_version: Literal[1] = 1
    notice: str = NOTICE
    table: str
    target: str | None
    sizes: Sizes
    settings: Settings
    seconds: Finite
    fidelity: Fidelity
    utility: Utility
    attacks: tuple[Attack, ...] = ()
    copies: tuple[CopyRow, ...] = ()
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
