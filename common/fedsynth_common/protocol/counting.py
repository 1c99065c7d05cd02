"""What a marginal counts, and by how much a privacy unit moves it: the one place that says so.

A person with histories has at most L events (`max_events`), in one row each. If one more person is in
the table, or one less, the counts of a marginal move by at most this much in L2 norm. The worst case
is a person whose counts all fall into one cell.

| over | one count for each | L2 sensitivity |
|---|---|---|
| RECORDS | record, of a table without histories | rows_per_person |
| PERSONS | person | 1 |
| EVENTS | event | L |
| NEXT | event that has a successor at distance `lag` | L - lag |

A marginal over events or pairs of events may have a *weight* W of at least L. The m events (or pairs)
of a person then share it: each adds W // m, rounded down. They add up to W at most, so that the
sensitivity is W, however many events a person has. A person with few events then counts as much as one
with many, and the noise as a share of all that is counted is L / (mean number of events) smaller.
"""

import math
from collections.abc import Sequence
from enum import IntEnum

from fedsynth_common.limits import MAX_LAG
from fedsynth_common.schema import Histories, Schema


class Over(IntEnum):
    """What a marginal counts; the numbers are those of `vault.proto`."""

    RECORDS = 0
    PERSONS = 1
    EVENTS = 2
    NEXT = 3


MAX_WEIGHT = 1_000
"""The largest weight that the events of a person share, as `CountsEvent` bounds sensitivities."""


def sensitivity(schema: Schema, over: Over, lag: int = 0, weight: int = 1) -> int:
    """The L2 sensitivity of a marginal: how far one privacy unit moves its counts.

    `weight` is what the events of a person share; with 1 each of them counts one.

    Raises:
        ValueError: the table has no such marginals.
    """
    if (histories := schema.histories) is None:
        if over is Over.RECORDS and lag == 0 and weight == 1:
            return schema.rows_per_person
    elif over is Over.PERSONS and lag == 0 and weight == 1:
        return 1
    elif _has_events(histories, over, lag):
        if histories.max_events <= weight <= MAX_WEIGHT:
            return weight
        if weight == 1 and over is Over.EVENTS:
            return histories.max_events
        if weight == 1:
            return histories.max_events - lag
    fault = f"no marginals over {over.name} at lag {lag} with weight {weight}"
    raise ValueError(f"schema {schema.name!r} has {fault}")


def _has_events(histories: Histories, over: Over, lag: int) -> bool:
    """Whether there are marginals over events, or over pairs of events, at this lag."""
    if over is Over.NEXT:
        return 1 <= lag <= min(MAX_LAG, histories.max_events - 1)
    return over is Over.EVENTS and lag == 0


def noise_multiplier(variances: Sequence[int], sensitivities: Sequence[int]) -> float:
    """Noise multiplier of a list of noisy marginals taken together.

    A privacy unit moves the counts of marginal k by at most `sensitivities[k]` in L2 norm, so the
    list is a Gaussian mechanism of multiplier 1 / sqrt(sum_k sensitivity_k^2 / variance_k).

    >>> noise_multiplier([100, 100, 100, 100], [1, 1, 1, 1])
    5.0
    >>> noise_multiplier([100, 900], [1, 3])
    7.0710678118654755
    """
    pairs = zip(sensitivities, variances, strict=True)
    return 1.0 / math.sqrt(sum(moved**2 / variance for moved, variance in pairs))
