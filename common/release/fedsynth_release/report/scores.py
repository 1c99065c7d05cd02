"""The scale of a report: a score from 0 to 100, the light that belongs to it, and a judgement.

A report with real records and one without judge on the same scale, so that their lights can be
compared: `GOOD` and more is good, `FAIR` and more is fair, less is poor. *Unknown* is a verdict of its
own: what the report is made from does not say whether the column can be trusted. It is worse than
fair, because nobody may rely on such a column, and better than poor, because poor is known.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from fedsynth_release.statement import quality

Light = quality.Light
ORDER: tuple[Light, ...] = ("good", "fair", "unknown", "poor")
GOOD, FAIR = 75.0, 40.0


@dataclass(frozen=True)
class Judgement:
    """What one aspect of a column or figure is worth.

    Attributes:
        light: the light; None if the aspect says nothing about this column.
        reason: why, in one sentence without a full stop; empty if there is nothing to say.
        score: 0 to 100; None where there is no figure.
    """

    light: Light | None
    reason: str
    score: float | None = None


def scored(score: float, reason: str) -> Judgement:
    """A judgement whose light is that of its score."""
    return Judgement(light_of(score), reason, score)


def light_of(score: float) -> Light:
    """The light of a score.

    >>> light_of(80.0), light_of(50.0), light_of(10.0)
    ('good', 'fair', 'poor')
    """
    return "good" if score >= GOOD else "fair" if score >= FAIR else "poor"


def worst(judgements: Iterable[Judgement]) -> Light:
    """The least trustworthy light; `unknown` if no aspect says anything."""
    lights = [judgement.light for judgement in judgements if judgement.light]
    return max(lights, key=ORDER.index) if lights else "unknown"


def mean_score(judgements: Iterable[Judgement]) -> float | None:
    """The mean score of the aspects that have one; None if no aspect has."""
    found = [judgement.score for judgement in judgements if judgement.score is not None]
    return sum(found) / len(found) if found else None


def falling(value: float, good: float, fair: float, nothing: float) -> float:
    """The score of a figure where lower is better, with straight lines between the thresholds.

    >>> [falling(x, good=0.05, fair=0.15, nothing=0.45) for x in (0.0, 0.05, 0.15, 0.9)]
    [100.0, 75.0, 40.0, 0.0]
    """
    points = ((0.0, 100.0), (good, GOOD), (fair, FAIR), (nothing, 0.0))
    for (x, score), (next_x, next_score) in pairwise(points):
        if value <= next_x:
            share = (value - x) / (next_x - x) if next_x > x else 1.0
            return score + min(1.0, max(0.0, share)) * (next_score - score)
    return 0.0


def rising(way: float, good: float, fair: float) -> float:
    """The score of a share that should be high: 0 at 0, and 100 at 1.

    >>> [rising(x, good=0.6, fair=0.25) for x in (-1.0, 0.25, 0.6, 1.2)]
    [0.0, 40.0, 75.0, 100.0]
    """
    return falling(1 - way, 1 - good, 1 - fair, 1.0)


def between(value: float, floor: float, ceiling: float, good: float, fair: float) -> Judgement:
    """A figure by how far it has come from its floor to its ceiling, whichever is larger.

    >>> between(0.8, floor=0.5, ceiling=0.9, good=0.6, fair=0.25).light
    'good'
    """
    if math.isclose(floor, ceiling, abs_tol=1e-9):
        return Judgement("unknown", "")
    return scored(rising((value - floor) / (ceiling - floor), good, fair), "")
