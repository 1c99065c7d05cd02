"""Linkability: do two files, each with other columns of a person, belong to the same person?

The attacker has two files without a common key, one with half of the columns, one with the other
half, and links a record of the first to one of the second if the same published row is nearest to
both (Giomi et al. 2023, Anonymeter, with one neighbour). The halves take columns in turn (1st, 3rd,
...; 2nd, 4th, ...), so that both hold whatever kinds the table has. Success: the two halves of one
record are linked. `baseline` is the rate of random links.
"""

import numpy as np

from fedsynth_release.evaluation.attacks.sides import Sides, attacked
from fedsynth_release.evaluation.features import Floats
from fedsynth_release.evaluation.gower import Gower
from fedsynth_release.evaluation.results import AttackedTable, TableRole

NAME = "linkability"
TITLE = "Linkability of two files"
DEFINITION = (
    "Knows half of a person's columns in one file and the other half in another; links two records "
    "if the same published row is nearest to both. Success: both halves of one training record are "
    "linked. Control: of a held-out record."
)
SOURCE = "Giomi et al. 2023 (Anonymeter), arXiv 2211.10459, section 3.3; WP216"


def linkability(published: Floats, sides: Sides, role: TableRole) -> AttackedTable:
    """Link the halves of members and of controls through the cells of a published table."""
    rng = sides.rng()
    members, controls = sides.targets(rng)
    shuffled = published[rng.permutation(len(published))]
    space = Gower.fit(np.concatenate([members, controls, shuffled]), sides.categorical, "range")
    linked = [_links(space, targets, shuffled) for targets in (members, controls)]
    baseline = 1 / len(published)
    return attacked(role, linked[0], len(members), linked[1], len(controls), baseline)


def _links(space: Gower, targets: Floats, published: Floats) -> int:
    columns = range(targets.shape[1])
    first, second = (
        space.nearest(targets, published, list(part))[1] for part in (columns[::2], columns[1::2])
    )
    return int((first == second).sum()) if len(columns) > 1 else 0
