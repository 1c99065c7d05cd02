"""Sets the traffic lights of a report that has an evaluation: how far a column can be trusted, and why.

A light never stands alone. Its reason names the figure and what the figure was compared with. Every
light is that of a score from 0 to 100 (`scores.py`). The thresholds are the constants of this file.
The report prints them, and they are the same for every study:

| what | good | fair | else |
|---|---|---|---|
| distance of one column, or mean over columns | <= 0.05, or as other real rows | <= 0.15 | poor |
| mean of a number, in standard deviations | <= 0.1 off | <= 0.3 | poor |
| standard deviation of a number | <= 20 % off | <= 50 % | poor |
| transitions of an event column | as other real rows, or >= 60 % of the way | >= 25 % | poor |
| relations of a column: share of their strength that is kept | >= 75 % | >= 40 % | poor |
| memory of an event column: share of its strength that is kept | >= 75 % | >= 40 % | poor |
| a figure between floor and ceiling | >= 60 % of the way | >= 25 % | poor |
| share of `other` in a column | <= 20 % | - | poor |
| detection AUC | <= 0.6 | <= 0.85 | poor |
| an attack on membership or attributes | not above its control | - | poor |

The coordinator has only noisy measurements; `measured_judgements.py` says what it can know.
"""

from fedsynth_release.evaluation.attack_results import AttackedTable
from fedsynth_release.evaluation.history_results import ColumnOverTime
from fedsynth_release.evaluation.results import ColumnFidelity, PairFidelity
from fedsynth_release.report import scores
from fedsynth_release.report.scores import Judgement, Light, falling, light_of, rising, scored

NEAR, FAR, APART = 0.05, 0.15, 0.45
KEPT, PARTLY = 0.75, 0.40
MOST, SOME = 0.60, 0.25
MEAN_OFF = (0.1, 0.3, 1.0)
"""Difference of the mean, in standard deviations of the real records: good, fair, worth nothing."""
SPREAD_OFF = (0.2, 0.5, 1.5)
"""Difference of the standard deviation, as a share of the real one."""
MOST_OTHER = 0.20
HIDDEN, VISIBLE = 0.60, 0.85
STRONG = 0.1
"""Associations of the real table below this value are not counted as relations."""


def graded(value: float, good: float, fair: float) -> Light:
    """The light of a figure where lower is better."""
    return light_of(falling(value, good, fair, 3 * fair))


def between(value: float, floor: float, ceiling: float) -> Light:
    """The light of a figure by how far it has come from its floor to its ceiling.

    >>> between(0.8, floor=0.5, ceiling=0.9), between(0.08, floor=0.1, ceiling=0.0)
    ('good', 'poor')
    """
    return scores.between(value, floor, ceiling, MOST, SOME).light or "unknown"


def values_of(column: ColumnFidelity) -> Judgement:
    """Whether one column has the same shares of values as in the real records."""
    near = max(NEAR, 1.5 * column.tvd_ceiling)
    score = falling(column.tvd, near, max(FAR, near), max(APART, 3 * near))
    return scored(
        score,
        f"values: the distance from the real records is {column.tvd:.3f}; "
        f"other real records have {column.tvd_ceiling:.3f}",
    )


def amounts_of(column: ColumnFidelity) -> Judgement:
    """Whether a number has the mean and the spread of the real records."""
    both = column.amounts
    if both is None:
        return Judgement(None, "")
    score = min(falling(both.mean_off, *MEAN_OFF), falling(both.spread_off, *SPREAD_OFF))
    wider = "wider" if both.synthetic.sd > both.real.sd else "narrower"
    return scored(
        score,
        f"amounts: the mean is off by {both.mean_off:.2f} standard deviations, and the values are "
        f"spread {100 * both.spread_off:.0f} % {wider}",
    )


def other_share(share: float) -> Judgement:
    """Whether a column is more than a fifth `other`, so that drawn records say little about it."""
    if share <= MOST_OTHER:
        return Judgement(None, "")
    reason = (
        f"other: {share:.0%} of the records have a text that the schema does not list, so the column "
        "says little; list more categories"
    )
    return scored(min(scores.FAIR - 1, 100 * (1 - share) / 2), reason)


def relations_of(index: int, pairs: PairFidelity) -> Judgement:
    """Whether one column is related to the other columns as it is in the real records."""
    real, synthetic = pairs.association_real[index], pairs.association_synthetic[index]
    strong = [j for j, value in enumerate(real) if j != index and abs(value) >= STRONG]
    if not strong:
        none = f"relations: the real records have none with an association above {STRONG:g}"
        return Judgement(None, none)
    lost = sum(min(abs(synthetic[j] - real[j]), abs(real[j])) for j in strong)
    kept_share = 1 - lost / sum(abs(real[j]) for j in strong)
    return kept("relations", kept_share, f"the strength of {many(len(strong))}")


def transitions_of(column: ColumnOverTime) -> Judgement:
    """Whether a column follows from its value at the previous event as it does for real persons."""
    reason = (
        f"transitions: from an event to the next the distance is {column.tvd:.3f}; other real persons "
        f"have {column.tvd_ceiling:.3f}, and events dealt to persons at random {column.tvd_floor:.3f}"
    )
    near = max(NEAR, 1.5 * column.tvd_ceiling)
    if column.tvd <= near:
        return scored(falling(column.tvd, near, 2 * near, 3 * near), reason)
    way = scores.between(column.tvd, column.tvd_floor, column.tvd_ceiling, MOST, SOME)
    return Judgement(way.light, reason, way.score)


def memory_of(column: ColumnOverTime) -> Judgement:
    """Whether a column is associated with its earlier values as strongly as it is for real persons."""
    known = [
        (abs(real), abs(real - made))
        for real, made in zip(column.real, column.synthetic, strict=True)
        if real is not None and made is not None and abs(real) >= STRONG
    ]
    if not known:
        none = f"memory: real persons have no association with earlier values above {STRONG:g}"
        return Judgement(None, none)
    share = 1 - sum(min(lost, real) for real, lost in known) / sum(real for real, _ in known)
    return kept("memory", share, "the association with earlier values")


def kept(aspect: str, share: float, what: str) -> Judgement:
    """A judgement by the share of some strength that is kept."""
    score = rising(share, KEPT, PARTLY)
    return scored(score, f"{aspect}: {100 * max(0.0, share):.0f} % of {what} is kept")


def many(count: int) -> str:
    """So many relations, in words."""
    return "one relation" if count == 1 else f"{count} relations"


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
