"""Sets the lights of a report without real records: what noisy measurements say of a column.

The aspects and the scale are those of `judgements.py`, but every figure is what is to be expected
(`expected.py`, `expected_relations.py`, `number_tails.py`) and not what was found. Where more than
`MOST_HIDDEN` of what a column's relations may be is noise, the light is *unknown*, whatever the
expectation: that no relation stood out from the noise does not mean that there is none. The light of
the relations is that of what noise may hide, so that it promises too little. Their score, by which
columns are ranked, is that of what is usual: most pairs of columns are hardly related.

A number that was measured in few cells is not good, even if the share of each cell is well known.
This sets its light and not its score, because a report with real records has no such figure.
"""

import math
from dataclasses import replace

import numpy as np

from fedsynth_common.array_types import BoolArray
from fedsynth_release.measurements import MeasuredPairs, MeasuredTransition
from fedsynth_release.report.expected import MeasuredShares, expected_distance
from fedsynth_release.report.expected_relations import expected_relations
from fedsynth_release.report.judgements import (
    APART,
    FAR,
    KEPT,
    MOST,
    NEAR,
    PARTLY,
    SOME,
    kept,
    many,
)
from fedsynth_release.report.number_tails import tails_of
from fedsynth_release.report.scores import Judgement, between, falling, rising, scored

MOST_HIDDEN = 0.5
NO_RELATION = 0.95
"""Probability from which a column is taken to have no relation."""
FEW, SOME_CELLS = 3, 5
"""A number whose many values were measured in at most so many cells is poor, or at best fair."""
TAILS = (0.9, 0.98, 1.1)
"""Share of a number's variance that lies in unmeasured tails: good, fair, worth nothing."""
MEAN_MOVED = (0.1, 0.4, 2.0)
"""By how many standard deviations noise in the tails can move the mean."""
SPREAD_WIDER = (0.5, 3.0, 8.0)
"""By which share noise in the tails can widen the standard deviation."""


def measured_values(
    column: MeasuredShares, generator: np.ndarray, ceiling: float = 0.0
) -> Judgement:
    """Whether one column is likely to have the real shares of values, and how near it can be."""
    distance = expected_distance(column, generator)
    return scored(
        falling(distance, NEAR, FAR, APART),
        f"values: the expected distance from the real records is {distance:.3f}",
    )


def measured_cells(column: MeasuredShares) -> Judgement:
    """Whether the values of a number were measured finely enough to tell them apart."""
    domain = column.domain
    if not domain.ordered:
        return Judgement(None, "")
    codes = np.unique(column.view[column.in_order]).size
    if codes > SOME_CELLS or codes == domain.atoms + domain.leaves:
        return Judgement(None, "")
    reason = f"cells: its values were measured in {codes} coarse cells"
    return Judgement("poor" if codes <= FEW else "fair", reason)


def measured_amounts(column: MeasuredShares, calculated: bool) -> Judgement:
    """Whether a number's mean and spread rest on what was measured; `calculated`: they are used."""
    if not calculated:
        return Judgement(None, "")
    tails = tails_of(column)
    if math.isinf(tails.mean):
        return scored(0.0, "amounts: nothing of its spread was measured")
    score = min(
        falling(tails.share, *TAILS),
        falling(tails.mean, *MEAN_MOVED),
        falling(tails.spread, *SPREAD_WIDER),
    )
    return scored(
        score,
        f"amounts: {100 * tails.share:.0f} % of the spread lies in tails that cannot be told from "
        f"noise, which can move the mean by {tails.mean:.2f} standard deviations and widen the spread "
        f"by {100 * tails.spread:.0f} %",
    )


def measured_relations(index: int, pairs: MeasuredPairs | None, numbers: BoolArray) -> Judgement:
    """Whether the generator is likely to have kept a column's relations with the others."""
    if pairs is None or pairs.associations is None:
        return Judgement("unknown", "relations: the strength of pairs of columns was not measured")
    if not any(pairs.associations.known[index]):
        return Judgement("unknown", "relations: no pair with this column was measured")
    found = expected_relations(index, pairs.associations, numbers)
    if found.none >= NO_RELATION:
        return Judgement(None, "relations: it is unlikely that any is as strong as 0.1")
    count = max(1, round(found.count))
    whole = found.none + (1 - found.none) * found.kept
    judgement = kept("relations", whole, f"the likely strength of about {many(count)}")
    score = rising(found.usual, KEPT, PARTLY)
    if found.hidden <= MOST_HIDDEN:
        return replace(judgement, score=score)
    reason = (
        f"relations: noise hides {100 * found.hidden:.0f} % of what they may be; about "
        f"{100 * found.kept:.0f} % of their strength is likely to be kept"
    )
    return Judgement("unknown", reason, score)


def with_persons_alone(relations: Judgement) -> Judgement:
    """The relations of a column of events, of which only those with columns of persons are known."""
    if relations.light == "poor":
        return relations
    reason = f"{relations.reason}; those with other columns of events are not known"
    return Judgement("unknown", reason, relations.score)


def measured_transition(found: MeasuredTransition | None) -> Judgement:
    """Whether a column of events is likely to follow from its value at the previous event."""
    if found is None:
        return Judgement(
            "unknown", "transitions: how it follows from event to event was not measured"
        )
    distance = min(1.0, found.learned + found.noise)
    reason = (
        f"transitions: from an event to the next the expected distance is {distance:.3f}; events that "
        f"follow each other by chance have {found.chance:.3f}"
    )
    if distance <= NEAR:
        return scored(falling(distance, NEAR, 2 * NEAR, 3 * NEAR), reason)
    if found.noise >= found.chance:
        return Judgement("unknown", f"{reason}, and noise hides whether there is more than chance")
    way = between(distance, found.chance, 0.0, MOST, SOME)
    return Judgement(way.light, reason, way.score)
