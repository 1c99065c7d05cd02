"""Singling out: is there a property that exactly one person in the training data has?

The attacker writes predicates that single out a row of the published table (`predicates`) and bets
that each singles out a person in the training data as well. Success: exactly one training row
(without repeated rows) satisfies it; control: exactly one held-out row does. The risk in the sense of
the GDPR's recital 26 and of WP216, and the first of the three that Anonymeter measures (Giomi et
al. 2023).

A predicate singles out among few people more easily than among many, so both rates are taken among
the same number n of people, the size of the smaller side. Of N > n training rows, the success
rate is the expectation over all parts of n rows: a predicate that c rows satisfy singles out in one
with the hypergeometric probability of drawing exactly one of the c. A record that the table betrays
is in such a part with probability n / N only; therefore

    advantage = N / n * (success - control),

which is at N = n the difference of Anonymeter without size correction, and 0 for a table that knows no
more about the training rows than the population tells. Anonymeter 1.1 extrapolates the control to N
rows by a fitted curve instead; that fit, written again from its source, accused a table of *other
real people* of advantages of .1 to .2 (docs/METRICS.md), hence this choice.

Predicates overlap and are all settled on the same people, so attempts are not independent: to
Wilson's interval of either rate the spread over its rows is added (delete-a-tenth jackknife).

`attacks` is the number of predicates written, at most the limit. A table on which there are none (no row
of it is singled out by one) offers nothing to attack: rates 0.
"""

import numpy as np
from scipy.stats import hypergeom

from fedsynth_release.evaluation.attacks import predicates
from fedsynth_release.evaluation.attacks.predicates import Counts, Predicate
from fedsynth_release.evaluation.attacks.sides import Sides, attacked
from fedsynth_release.evaluation.features import Floats
from fedsynth_release.evaluation.results import AttackedTable, TableRole

UNIVARIATE_NAME = "singling-out-univariate"
MULTIVARIATE_NAME = "singling-out-multivariate"
UNIVARIATE_TITLE = "Singling out by one column"
MULTIVARIATE_TITLE = "Singling out by three columns"
UNIVARIATE_DEFINITION = (
    "Writes conditions on one column that exactly one published row meets (an extreme or unique "
    "value). Success: exactly one training record meets it. Control: exactly one held-out record "
    "among as many."
)
MULTIVARIATE_DEFINITION = (
    "Writes conditions on three columns of a random published row that no other published row "
    "meets. Success: exactly one training record meets them. Control: exactly one held-out record "
    "among as many."
)
SOURCE = (
    "Giomi et al. 2023 (Anonymeter), arXiv 2211.10459, section 3.2; Cohen and Nissim 2020; WP216"
)

_PARTS = 10


def singling_out_univariate(published: Floats, sides: Sides, role: TableRole) -> AttackedTable:
    """Bets on extreme and unique values."""
    rng, table = sides.rng(), predicates.distinct(published)
    bets = predicates.univariate(table, sides.categorical, sides.attempts, rng)
    return _settle(bets, sides, role, rng)


def singling_out_multivariate(published: Floats, sides: Sides, role: TableRole) -> AttackedTable:
    """Bets on combinations of three columns."""
    rng, table = sides.rng(), predicates.distinct(published)
    bets = predicates.multivariate(table, sides.categorical, sides.attempts, rng)
    return _settle(bets, sides, role, rng)


def _settle(
    bets: list[Predicate], sides: Sides, role: TableRole, rng: np.random.Generator
) -> AttackedTable:
    members, controls = (
        predicates.distinct(side[rng.permutation(len(side))])
        for side in (sides.members, sides.controls)
    )
    if not bets:
        return attacked(role, 0, 0, 0, 0)
    size = min(len(members), len(controls))
    won, lost = (_rate_and_error(bets, side, size) for side in (members, controls))
    return attacked(
        role,
        won[0] * len(bets),
        len(bets),
        lost[0] * len(bets),
        len(bets),
        scale=max(len(members) / size, 1.0),
        deviations=(won[1], lost[1]),
    )


def _rate_and_error(bets: list[Predicate], side: Floats, size: int) -> tuple[float, float]:
    """Success rate among `size` rows of a side, and its jackknife standard error over the rows."""
    by_part = predicates.counts(bets, side, _PARTS)
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


def isolation(counts: Counts, rows: int, size: int) -> Floats:
    """Probability that `size` of `rows` rows, drawn at random, hold exactly one of the `counts`.

    >>> isolation(np.array([0, 1, 2]), 4, 2).round(3).tolist()
    [0.0, 0.5, 0.667]
    """
    return np.asarray(hypergeom.pmf(1, rows, counts, size), dtype=np.float64)
