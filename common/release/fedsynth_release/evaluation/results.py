"""The result of an evaluation as data: what `evaluation.json` holds and what a report draws.

Every figure stands beside its references, because none can be read alone: the *ceiling* is what
other real rows of the same population (the hold-out) score, the *floor* what independent columns
score; attacks stand beside the same attack on tables whose risk is known (`TableRole`).

An evaluation is computed from real records **in the clear**. It is not differentially private:
histograms, thresholds and rates are facts about the records. It stays where the records are, or on a
researcher's machine with public data. `notice` says so inside the file.

Guarantees: instances are immutable; `from_json(to_json(e)) == e`; no NaN or infinity (a figure that
is undefined is None); unknown fields are refused. Shares and rates are 0 to 1. Column names and
category labels come from the public schema, no cell of a record is quoted.
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
"""Which table a figure is about.

- synthetic: the table under evaluation;
- hold-out: real rows that nothing was trained on, the ceiling;
- independent: columns drawn one by one from the real training rows, the floor;
- pseudonymised: the real training rows without their id columns;
- k-anonymised: the real training rows after Mondrian with k = 5;
- leaky: a generator that leaks on purpose, the positive control of every attack.
"""

Kind = Literal["numeric", "integer", "date", "datetime", "duration", "categorical", "boolean"]

NOTICE = "Computed from real records without noise: not differentially private, not for release."


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Estimate(_Part):
    """A figure with its 95 % confidence interval [low, high]."""

    value: Finite
    low: Finite
    high: Finite


class Sizes(_Part):
    """Rows of the tables that were read, and modelled columns."""

    train: int
    holdout: int
    synthetic: int
    columns: int


class Settings(_Part):
    """What the figures depend on besides the tables.

    Attributes:
        seed: of every draw (subsets, predicates, references).
        quick: fewer rows, targets and attacks; wider intervals.
        max_rows: rows of a table that fidelity and classifiers use at most; None: all.
        max_attacks: targets or predicates per attack at most.
        quasi_identifiers: columns that the k-anonymised reference generalises; (): all but the
            target.
        epsilon: claimed ε of the synthetic table, if one was given.
        delta: claimed δ.
    """

    seed: int
    quick: bool
    max_rows: int | None
    max_attacks: int
    quasi_identifiers: tuple[str, ...] = ()
    epsilon: Finite | None = None
    delta: Finite | None = None


class TableFigures(_Part):
    """Fidelity of one table to the real training rows.

    Attributes:
        role: which table.
        tvd_1, tvd_2, tvd_3: mean total variation distance of 1-, 2-, 3-way marginals; 0 is best.
        column_shapes: mean over columns of KS or TV complement; 1 is best.
        association_difference: mean over pairs of |association - real association|; 0 is best.
        detection_auc: classifier that tells it from held-out real rows; 0.5 is best. None for the
            hold-out's own row where the training rows cannot stand in for it.
    """

    role: TableRole
    tvd_1: Finite
    tvd_2: Finite
    tvd_3: Finite
    column_shapes: Finite
    association_difference: Finite
    detection_auc: Finite | None


class Histogram(_Part):
    """One column in both tables, for drawing one over the other.

    Attributes:
        edges: n + 1 increasing edges of the bins of a number; () for categories. Dates and times
            are counts of their granularity since 1970, durations counts of their unit.
        labels: n levels of a category or boolean; the n + 1 edges of a date or time in ISO 8601;
            () for other numbers.
        real, synthetic: n proportions each, of all rows; what is missing to 1 are missing cells.
    """

    edges: tuple[Finite, ...] = ()
    labels: tuple[str, ...] = ()
    real: tuple[Finite, ...]
    synthetic: tuple[Finite, ...]


class ColumnFidelity(_Part):
    """One column of the synthetic table, its ceiling (hold-out) and floor (independent columns).

    `shape` is 1 - KS distance for numbers, 1 - TV distance otherwise (`metric` says which).
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
    """Square tables over the columns `names`, symmetric.

    Attributes:
        names: modelled columns in schema order.
        tvd: total variation distance of each pair; the diagonal is the column's own.
        tvd_floor: the same of independent columns.
        association_real, association_synthetic: Pearson's r for two numbers, Cramér's V for two
            categories, the correlation ratio η for a mixed pair; the diagonal is 1.
    """

    names: tuple[str, ...]
    tvd: Matrix
    tvd_floor: Matrix
    association_real: Matrix
    association_synthetic: Matrix


