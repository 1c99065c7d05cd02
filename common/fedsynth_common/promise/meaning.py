"""What (ε, δ) means for an attacker, in numbers that a decision maker can weigh.

Suppose that an attacker knows every other record and everything about one person, and asks whether
this person was in the table. Differential privacy says that any test for this, with true positive
rate t and false positive rate f, obeys

    t <= e^ε f + δ   and   1 - f <= e^ε (1 - t) + δ        (Wasserman & Zhou 2010; Kairouz et al.
    2015)

Everything below follows from these two lines. They are worst cases over all mechanisms with this
(ε, δ); a particular mechanism usually allows less. `docs/EPSILON.md` explains them in words and
repeats the figures.
"""

import math


def best_rate(epsilon: float, delta: float, false_positive_rate: float) -> float:
    """The highest true positive rate at a false positive rate.

    >>> round(best_rate(1.0, 1e-5, 0.01), 4)
    0.0272
    """
    f = false_positive_rate
    first = math.exp(epsilon) * f + delta
    second = 1.0 - math.exp(-epsilon) * (1.0 - f - delta)
    return min(1.0, first, second)


def best_accuracy(epsilon: float, delta: float) -> float:
    """The highest share of right answers if both answers are equally likely; a coin gives 0.5.

    The two lines above meet at t - f = (e^ε - 1 + 2 δ) / (e^ε + 1).

    >>> round(best_accuracy(1.0, 1e-5), 4)
    0.7311
    """
    growth = math.exp(epsilon)
    return min(1.0, 0.5 + 0.5 * (growth - 1.0 + 2.0 * delta) / (growth + 1.0))


def highest_posterior(epsilon: float, prior: float) -> float:
    """How sure an attacker can be after seeing the output who was sure with probability `prior`.

    The bound holds for δ = 0. With δ > 0 it holds except with a probability of about δ
    (Kasiviswanathan & Smith 2014).

    >>> round(highest_posterior(1.0, 0.5), 4), round(highest_posterior(1.0, 0.01), 4)
    (0.7311, 0.0267)
    """
    odds = math.exp(epsilon) * prior / (1.0 - prior)
    return odds / (1.0 + odds)
