"""Linkability: the attacker links two records that contain different columns of the same person.

The attacker has two files without a common key. One contains half of the columns and the other file
the other half. The attacker links a record of the first file to a record of the second if the same
published row is nearest to both (Giomi et al. 2023, Anonymeter, with one neighbour). The columns
are dealt out to the halves in turn (1st, 3rd, ... and 2nd, 4th, ...), so that both halves contain
columns of all kinds. The attack succeeds if the two halves of one record are linked. `baseline` is
the success rate of random links.
"""

import numpy as np

from fedsynth_common.array_types import Float64Array
from fedsynth_release.evaluation.attack_results import AttackedTable
from fedsynth_release.evaluation.attacks.attack_setup import AttackSetup, attacked
from fedsynth_release.evaluation.gower import Gower
from fedsynth_release.evaluation.result_parts import TableRole

NAME = "linkability"
TITLE = "Linkability of two files"
DEFINITION = (
    "The attacker has half of a person's columns in one file and the other half in another file, and "
    "links two records if the same published row is nearest to both. The attack succeeds if both "
    "halves of one training record are linked. The control is the same attack on held-out records."
)
SOURCE = "Giomi et al. 2023 (Anonymeter), arXiv 2211.10459, section 3.3; WP216"


def linkability(published: Float64Array, setup: AttackSetup, role: TableRole) -> AttackedTable:
    """Link the halves of members, and those of controls, through the cells of a published table."""
    rng = setup.rng()
    members, controls = setup.targets(rng)
    shuffled = published[rng.permutation(len(published))]
    space = Gower.fit(np.concatenate([members, controls, shuffled]), setup.categorical, "range")
    linked = [_links(space, targets, shuffled) for targets in (members, controls)]
    baseline = 1 / len(published)
    return attacked(role, linked[0], len(members), linked[1], len(controls), baseline)


def _links(space: Gower, targets: Float64Array, published: Float64Array) -> int:
    columns = range(targets.shape[1])
    first, second = (
        space.nearest(targets, published, list(part))[1] for part in (columns[::2], columns[1::2])
    )
    return int((first == second).sum()) if len(columns) > 1 else 0
