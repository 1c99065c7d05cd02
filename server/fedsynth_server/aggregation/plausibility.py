"""Counts that no honest site can have sent: found from the noise that is known to be on them.

Every table of an order counts each record once and carries discrete Gaussian noise of a known variance
s² per cell. So the sum of a table of c cells estimates the site's number of records with variance
c s², all its tables must agree on that number, and no cell lies far below zero. An honest site fails
one of these checks with probability below 10⁻¹⁴ per number (`DEVIATIONS`; Canonne, Kamath & Steinke
2020, Prop. 25: the discrete Gaussian's tails are no heavier than the Gaussian's). A site that fails one
is left out of the study and named; nothing more is asked of it, so it is charged nothing more.

The last check is a choice, not a matter of noise: a site may be at most `LARGEST` times as large as the
plan declares, or as the median of the others, whichever is more, so that one site cannot own the result.

Not contained: wrong counts that are consistent, that is, invented or poisoned records. Their influence
is the site's share of all records.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedsynth_server.aggregation.marginal_queries import Order
from fedsynth_server.aggregation.marginals import Floats

DEVIATIONS = 8.0
LARGEST = 50.0


@dataclass(frozen=True)
class Size:
    """A site's number of records as its noisy tables estimate it, and that estimate's variance."""

    records: float
    variance: float


def size_of(order: Order, counts: bytes) -> Size:
    """The inverse-variance mean of the sums of all tables."""
    sums, variances = _sums(order, counts)
    precision = 1.0 / variances
    return Size(float((sums * precision).sum() / precision.sum()), float(1.0 / precision.sum()))


def inconsistent(order: Order, counts: bytes, size: Size) -> str:
    """Why these counts cannot be those of a site of this size; empty if they can.

    Args:
        order: what was asked.
        counts: the reply.
        size: from the same counts, or from earlier ones of the same site.
    """
    if min(float(table.min()) for table in order.read(counts)) < -DEVIATIONS * order.variance**0.5:
        return "a count lies further below zero than noise can bring it"
    sums, variances = _sums(order, counts)
    if (np.abs(sums - size.records) > DEVIATIONS * np.sqrt(variances + size.variance)).any():
        return "its tables disagree on how many records it has"
    return ""


def oversized(sizes: Mapping[str, Size], declared: int) -> dict[str, str]:
    """Sites that are too large beside the plan and the others, and why."""
    found = {}
    for site, size in sizes.items():
        others = [other.records for name, other in sizes.items() if name != site]
        usual = max(float(declared), float(np.median(others)) if others else 0.0)
        if size.records > LARGEST * usual:
            found[site] = f"claims more than {LARGEST:g} times the records that the plan declares"
    return found


def _sums(order: Order, counts: bytes) -> tuple[Floats, Floats]:
    """Sum of every table and its noise variance."""
    tables = order.read(counts)
    sums = np.array([table.sum() for table in tables])
    return sums, np.array([float(order.variance) * table.size for table in tables])
