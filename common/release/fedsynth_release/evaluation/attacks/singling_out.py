"""Singling out: the attacker looks for a property that exactly one person in the training data has.

The attacker writes predicates that single out a row of the published table (`predicates`), and
guesses that each of them also singles out a person in the training data. A guess succeeds if
exactly one training row (without repeated rows) satisfies the predicate. The control is that
exactly one held-out row satisfies it. Recital 26 of the GDPR and WP216 name this risk, and it is
the first of the three risks that Anonymeter measures (Giomi et al. 2023).

It is easier to single out a person among few people than among many. Both rates are therefore
computed among the same number n of people, the size of the smaller of the two sets. If there are N
> n training rows, the success rate is the expectation over all subsets of n rows. A predicate that
c rows satisfy singles out a row of a subset with the hypergeometric probability of drawing exactly
one of the c. A record that the table reveals is in the subset only with probability n / N.
Therefore

    advantage = N / n * (success - control),

For N = n this is the difference that Anonymeter computes without size correction. It is 0 for a
table that shows no more about the training rows than follows from the population. Anonymeter 1.1
extrapolates the control to N rows by a fitted curve instead. We wrote that fit again from its
source, and it gave advantages of .1 to .2 to a table of *other real people* (docs/METRICS.md). This
is why it is not used.

Predicates overlap and are tested on the same people, so the attempts are not independent. The
variation over the rows (delete-a-tenth jackknife) is therefore added to Wilson's interval of each
rate.

`attacks` is the number of predicates, at most the limit. If no predicate singles out a row of a
table, the table offers nothing to attack and the rates are 0.
"""

import numpy as np
from scipy.stats import hypergeom

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_release.evaluation.attack_results import AttackedTable
from fedsynth_release.evaluation.attacks import predicates
from fedsynth_release.evaluation.attacks.attack_setup import AttackSetup, attacked
from fedsynth_release.evaluation.attacks.predicates import Predicate
from fedsynth_release.evaluation.result_parts import TableRole

UNIVARIATE_NAME = "singling-out-univariate"
MULTIVARIATE_NAME = "singling-out-multivariate"
UNIVARIATE_TITLE = "Singling out by one column"
MULTIVARIATE_TITLE = "Singling out by three columns"
UNIVARIATE_DEFINITION = (
    "The attacker writes conditions on one column that exactly one published row meets (an extreme or "
    "unique value). The attack succeeds if exactly one training record meets the condition. The control "
    "is that exactly one of as many held-out records meets it."
)
MULTIVARIATE_DEFINITION = (
    "The attacker writes conditions on three columns of a random published row that no other published "
    "row meets. The attack succeeds if exactly one training record meets them. The control is that "
    "exactly one of as many held-out records meets them."
)
SOURCE = (
    "Giomi et al. 2023 (Anonymeter), arXiv 2211.10459, section 3.2; Cohen and Nissim 2020; WP216"
)

_PARTS = 10


def singling_out_univariate(
    published: Float64Array, setup: AttackSetup, role: TableRole
) -> AttackedTable:
    """Guess with predicates on extreme and unique values of one column."""
    rng, table = setup.rng(), predicates.distinct(published)
    guesses = predicates.univariate(table, setup.categorical, setup.attempts, rng)
    return _tested(guesses, setup, role, rng)


def singling_out_multivariate(
    published: Float64Array, setup: AttackSetup, role: TableRole
) -> AttackedTable:
    """Guess with predicates on combinations of three columns."""
    rng, table = setup.rng(), predicates.distinct(published)
    guesses = predicates.multivariate(table, setup.categorical, setup.attempts, rng)
    return _tested(guesses, setup, role, rng)


def _tested(
    guesses: list[Predicate], setup: AttackSetup, role: TableRole, rng: np.random.Generator
) -> AttackedTable:
    """The result of an attack: how often its predicates single out a member or a control."""
    members, controls = (
        predicates.distinct(side[rng.permutation(len(side))])
        for side in (setup.members, setup.controls)
    )
    if not guesses:
        return attacked(role, 0, 0, 0, 0)
    size = min(len(members), len(controls))
    success, control = (_rate_and_error(guesses, side, size) for side in (members, controls))
    return attacked(
        role,
        success[0] * len(guesses),
        len(guesses),
        control[0] * len(guesses),
        len(guesses),
        scale=max(len(members) / size, 1.0),
        deviations=(success[1], control[1]),
    )


def _rate_and_error(guesses: list[Predicate], side: Float64Array, size: int) -> tuple[float, float]:
    """The success rate among `size` rows of one side, and its jackknife standard error."""
    by_part = predicates.counts(guesses, side, _PARTS)
    total = by_part.sum(axis=1)
    rate = float(isolation(total, len(side), size).mean())
    rows = [len(side[part::_PARTS]) for part in range(_PARTS)]
    without = np.array(
        [
            isolation(
                total - by_part[:, part], len(side) - gone, size - round(size * gone / len(side))
            ).mean()
            for part, gone in enumerate(rows)
        ]
    )
    spread = ((without - without.mean()) ** 2).sum()
    return rate, float(np.sqrt((_PARTS - 1) / _PARTS * spread))


def isolation(counts: Int64Array, rows: int, size: int) -> Float64Array:
    """The probability that a predicate singles out a row among `size` rows drawn from `rows` rows.

    `counts` is the number of all rows that satisfy each predicate.

    >>> isolation(np.array([0, 1, 2]), 4, 2).round(3).tolist()
    [0.0, 0.5, 0.667]
    """
    return np.asarray(hypergeom.pmf(1, rows, counts, size), dtype=np.float64)
