"""An evaluation of `small_study`'s generator with made-up figures, as tests of the report use it."""

from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.attack_results import Attack, AttackedTable, CopyRow, RiskReduction
from fedsynth_release.evaluation.result_parts import Estimate
from fedsynth_release.evaluation.results import (
    ColumnFidelity,
    Evaluation,
    Fidelity,
    Histogram,
    MeanUtility,
    PairFidelity,
    Settings,
    Sizes,
    TableFigures,
    TargetUtility,
    Utility,
)


def figures(role: str, tvd: float) -> TableFigures:
    return TableFigures(
        role=role,
        tvd_1=tvd,
        tvd_2=2 * tvd,
        tvd_3=3 * tvd,
        column_shapes=1 - tvd,
        association_difference=tvd,
        detection_auc=0.5 + tvd,
    )


def column(name: str, kind: str, labels: tuple[str, ...], tvd: float) -> ColumnFidelity:
    cells = len(labels) or 3
    shares = (0.9 / cells,) * cells
    return ColumnFidelity(
        name=name,
        kind=kind,
        tvd=tvd,
        tvd_ceiling=0.01,
        metric="TVComplement" if labels else "KSComplement",
        shape=1 - tvd,
        shape_ceiling=0.99,
        missing_real=0.1,
        missing_synthetic=0.1,
        histogram=Histogram(
            edges=() if labels else (0.0, 30.5, 60.0, 99.0),
            labels=labels,
            real=shares,
            synthetic=tuple(reversed(shares)),
        ),
    )


def square(size: int, value: float, diagonal: float) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(diagonal if i == j else value for j in range(size)) for i in range(size))


def attacked(role: str, advantage: float, flagged: bool, **more) -> AttackedTable:
    def around(value: float) -> Estimate:
        return Estimate(value=value, low=value - 0.05, high=value + 0.05)

    fields = {
        "role": role,
        "success": around(0.3 + advantage),
        "control": around(0.3),
        "advantage": around(advantage),
        "attacks": 200,
        "controls": 200,
        "flagged": flagged,
    }
    return AttackedTable(**(fields | more))


def make_attack(advantage: float = 0.0, flagged: bool = False, **more) -> Attack:
    return Attack(
        name="membership",
        title="Was this person in the table?",
        definition="The attacker knows a record and asks whether it was among the training records.",
        source="Stadler, Oprisanu & Troncoso 2022",
        tables=(
            attacked("synthetic", advantage, flagged, **more),
            attacked("hold-out", 0.0, False),
            attacked("leaky", 0.6, True),
        ),
        reductions=(
            RiskReduction(
                against="pseudonymised", reduction=Estimate(value=0.9, low=0.8, high=1.0)
            ),
            RiskReduction(against="k-anonymised", reduction=None),
        ),
    )


def make_evaluation(schema: Schema, **changes) -> Evaluation:
    names = [c.name for c in schema.modelled]
    columns = tuple(
        column(c.name, c.kind, getattr(c, "categories", ()), 0.02 + 0.08 * place)
        for place, c in enumerate(schema.modelled)
    )
    size = len(names)
    task = {"question": "which?", "task": "classification", "metric": "AUC"}
    fields = {
        "table": schema.name,
        "target": schema.target,
        "sizes": Sizes(train=900, holdout=300, synthetic=900, columns=size),
        "settings": Settings(seed=1, quick=True, max_rows=None, max_attacks=200),
        "seconds": 1.0,
        "fidelity": Fidelity(
            figures=(
                figures("synthetic", 0.03),
                figures("hold-out", 0.01),
                figures("independent", 0.1),
            ),
            columns=columns,
            pairs=PairFidelity(
                names=tuple(names),
                tvd=square(size, 0.05, 0.02),
                tvd_floor=square(size, 0.2, 0.02),
                association_real=square(size, 0.4, 1.0),
                association_synthetic=square(size, 0.35, 1.0),
            ),
        ),
        "utility": Utility(
            means=(
                MeanUtility(
                    learner="boosting",
                    metric="AUC",
                    targets=2,
                    real=0.9,
                    synthetic=0.85,
                    independent=0.5,
                ),
            ),
            targets=tuple(
                TargetUtility(
                    column=name,
                    learner="boosting",
                    real=0.9,
                    synthetic=0.8,
                    independent=0.5,
                    **task,
                )
                for name in names[:2]
            ),
        ),
        "attacks": (make_attack(),),
        "copies": (
            CopyRow(
                role="synthetic",
                exact_train=0.01,
                exact_holdout=0.01,
                near_train=0.05,
                near_holdout=0.05,
                closer_to_train=0.5,
            ),
        ),
        "notes": ("a note of the evaluation",),
    }
    return Evaluation(**(fields | changes))
