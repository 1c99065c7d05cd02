"""Traffic lights: how far a figure, or a column, can be trusted, and why.

A light is never shown alone: its reason names the figure and the references beside it. Thresholds are
constants of this file, printed in the report, and the same for every study:

| what | good | fair | else |
|---|---|---|---|
| distance of one column, or of single columns | <= 0.05, or as other real rows | <= 0.15 | poor |
| relations of a column: share of their strength that is kept | >= 75 % | >= 40 % | poor |
| a figure between floor and ceiling | >= 60 % of the way | >= 25 % | poor |
| detection AUC | <= 0.6 | <= 0.85 | poor |
| an attack on membership or attributes | not above its control | - | poor |

At the coordinator the reference is a noisy measurement, so its expected error counts as distance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fedsynth_release.evaluation.results import AttackedTable, ColumnFidelity, PairFidelity
from fedsynth_release.measurements import MeasuredColumn, MeasuredPairs

Light = Literal["good", "fair", "poor", "unknown"]
ORDER: tuple[Light, ...] = ("unknown", "good", "fair", "poor")
NEAR, FAR = 0.05, 0.15
KEPT, PARTLY = 0.75, 0.40
MOST, SOME = 0.60, 0.25
HIDDEN, VISIBLE = 0.60, 0.85
STRONG = 0.1
"""Associations of the real table below this are not counted as relations."""
SEEN = 0.02
"""The same for the distance of a measured pair from independent columns."""


@dataclass(frozen=True)
class Judgement:
    """A light and the reason for it, in one sentence without a full stop."""

    light: Light
    reason: str


def worst(*judgements: Judgement) -> Light:
    """The least trustworthy light; `unknown` counts only where there is nothing else."""
    return max((judgement.light for judgement in judgements), key=ORDER.index)


def graded(value: float, good: float, fair: float) -> Light:
    """A light for a figure of which less is better."""
    return "good" if value <= good else "fair" if value <= fair else "poor"


def between(value: float, floor: float, ceiling: float) -> Light:
    """A light for a figure by its way from the floor to the ceiling, whichever is larger.

    >>> between(0.8, floor=0.5, ceiling=0.9), between(0.08, floor=0.1, ceiling=0.0)
    ('good', 'poor')
    """
    if math.isclose(floor, ceiling, abs_tol=1e-9):
        return "unknown"
    way = (value - floor) / (ceiling - floor)
    return "good" if way >= MOST else "fair" if way >= SOME else "poor"


def values_of(column: ColumnFidelity) -> Judgement:
    """Whether the values of one column are those of the real records."""
    light = graded(column.tvd, max(NEAR, 1.5 * column.tvd_ceiling), FAR)
    return Judgement(
        light,
        f"values: distance {column.tvd:.3f} from the real ones; "
        f"other real records have {column.tvd_ceiling:.3f}",
    )


def relations_of(index: int, pairs: PairFidelity) -> Judgement:
    """Whether the column goes together with the others as it does in the real records."""
    real, made = pairs.association_real[index], pairs.association_synthetic[index]
    strong = [j for j, value in enumerate(real) if j != index and abs(value) >= STRONG]
    if not strong:
        return Judgement("unknown", f"relations: none above {STRONG:g} in the real records")
    lost = sum(min(abs(made[j] - real[j]), abs(real[j])) for j in strong)
    kept = 1 - lost / sum(abs(real[j]) for j in strong)
    return _kept(kept, f"the strength of {_many(len(strong))}")


def measured_values(column: MeasuredColumn, generator: Sequence[float]) -> Judgement:
    """The same at the coordinator: expected error of the measurement plus what was not learned.

    The expected error of a cell is sqrt(2 / pi) standard deviations; total variation is half its sum.
    """
    noise = 0.5 * math.sqrt(2 / math.pi) * column.error * len(column.frequencies)
    pairs = zip(column.frequencies, generator, strict=True)
    learned = 0.5 * sum(abs(p - q) for p, q in pairs)
    return Judgement(
        graded(noise + learned, NEAR, FAR),
        f"values: noise of the measurement about {min(noise, 1.0):.3f}, "
        f"generator {learned:.3f} from what was measured",
    )


def measured_relations(index: int, pairs: MeasuredPairs | None) -> Judgement:
    """Whether the generator learned the relations that stood out from the noise."""
    if pairs is None:
        return Judgement("unknown", "relations: pairs of columns were not measured")
    row = pairs.dependence[index]
    seen = [j for j, value in enumerate(row) if j != index and value >= SEEN]
    if not seen:
        return Judgement("unknown", "relations: none stood out from the noise")
    lost = sum(min(pairs.distance[index][j], row[j]) for j in seen)
    kept = 1 - lost / sum(row[j] for j in seen)
    return _kept(kept, f"the measured strength of {_many(len(seen))}")


def attack_judgement(attacked: AttackedTable, leaky: AttackedTable | None) -> Judgement:
    """Whether an attack works on the synthetic table better than on people it never saw."""
    a = attacked.advantage
    found = f"advantage {a.value:.3f} [{a.low:.3f}, {a.high:.3f}]"
    if attacked.within_claim is False:
        return Judgement("poor", f"{found}: more than the claimed ε allows; do not release")
    if attacked.flagged:
        return Judgement("poor", f"{found}: above nothing beyond its interval")
    if leaky is not None and not leaky.flagged:
        return Judgement("unknown", f"{found}; the attack does not even find the leak on purpose")
    if attacked.attacks == 0:
        return Judgement("unknown", "nothing to attack was found")
    return Judgement("good", f"{found}: no more success than on records the table never saw")


def _kept(kept: float, what: str) -> Judgement:
    light: Light = "good" if kept >= KEPT else "fair" if kept >= PARTLY else "poor"
    return Judgement(light, f"relations: {100 * max(0.0, kept):.0f} % of {what} kept")


def _many(count: int) -> str:
    return "one relation" if count == 1 else f"{count} relations"
