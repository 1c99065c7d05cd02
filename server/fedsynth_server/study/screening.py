"""Decides before a study whether a screening of triples is worth its part of the budget."""

import math

from fedsynth_common.schema import Schema
from fedsynth_server.aggregation.three_way import FEW, MOST_SCREENED
from fedsynth_server.study.calibration import mu_of_epsilon

SCREENING = 0.03
"""Share of μ² that the screening gets."""
SEEN = 2e-3
"""Largest standard deviation of the noise in a triple's energy with which a screening pays.

Where one column follows from two others, as a body mass index does, the energy is .01 to .1. Among the
triples of krkopt, where no three columns say everything, the mean is 2e-4 (simulations/RESULTS.md).
"""


def screening_pays(
    table: Schema, sites: int, shares: int, records_per_site: int, epsilon: float, delta: float
) -> bool:
    """Whether interactions of three columns can be told from the noise; from public facts alone.

    Args:
        table: the schema.
        sites: how many take part.
        shares: of how many sites the noise is made (`Plan.noise_shares`).
        records_per_site: as declared.
        epsilon: of the whole study.
        delta: of the whole study.
    """
    triples = min(math.comb(len(table.modelled), 3), MOST_SCREENED)
    if not triples or table.histories is not None:
        return False
    cells, free, records = FEW**3, (FEW - 1) ** 3, records_per_site * sites
    made = triples * table.rows_per_person**2 / (SCREENING * mu_of_epsilon(epsilon, delta) ** 2)
    variance = made * sites / shares / records**2 + 1 / (records * cells)
    return math.sqrt(2 * free) * variance <= SEEN
