"""Counts that no honest site can have sent: found from the noise that is known to be on them.

Every table of a site counts each of its records once and has discrete Gaussian noise of a known variance
s² in each cell. So the sum of a table of c cells estimates the site's number of records with variance
c s², all its tables must agree on that number, and no cell lies far below zero. An honest site fails
one of these checks with probability below 10⁻¹⁴ per number (`DEVIATIONS`; Canonne, Kamath & Steinke
2020, Prop. 25: the discrete Gaussian's tails are no heavier than the Gaussian's). A site that fails one
is left out of the study and named; nothing more is asked of it, so it is charged nothing more.

The last check is a choice, not a matter of noise: a site may be at most `LARGEST` times as large as the
plan declares, or as the median of the others, whichever is more, so that one site cannot own the result.

Not contained: wrong counts that are consistent, that is, invented or poisoned records. Their influence
is the site's share of all records.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from fedsynth_common.array_types import Float64Array
from fedsynth_server.aggregation.marginals import SizeEstimate

DEVIATIONS = 8.0
LARGEST = 50.0


def inconsistent(tables: Sequence[Float64Array], variance: float, size: SizeEstimate) -> str:
    """Why these counts cannot be those of a site of this size; empty if they can.

    Args:
        tables: the site's noisy counts.
        variance: noise variance of one cell.
        size: from the same counts, or from earlier ones of the same site.
    """
    if min(float(table.min()) for table in tables) < -DEVIATIONS * variance**0.5:
        return "a count lies further below zero than noise can bring it"
    sums = np.array([table.sum() for table in tables])
    variances = np.array([variance * table.size for table in tables])
    if (np.abs(sums - size.records) > DEVIATIONS * np.sqrt(variances + size.variance)).any():
        return "its tables disagree on how many records it has"
    return ""


def oversized(sizes: Mapping[str, SizeEstimate], declared: int) -> dict[str, str]:
    """Sites that are too large beside the plan and the others, and why."""
    reasons = {}
    for site, size in sizes.items():
        others = [other.records for name, other in sizes.items() if name != site]
        usual = max(float(declared), float(np.median(others)) if others else 0.0)
        if size.records > LARGEST * usual:
            reasons[site] = f"claims more than {LARGEST:g} times the records that the plan declares"
    return reasons