class Fidelity(_Part):
    """How far the synthetic table's marginals are from the real ones.

    `figures`: synthetic, hold-out (ceiling), independent (floor), in that order.
    """

    figures: tuple[TableFigures, ...]
    columns: tuple[ColumnFidelity, ...]
    pairs: PairFidelity


class TargetUtility(_Part):
    """One question to one learner, trained on each of three tables, asked on the hold-out.

    Attributes:
        column: the column to predict.
        question: what is asked, in words.
        task: classification (metric AUC) or regression (metrics R2 and RMSE).
        learner: boosting or linear (logistic or ridge regression).
        metric: AUC and R2: higher is better; RMSE (in the column's unit): lower is better.
        real: trained on the real training rows: the ceiling.
        synthetic: trained on the synthetic table.
        independent: trained on independent columns: the floor.
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
    """Mean of one metric over all targets of one learner."""

    learner: Literal["boosting", "linear"]
    metric: Literal["AUC", "R2"]
    targets: int
    real: Finite
    synthetic: Finite
    independent: Finite


class Utility(_Part):
    """Train on synthetic, test on real."""

    means: tuple[MeanUtility, ...]
    targets: tuple[TargetUtility, ...]


class AttackedTable(_Part):
    """One attack on one published table.

    Attributes:
        role: the table under attack.
        success: success rate on training records (for membership: true positive rate).
        control: success rate on held-out records (for membership: false positive rate).
        advantage: scale * (success - control), in [-1, 1]; its interval decides.
        scale: 1, but for singling out with fewer held-out than training rows: their ratio (there).
        baseline: success rate of guessing without the table, where guessing is possible.
        attacks, controls: number of attempts behind the two rates. 0: the table offers nothing to
            attack, and the rates are 0.
        auc: area under the ROC curve of the membership score.
        tpr_at_fpr_01: true positive rate at a false positive rate of 1 %.
        epsilon_lower: ε that the attack proves at least (95 %); 0 where it proves nothing.
        within_claim: whether success <= e^ε control + δ is compatible with the data for the claimed
            (ε, δ); None without a claim, or where the attack is not about membership.
        flagged: the advantage is above 0 beyond its interval.
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
    """How much less the synthetic table tells an attacker than a reference table does.

    `reduction` = 1 - max(0, advantage on synthetic) / advantage on the reference; None where the
    attack has no advantage on the reference beyond its interval, so that there is nothing to reduce.
    """

    against: TableRole
    reduction: Estimate | None


class Attack(_Part):
    """One attack, on every table of the run.

    Attributes:
        name: short and stable (`membership`, `singling-out`, ...).
        title: for a heading.
        definition: what the attacker knows, does, and when it counts as success.
        source: literature.
        tables: synthetic first, then the references of the run.
        reductions: synthetic against pseudonymised and k-anonymised.
    """

    name: str
    title: str
    definition: str
    source: str
    tables: tuple[AttackedTable, ...]
    reductions: tuple[RiskReduction, ...] = ()

    def on(self, role: TableRole) -> AttackedTable | None:
        """The attack on one table, None where it was not attacked."""
        return next((table for table in self.tables if table.role == role), None)


class CopyRow(_Part):
    """Copies of real rows in one table: a check for accidents, **not** a measure of privacy.

    Attributes:
        role: which table.
        exact_train, exact_holdout: share of its rows equal to some real training or held-out row,
            both sides of equal size.
        near_train, near_holdout: the same for rows nearer than real rows are to each other (below
            the 5 % quantile of the distance from a training row to its nearest other one).
        closer_to_train: share of rows nearer to training than to held-out rows; 0.5 is expected.
    """

    role: TableRole
    exact_train: Finite
    exact_holdout: Finite
    near_train: Finite
    near_holdout: Finite
    closer_to_train: Finite


class Evaluation(_Part):
    """Everything measured about one synthetic table. `attacks` is () where none were run."""

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
        """Indented JSON."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = "evaluation") -> Self:
        """Read an evaluation; `source` is the name that the message gives the text.

        Raises:
            InputError: not JSON, or not an evaluation of this version.
        """
        return validated(cls, text, f"{source}: not an evaluation")

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read `evaluation.json`.

        Raises:
            InputError: missing, unreadable or not an evaluation.
        """
        return read_model(Path(path), cls, MAX_STATEMENT_BYTES, "not an evaluation")
