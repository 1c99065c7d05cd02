"""Copies of real rows in a table: a check for accidents, and **not** a measure of privacy.

A generator that repeats training rows more often than it happens to hit held-out ones has memorised
them. The reverse does not hold: tables that pass every distance check can be open to membership
attacks ("The DCR Delusion", arXiv 2505.01524), so nothing here is called a risk. Equal numbers of
training and of held-out rows are compared with, or the larger side would be nearer by chance.
"""

import numpy as np

from fedsynth_release.evaluation.attacks.sides import Sides
from fedsynth_release.evaluation.features import Floats
from fedsynth_release.evaluation.gower import Gower
from fedsynth_release.evaluation.results import CopyRow, TableRole

NEAR_QUANTILE = 0.05


def copy_row(role: TableRole, published: Floats, sides: Sides) -> CopyRow:
    """Shares of at most `sides.attempts` rows of a table that are (nearly) real rows."""
    rng = sides.rng()
    asked = published[rng.permutation(len(published))[: sides.attempts]]
    size = min(len(sides.members), len(sides.controls))
    members, controls = (
        side[rng.permutation(len(side))[:size]] for side in (sides.members, sides.controls)
    )
    space = Gower.fit(np.concatenate([members, controls]), sides.categorical, "rank")
    to_members, to_controls = (space.nearest(asked, side)[0] for side in (members, controls))
    near = _near(space, members, rng.permutation(size)[: sides.attempts])
    closer = (to_members < to_controls) + 0.5 * (to_members == to_controls)
    return CopyRow(
        role=role,
        exact_train=float((to_members == 0).mean()),
        exact_holdout=float((to_controls == 0).mean()),
        near_train=float((to_members <= near).mean()),
        near_holdout=float((to_controls <= near).mean()),
        closer_to_train=float(closer.mean()),
    )


def _near(space: Gower, members: Floats, chosen: np.ndarray) -> float:
    """Distance below which 5 % of the members have another member."""
    others = np.delete(members, chosen, axis=0) if len(chosen) < len(members) else members[::2]
    asked = members[chosen] if len(chosen) < len(members) else members[1::2]
    if not len(asked) or not len(others):
        return 0.0
    return float(np.quantile(space.nearest(asked, others)[0], NEAR_QUANTILE))
