"""Attribute inference: what is this person's secret, given everything else about them?

The attacker knows all columns of a record but one, finds the published row nearest in the known
columns and guesses its value of the unknown one (Giomi et al. 2023, Anonymeter). Every target is
asked for one column, drawn at random, so attempts are independent. A guess is right if it is the
same level or missing like the secret, or a number within 5 % of the guess (Anonymeter's tolerance).

`baseline` is the naive attacker who guesses the cell of a random published row. Success above the
baseline is not yet a leak: good synthetic tables teach what the population is like ("smokers cough").
Only success above the *controls* is about the persons inside.
"""

import numpy as np
import numpy.typing as npt

from fedsynth_release.evaluation.attacks.sides import Sides, attacked
from fedsynth_release.evaluation.features import Floats
from fedsynth_release.evaluation.gower import Gower
from fedsynth_release.evaluation.results import AttackedTable, TableRole

NAME = "inference"
TITLE = "Attribute inference"
DEFINITION = (
    "Knows all columns of a record but one, and guesses that one from the published row nearest in "
    "the others. Success: the right level, or a number within 5 %, for a training record. Control: "
    "for a held-out record."
)
SOURCE = "Giomi et al. 2023 (Anonymeter), arXiv 2211.10459, section 3.4; WP216"

TOLERANCE = 0.05


def inference(published: Floats, sides: Sides, role: TableRole) -> AttackedTable:
    """Guess one cell of each member and control from the cells of a published table."""
    rng = sides.rng()
    members, controls = sides.targets(rng)
    shuffled = published[rng.permutation(len(published))]
    space = Gower.fit(np.concatenate([members, controls, shuffled]), sides.categorical, "range")
    secrets = rng.integers(members.shape[1], size=len(members))
    right = [right_guesses(space, targets, shuffled, secrets) for targets in (members, controls)]
    naive = shuffled[rng.integers(len(shuffled), size=len(members))]
    rows = np.arange(len(members))
    baseline = correct(
        naive[rows, secrets], members[rows, secrets], sides.categorical[secrets]
    ).mean()
    return attacked(role, right[0], len(members), right[1], len(controls), float(baseline))


def correct(
    guesses: Floats, secrets: Floats, categorical: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Which guesses are right; one flag `categorical` per guess.

    >>> correct(np.array([1.0, 100.0, np.nan]), np.array([2.0, 104.0, np.nan]), np.array([1, 0, 0]))
    array([False,  True,  True])
    """
    close = np.abs(guesses - secrets) <= TOLERANCE * np.abs(guesses)
    same = np.where(categorical, guesses == secrets, close)
    return np.asarray(same | (np.isnan(guesses) & np.isnan(secrets)), dtype=bool)


def right_guesses(
    space: Gower, targets: Floats, published: Floats, secrets: npt.NDArray[np.int64]
) -> int:
    """How many of the `targets` have their secret (column number per target) guessed right."""
    right = 0
    for secret in range(targets.shape[1]):
        asked = targets[secrets == secret]
        known = [j for j in range(targets.shape[1]) if j != secret]
        if not len(asked) or not known:
            continue
        rows = space.nearest(asked, published, known)[1]
        flags = np.full(len(asked), space.categorical[secret])
        right += int(correct(published[rows, secret], asked[:, secret], flags).sum())
    return right
