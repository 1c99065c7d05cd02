"""The privacy budget in a report: what each step costs, and what the whole means for an attacker.

The ε of several steps do not add up to the ε of all of them. The squared μ of Gaussian differential
privacy do add up (Dong, Roth & Su 2022, Corollary 3.3). The share of a step is therefore its
squared μ divided by the sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.gaussian_dp import mu_of, total_mu
from fedsynth_common.promise import meaning, plain_words
from fedsynth_release.report import plots
from fedsynth_release.statement.mechanisms import Mechanism
from fedsynth_release.statement.privacy_statement import PrivacyStatement

PRIORS = (0.01, 0.1, 0.5)


@dataclass(frozen=True)
class BudgetRow:
    """A mechanism, the ε that it costs alone, and its share of the whole budget (in squared μ)."""

    mechanism: Mechanism
    epsilon_alone: float
    share: float


def budget_rows(statement: PrivacyStatement) -> list[BudgetRow]:
    """The budget of a site that took part in every step, step by step."""
    events = [mechanism.event for mechanism in statement.mechanisms]
    whole = total_mu(events) ** 2 if events else 1.0
    return [
        BudgetRow(mechanism, epsilon([event], statement.delta), mu_of(event) ** 2 / whole)
        for mechanism, event in zip(statement.mechanisms, events, strict=True)
    ]


def budget_plot(rows: Sequence[BudgetRow]) -> Markup | None:
    """The shares drawn as one bar; None if no step was charged."""
    shares = [(row.mechanism.purpose, row.share) for row in rows]
    return plots.stacked("Share of the privacy budget by step", shares) if shares else None


@dataclass(frozen=True)
class Bound:
    """The best that an attacker can do against one kind of person; see `meaning.py`.

    Attributes:
        who: the person that is protected, in words.
        epsilon: the ε of this person.
        accuracy: highest share of right answers (`best_accuracy`).
        rate: highest true positive rate at a false positive rate of 1 % (`best_rate`).
        beliefs: highest posterior for each prior of `PRIORS` (`highest_posterior`).
    """

    who: str
    epsilon: float
    accuracy: float
    rate: float
    beliefs: tuple[float, ...]


def bounds(statement: PrivacyStatement) -> list[Bound]:
    """The bounds for a person (or a record) at one site and at every site; none of a void promise.

    For a secure sum also those at one site if all other sites work together. If the unit is a record,
    also those for a person with several records.
    """
    if not statement.private:
        return []
    one = statement.epsilon_if_people_are_at_one_site_only, statement.delta
    every = (
        statement.epsilon_if_people_may_be_at_every_site,
        statement.delta_if_people_may_be_at_every_site,
    )
    unit = "a record" if statement.rows_per_person is None else "a person"
    cases = [(f"{unit} at one site", one), (f"{unit} at every site", every)]
    if statement.rows_per_person is None:
        several = f"a person at one site, if that person had {plain_words.ROWS} records"
        cases.insert(1, (several, plain_words.group(*one, plain_words.ROWS)))
    if (alone := statement.epsilon_if_all_others_work_together) is not None:
        who = f"{unit} at one site, if all other sites work together"
        cases.append((who, (alone, statement.delta)))
    return [
        Bound(
            who=who,
            epsilon=epsilon,
            accuracy=meaning.best_accuracy(epsilon, delta),
            rate=meaning.best_rate(epsilon, delta, 0.01),
            beliefs=tuple(meaning.highest_posterior(epsilon, prior) for prior in PRIORS),
        )
        for who, (epsilon, delta) in cases
    ]
