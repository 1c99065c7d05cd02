"""Counts copies of real rows in a table, to find accidents.

This check does **not** measure privacy.

Some rows of a table equal real rows by chance. If a table repeats training rows more often than
held-out rows, its generator has memorised training rows. The reverse does not hold. Tables that
pass every distance check can still be open to membership attacks ("The DCR Delusion", arXiv
2505.01524), so no figure here is called a risk. The table is compared with equally many training
and held-out rows, because with more rows the nearest one is nearer by chance.
"""

import numpy as np

from fedsynth_common.array_types import Float64Array
from fedsynth_release.evaluation.attack_results import CopyRow
from fedsynth_release.evaluation.attacks.attack_setup import AttackSetup
from fedsynth_release.evaluation.gower import Gower
from fedsynth_release.evaluation.result_parts import TableRole

NEAR_QUANTILE = 0.05


def copy_row(role: TableRole, published: Float64Array, setup: AttackSetup) -> CopyRow:
    """Shares of at most `setup.attempts` rows of a table that are (nearly) real rows."""
    rng = setup.rng()
    queries = published[rng.permutation(len(published))[: setup.attempts]]
    size = min(len(setup.members), len(setup.controls))
    members, controls = (
        side[rng.permutation(len(side))[:size]] for side in (setup.members, setup.controls)
    )
    space = Gower.fit(np.concatenate([members, controls]), setup.categorical, "rank")
    to_members, to_controls = (space.nearest(queries, side)[0] for side in (members, controls))
    near = _near(space, members, rng.permutation(size)[: setup.attempts])
    closer = (to_members < to_controls) + 0.5 * (to_members == to_controls)
    return CopyRow(
        role=role,
        exact_train=float((to_members == 0).mean()),
        exact_holdout=float((to_controls == 0).mean()),
        near_train=float((to_members <= near).mean()),
        near_holdout=float((to_controls <= near).mean()),
        closer_to_train=float(closer.mean()),
    )


def _near(space: Gower, members: Float64Array, chosen: np.ndarray) -> float:
    """The distance within which 5 % of the chosen members have another member."""
    others = np.delete(members, chosen, axis=0) if len(chosen) < len(members) else members[::2]
    queries = members[chosen] if len(chosen) < len(members) else members[1::2]
    if not len(queries) or not len(others):
        return 0.0
    return float(np.quantile(space.nearest(queries, others)[0], NEAR_QUANTILE))
