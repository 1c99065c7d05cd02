"""Sets the traffic lights of a report: how far a figure or a column can be trusted, and why.

A light never stands alone. Its reason names the figure and what the figure was compared with. The
thresholds are the constants of this file. The report prints them, and they are the same for every
study:

| what | good | fair | else |
|---|---|---|---|
| distance of one column, or mean over columns | <= 0.05, or as other real rows | <= 0.15 | poor |
| transitions of an event column | as other real rows, or >= 60 % of the way | >= 25 % | poor |
| relations of a column: share of their strength that is kept | >= 75 % | >= 40 % | poor |
| memory of an event column: share of its strength that is kept | >= 75 % | >= 40 % | poor |
| a figure between floor and ceiling | >= 60 % of the way | >= 25 % | poor |
| share of `other` in a column | <= 20 % | - | poor |
| detection AUC | <= 0.6 | <= 0.85 | poor |
| an attack on membership or attributes | not above its control | - | poor |

The coordinator has only noisy measurements to compare with. The expected error of a measurement is
therefore added to the distance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fedsynth_release.evaluation.attack_results import AttackedTable
from fedsynth_release.evaluation.history_results import ColumnOverTime
from fedsynth_release.evaluation.results import ColumnFidelity, PairFidelity
from fedsynth_release.measurements import MeasuredColumn, MeasuredPairs

Light = Literal["good", "fair", "poor", "unknown"]
ORDER: tuple[Light, ...] = ("unknown", "good", "fair", "poor")
NEAR, FAR = 0.05, 0.15
KEPT, PARTLY = 0.75, 0.40
MOST, SOME = 0.60, 0.25
MOST_OTHER = 0.20
HIDDEN, VISIBLE = 0.60, 0.85
STRONG = 0.1
"""Associations of the real table below this value are not counted as relations."""
SEEN = 0.02
"""Measured pairs that are less than this far from independence are not counted as relations."""


@dataclass(frozen=True)
class Judgement:
    """A light and the reason for it, in one sentence without a full stop."""

    light: Light
    reason: str


def worst(*judgements: Judgement) -> Light:
    """The least trustworthy light; the result is `unknown` only if all are unknown."""
    return max((judgement.light for judgement in judgements), key=ORDER.index)


def graded(value: float, good: float, fair: float) -> Light:
    """The light of a figure where lower is better."""
    return "good" if value <= good else "fair" if value <= fair else "poor"


def between(value: float, floor: float, ceiling: float) -> Light:
    """The light of a figure by how far it has come from its floor to its ceiling.

    It does not matter which of the two is larger.

    >>> between(0.8, floor=0.5, ceiling=0.9), between(0.08, floor=0.1, ceiling=0.0)
    ('good', 'poor')
    """
    if math.isclose(floor, ceiling, abs_tol=1e-9):
        return "unknown"
    way = (value - floor) / (ceiling - floor)
    return "good" if way >= MOST else "fair" if way >= SOME else "poor"


def values_of(column: ColumnFidelity) -> Judgement:
    """Whether one column has the same shares of values as in the real records."""
    light = graded(column.tvd, max(NEAR, 1.5 * column.tvd_ceiling), FAR)
    return Judgement(
        light,
        f"values: the distance from the real records is {column.tvd:.3f}; "
        f"other real records have {column.tvd_ceiling:.3f}",
    )


def other_share(share: float) -> Judgement:
    """Whether a column is more than a fifth `other`, so that drawn records say little about it."""
    if share <= MOST_OTHER:
        return Judgement("unknown", "")
    reason = (
        f"other: {share:.0%} of the records have a text that the schema does not list, so the column "
        "says little; list more categories"
    )
    return Judgement("poor", reason)


def relations_of(index: int, pairs: PairFidelity) -> Judgement:
    """Whether one column is related to the other columns as it is in the real records."""
    real, synthetic = pairs.association_real[index], pairs.association_synthetic[index]
    strong = [j for j, value in enumerate(real) if j != index and abs(value) >= STRONG]
    if not strong:
        none = f"relations: the real records have none with an association above {STRONG:g}"
        return Judgement("unknown", none)
    lost = sum(min(abs(synthetic[j] - real[j]), abs(real[j])) for j in strong)
    kept_share = 1 - lost / sum(abs(real[j]) for j in strong)
    return _kept(kept_share, f"the strength of {_many(len(strong))}")


def transitions_of(column: ColumnOverTime) -> Judgement:
    """Whether a column follows from its value at the previous event as it does for real persons."""
    reason = (
        f"transitions: from an event to the next the distance is {column.tvd:.3f}; other real persons "
        f"have {column.tvd_ceiling:.3f}, and events dealt to persons at random {column.tvd_floor:.3f}"
    )
    if column.tvd <= max(NEAR, 1.5 * column.tvd_ceiling):
        return Judgement("good", reason)
    return Judgement(between(column.tvd, column.tvd_floor, column.tvd_ceiling), reason)


def memory_of(column: ColumnOverTime) -> Judgement:
    """Whether a column is associated with its earlier values as strongly as it is for real persons."""
    known = [
        (abs(real), abs(real - made))
        for real, made in zip(column.real, column.synthetic, strict=True)
        if real is not None and made is not None and abs(real) >= STRONG
    ]
    if not known:
        none = f"memory: real persons have no association with earlier values above {STRONG:g}"
        return Judgement("unknown", none)
    share = 1 - sum(min(lost, real) for real, lost in known) / sum(real for real, _ in known)
    kept = _kept(share, "the association with earlier values")
    return Judgement(kept.light, kept.reason.replace("relations", "memory", 1))


def measured_values(column: MeasuredColumn, generator: Sequence[float]) -> Judgement:
    """Whether one column has the shares of values that were measured, judged by the coordinator.

    The distance is the expected error of the measurement plus the distance of the generator from
    the measurement. The expected error of one frequency is sqrt(2 / pi) standard deviations, and
    the total variation distance is half the sum over all codes.
    """
    noise = 0.5 * math.sqrt(2 / math.pi) * column.error * len(column.frequencies)
    pairs = zip(column.frequencies, generator, strict=True)
    learned = 0.5 * sum(abs(p - q) for p, q in pairs)
    return Judgement(
        graded(noise + learned, NEAR, FAR),
        f"values: the noise of the measurement is about {min(noise, 1.0):.3f}, and the generator's "
        f"distance from the measurement is {learned:.3f}",
    )


def measured_relations(index: int, pairs: MeasuredPairs | None) -> Judgement:
    """Whether the generator learned those relations that could be told from the noise."""
    if pairs is None:
        return Judgement("unknown", "relations: pairs of columns were not measured")
    row = pairs.dependence[index]
    related = [j for j, value in enumerate(row) if j != index and value >= SEEN]
    if not related:
        return Judgement("unknown", "relations: none could be told from the noise")
    lost = sum(min(pairs.distance[index][j], row[j]) for j in related)
    kept_share = 1 - lost / sum(row[j] for j in related)
    return _kept(kept_share, f"the measured strength of {_many(len(related))}")


def attack_judgement(attacked: AttackedTable, leaky: AttackedTable | None) -> Judgement:
    """Whether an attack succeeds more often on training records than on held-out records."""
    a = attacked.advantage
    advantage = f"the advantage is {a.value:.3f} (95 % interval {a.low:.3f} to {a.high:.3f})"
    if attacked.within_claim is False:
        reason = f"{advantage}, which is more than the claimed ε allows; do not release this table"
        return Judgement("poor", reason)
    if attacked.flagged:
        reason = f"{advantage}, and the whole interval lies above 0, so the attack found a leak"
        return Judgement("poor", reason)
    if leaky is not None and not leaky.flagged:
        reason = (
            f"{advantage}, but this says nothing, because the attack is too weak to find the leak "
            "in the generator that leaks on purpose"
        )
        return Judgement("unknown", reason)
    if attacked.attacks == 0:
        return Judgement("unknown", "the attack found nothing in the table that it could attack")
    reason = (
        f"{advantage}; the interval does not lie above 0, so the attack did not measurably succeed "
        "more often than on records that were never used"
    )
    return Judgement("good", reason)


def _kept(share: float, what: str) -> Judgement:
    light: Light = "good" if share >= KEPT else "fair" if share >= PARTLY else "poor"
    return Judgement(light, f"relations: {100 * max(0.0, share):.0f} % of {what} is kept")


def _many(count: int) -> str:
    return "one relation" if count == 1 else f"{count} relations"
