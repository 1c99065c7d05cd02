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
"""

import math
from collections.abc import Sequence
from enum import IntEnum

from fedsynth_common.limits import MAX_LAG
from fedsynth_common.schema import Schema


class Over(IntEnum):
    """What a marginal counts; the numbers are those of `vault.proto`."""

    RECORDS = 0
    PERSONS = 1
    EVENTS = 2
    NEXT = 3


def sensitivity(schema: Schema, over: Over, lag: int = 0) -> int:
    """The L2 sensitivity of a marginal: how far one privacy unit moves its counts.

    Raises:
        ValueError: the table has no such marginals.
    """
    if (histories := schema.histories) is None:
        if over is Over.RECORDS and lag == 0:
            return schema.rows_per_person
    elif over is Over.PERSONS and lag == 0:
        return 1
    elif over is Over.EVENTS and lag == 0:
        return histories.max_events
    elif over is Over.NEXT and 1 <= lag <= min(MAX_LAG, histories.max_events - 1):
        return histories.max_events - lag
    raise ValueError(f"schema {schema.name!r} has no marginals over {over.name} at lag {lag}")


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
