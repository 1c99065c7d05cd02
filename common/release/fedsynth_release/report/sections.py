"""The figures of an evaluation as rows of tables: fidelity, utility, attacks.

Nothing is computed from records here; every row repeats the evaluation with its references beside it,
and the light that `judgements.py` gives it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from fedsynth_release.evaluation.results import Attack, Evaluation, TableFigures, Utility
from fedsynth_release.report import plots
from fedsynth_release.report.judgements import (
    FAR,
    HIDDEN,
    NEAR,
    VISIBLE,
    Judgement,
    Light,
    attack_judgement,
    between,
    graded,
)

ROLES = {
    "synthetic": "synthetic records",
    "hold-out": "held-out real records",
    "independent": "independent columns",
    "pseudonymised": "real records without ids",
    "k-anonymised": "real records in groups of 5 or more",
    "leaky": "a generator that leaks on purpose",
}
"""Tables by role, in words that promise nothing."""


@dataclass(frozen=True)
class Row:
    """A figure between its references; None is printed as a dash."""

    name: str
    value: float | None
    floor: float | None
    ceiling: float | None
    light: Light
    note: str = ""


def fidelity_rows(evaluation: Evaluation) -> list[Row]:
    """Distances of the whole table."""
    figures = {f.role: f for f in evaluation.fidelity.figures}
    made, real, alone = (figures[r] for r in ("synthetic", "hold-out", "independent"))

    def row(name: str, field_name: str, light: Light, note: str) -> Row:
        return Row(name, *_three(field_name, made, alone, real), light, note)

    rows = [
        row(
            "distance of single columns",
            "tvd_1",
            graded(made.tvd_1, max(NEAR, 1.5 * real.tvd_1), FAR),
            "lower is better; independent columns lose nothing here",
        ),
        *(
            row(
                f"distance of {what}",
                name,
                between(*_three(name, made, alone, real)),
                "lower is better",
            )
            for name, what in (("tvd_2", "pairs of columns"), ("tvd_3", "triples of columns"))
        ),
        row(
            "lost or invented association",
            "association_difference",
            between(*_three("association_difference", made, alone, real)),
            "mean difference over all pairs; lower is better",
        ),
    ]
    if made.detection_auc is not None:
        light = graded(made.detection_auc, HIDDEN, VISIBLE)
        note = "a classifier that tells synthetic from real; 0.5 is a coin"
        rows.append(row("detection AUC", "detection_auc", light, note))
    return rows


def _three(
    name: str, made: TableFigures, alone: TableFigures, real: TableFigures
) -> tuple[float, float, float]:
    value, floor, ceiling = (getattr(figures, name) for figures in (made, alone, real))
    return value, floor, ceiling


def utility_rows(utility: Utility) -> list[Row]:
    """Means over the questions, one row per learner and metric."""
    return [
        Row(
            f"mean {mean.metric} of {mean.targets} questions, {mean.learner}",
            mean.synthetic,
            mean.independent,
            mean.real,
            between(mean.synthetic, mean.independent, mean.real),
            "trained on synthetic, asked on real; higher is better",
        )
        for mean in utility.means
    ]


def utility_plots(utility: Utility) -> list[Markup]:
    """A drawing per metric of which more is better, with a line per question and learner."""
    drawn = []
    for metric in ("AUC", "R2"):
        lines = [
            plots.Interval(
                label=f"{t.column} ({metric}, {t.learner})",
                value=t.synthetic,
                floor=t.independent,
                ceiling=t.real,
            )
            for t in utility.targets
            if t.metric == metric
        ]
        title = f"{metric}: synthetic (dot) between independent columns and real records"
        drawn += [plots.intervals(title, lines)] if lines else []
    return drawn


@dataclass(frozen=True)
class AttackView:
    """An attack with its judgement and its drawing."""

    attack: Attack
    judgement: Judgement
    plot: Markup
    roles: dict[str, str] = field(default_factory=lambda: ROLES)


def attack_views(attacks: Sequence[Attack]) -> list[AttackView]:
    """Every attack, the synthetic table first."""
    return [_attack(attack) for attack in attacks if attack.on("synthetic")]


def _attack(attack: Attack) -> AttackView:
    lines = [
        plots.Interval(
            label=ROLES[t.role],
            value=t.advantage.value,
            low=t.advantage.low,
            high=t.advantage.high,
        )
        for t in attack.tables
    ]
    made = attack.on("synthetic")
    judgement = (
        attack_judgement(made, attack.on("leaky")) if made else Judgement("unknown", "not run")
    )
    title = f"{attack.title}: advantage with 95 % intervals"
    return AttackView(attack, judgement, plots.intervals(title, lines, zero=True))
