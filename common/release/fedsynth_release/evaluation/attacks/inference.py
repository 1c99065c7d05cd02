"""Attribute inference: the attacker guesses one column of a person from all other columns.

The attacker knows all columns of a record except one, finds the published row that is nearest in
the known columns, and guesses that the unknown column has the value of this row (Giomi et al. 2023,
Anonymeter). For each target one column is drawn at random, so that the attempts are independent. A
guess is right if it is the same level, if both are missing, or if the number is within 5 % of the
guess (Anonymeter's tolerance).

`baseline` is the success rate of an attacker who guesses the cell of a random published row. More
success than that is not yet a leak, because a good synthetic table shows relations of the
population (for example, that smokers cough). Only more success than on the *controls* reveals
something about the people in the table.
"""

import numpy as np

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_release.evaluation.attack_results import AttackedTable
from fedsynth_release.evaluation.attacks.attack_setup import AttackSetup, attacked
from fedsynth_release.evaluation.gower import Gower
from fedsynth_release.evaluation.result_parts import TableRole

NAME = "inference"
TITLE = "Attribute inference"
DEFINITION = (
    "The attacker knows all columns of a record except one, and guesses that column from the published "
    "row that is nearest in the known columns. The attack succeeds if the guess is the right level, or "
    "a number within 5 %, for a training record. The control is the same attack on held-out records."
)
SOURCE = "Giomi et al. 2023 (Anonymeter), arXiv 2211.10459, section 3.4; WP216"

TOLERANCE = 0.05


def inference(published: Float64Array, setup: AttackSetup, role: TableRole) -> AttackedTable:
    """Guess one cell of each member and of each control from the cells of a published table."""
    rng = setup.rng()
    members, controls = setup.targets(rng)
    shuffled = published[rng.permutation(len(published))]
    space = Gower.fit(np.concatenate([members, controls, shuffled]), setup.categorical, "range")
    secrets = rng.integers(members.shape[1], size=len(members))
    right = [right_guesses(space, targets, shuffled, secrets) for targets in (members, controls)]
    naive = shuffled[rng.integers(len(shuffled), size=len(members))]
    rows = np.arange(len(members))
    baseline = correct(
        naive[rows, secrets], members[rows, secrets], setup.categorical[secrets]
    ).mean()
    return attacked(role, right[0], len(members), right[1], len(controls), float(baseline))


def correct(guesses: Float64Array, secrets: Float64Array, categorical: BoolArray) -> BoolArray:
    """Which guesses are right; `categorical` says for each guess whether it is a level.

    >>> correct(np.array([1.0, 100.0, np.nan]), np.array([2.0, 104.0, np.nan]), np.array([1, 0, 0]))
    array([False,  True,  True])
    """
    close = np.abs(guesses - secrets) <= TOLERANCE * np.abs(guesses)
    same = np.where(categorical, guesses == secrets, close)
    return np.asarray(same | (np.isnan(guesses) & np.isnan(secrets)), dtype=bool)


def right_guesses(
    space: Gower, targets: Float64Array, published: Float64Array, secrets: Int64Array
) -> int:
    """The number of targets whose secret cell is guessed right.

    `secrets` is the index of the secret column of each target.
    """
    right = 0
    for secret in range(targets.shape[1]):
        queries = targets[secrets == secret]
        known = [j for j in range(targets.shape[1]) if j != secret]
        if not len(queries) or not known:
            continue
        rows = space.nearest(queries, published, known)[1]
        flags = np.full(len(queries), space.categorical[secret])
        right += int(correct(published[rows, secret], queries[:, secret], flags).sum())
    return right
