"""The results of attacks and of the check for copies, as `evaluation.json` contains them."""

from fedsynth_release.evaluation.result_parts import Estimate, Finite, Part, TableRole


class AttackedTable(Part):
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


class RiskReduction(Part):
    """How much smaller an attacker's advantage is on the synthetic than on a reference table.

    `reduction` is 1 - max(0, advantage on synthetic) / advantage on the reference. It is None if
    the interval of the advantage on the reference contains 0, because then there is nothing to
    reduce.
    """

    against: TableRole
    reduction: Estimate | None


class Attack(Part):
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


class CopyRow(Part):
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
