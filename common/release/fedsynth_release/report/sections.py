"""Turns the figures of an evaluation into rows of tables: fidelity, utility and attacks.

Nothing is computed from records here. Every row repeats a figure of the evaluation, with its floor
and ceiling beside it and the light that `judgements.py` gives it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from fedsynth_release.evaluation.attack_results import Attack
from fedsynth_release.evaluation.results import Evaluation, TableFigures, Utility
from fedsynth_release.report import plots
from fedsynth_release.report.judgements import (
    FAR,
    HIDDEN,
    NEAR,
    VISIBLE,
    attack_judgement,
    between,
    graded,
)
from fedsynth_release.report.scores import Judgement, Light

ROLES = {
    "synthetic": "synthetic records",
    "hold-out": "held-out real records",
    "independent": "independent columns",
    "dealt": "real events dealt to persons at random",
    "pseudonymised": "real records without ids",
    "k-anonymised": "real records in groups of 5 or more",
    "leaky": "a generator that leaks on purpose",
}
"""The name of each table in the report, by its role. No name claims that a table is safe."""


@dataclass(frozen=True)
class Row:
    """A figure with its floor and its ceiling; the page prints None as a dash."""

    name: str
    value: float | None
    floor: float | None
    ceiling: float | None
    light: Light
    note: str = ""


def fidelity_rows(evaluation: Evaluation) -> list[Row]:
    """Distances of the whole synthetic table from the real training records."""
    figures = {f.role: f for f in evaluation.fidelity.figures}
    synthetic, floor, ceiling = (figures[r] for r in ("synthetic", "independent", "hold-out"))

    def row(name: str, field_name: str, light: Light, note: str) -> Row:
        return Row(name, *_three(field_name, synthetic, floor, ceiling), light, note)

    rows = [
        row(
            "distance of single columns",
            "tvd_1",
            graded(synthetic.tvd_1, max(NEAR, 1.5 * ceiling.tvd_1), FAR),
            "Lower is better. Independent columns keep single columns as they are, so they score "
            "well here.",
        ),
        *(
            row(
                f"distance of {what}",
                name,
                between(*_three(name, synthetic, floor, ceiling)),
                "Lower is better.",
            )
            for name, what in (("tvd_2", "pairs of columns"), ("tvd_3", "triples of columns"))
        ),
        row(
            "lost or invented association",
            "association_difference",
            between(*_three("association_difference", synthetic, floor, ceiling)),
            "This is the mean difference of association over all pairs of columns. Lower is better.",
        ),
    ]
    if synthetic.detection_auc is not None:
        light = graded(synthetic.detection_auc, HIDDEN, VISIBLE)
        note = (
            "A classifier tries to tell synthetic records from real ones. It scores 0.5 if it "
            "cannot, and 1 if it always can."
        )
        rows.append(row("detection AUC", "detection_auc", light, note))
    return rows


MOST_GIVEAWAYS, LEAST_GIVEAWAY = 5, 0.005


def giveaway_rows(evaluation: Evaluation) -> list[tuple[str, float]]:
    """The columns that help a classifier most to tell synthetic records from real ones."""
    fidelity = evaluation.fidelity
    names = [column.name for column in fidelity.columns]
    found = list(zip(names, fidelity.giveaways, strict=False))
    found.sort(key=lambda pair: -pair[1])
    return [pair for pair in found[:MOST_GIVEAWAYS] if pair[1] >= LEAST_GIVEAWAY]


def _three(
    name: str, synthetic: TableFigures, floor: TableFigures, ceiling: TableFigures
) -> tuple[float, float, float]:
    """One figure of three tables: its value, its floor and its ceiling."""
    return getattr(synthetic, name), getattr(floor, name), getattr(ceiling, name)


def utility_rows(utility: Utility, histories: bool = False) -> list[Row]:
    """Means over all questions, one row per learner and metric; of histories about the next event."""
    about = "next event: " if histories else ""
    return [
        Row(
            f"{about}mean {mean.metric} of {mean.targets} "
            f"question{'s' * (mean.targets != 1)}, {mean.learner}",
            mean.synthetic,
            mean.independent,
            mean.real,
            between(mean.synthetic, mean.independent, mean.real),
            "The models learn from the named table and are tested on held-out real records. "
            "Higher is better.",
        )
        for mean in utility.means
    ]


def utility_plots(utility: Utility) -> list[Markup]:
    """A drawing for each metric where higher is better, with a line per question and learner."""
    drawings = []
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
        drawings += [plots.intervals(title, lines)] if lines else []
    return drawings


@dataclass(frozen=True)
class AttackView:
    """One attack with its judgement, its drawing and the names of the tables."""

    attack: Attack
    judgement: Judgement
    plot: Markup
    roles: dict[str, str] = field(default_factory=lambda: ROLES)


def attack_views(attacks: Sequence[Attack]) -> list[AttackView]:
    """All attacks that were run on the synthetic table."""
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
    synthetic = attack.on("synthetic")
    judgement = (
        attack_judgement(synthetic, attack.on("leaky"))
        if synthetic
        else Judgement("unknown", "this attack was not run")
    )
    title = f"{attack.title}: advantage with 95 % intervals"
    return AttackView(attack, judgement, plots.intervals(title, lines, zero=True))
