"""The privacy budget of a report: what each step costs, and what the whole forbids an attacker.

The share of a step is its share of the squared μ of Gaussian differential privacy. The squares of
several steps add up to the square of the whole (Dong, Roth & Su 2022, Corollary 3.3); their ε do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.gaussian_dp import mu_of, total_mu
from fedsynth_release.report import meaning, plots
from fedsynth_release.statement.mechanisms import Mechanism
from fedsynth_release.statement.privacy_statement import PrivacyStatement

PRIORS = (0.01, 0.1, 0.5)


@dataclass(frozen=True)
class BudgetRow:
    """A mechanism, what it would cost alone, and its share of the whole budget (in squared μ)."""

    mechanism: Mechanism
    epsilon_alone: float
    share: float


def budget_rows(statement: PrivacyStatement) -> list[BudgetRow]:
    """The budget of one site that took part in everything, step by step."""
    events = [mechanism.event for mechanism in statement.mechanisms]
    whole = total_mu(events) ** 2 if events else 1.0
    return [
        BudgetRow(mechanism, epsilon([event], statement.delta), mu_of(event) ** 2 / whole)
        for mechanism, event in zip(statement.mechanisms, events, strict=True)
    ]


def budget_plot(rows: Sequence[BudgetRow]) -> Markup | None:
    """The shares as one bar."""
    shares = [(row.mechanism.purpose, row.share) for row in rows]
    return plots.stacked("Share of the privacy budget by step", shares) if shares else None


@dataclass(frozen=True)
class Bound:
    """What ε forbids, for one way of being present at the sites; see `meaning.py`."""

    who: str
    epsilon: float
    accuracy: float
    rate: float
    beliefs: tuple[float, ...]


def bounds(statement: PrivacyStatement) -> list[Bound]:
    """For a person at one site, and for one at every site."""
    one = statement.epsilon_if_people_are_at_one_site_only, statement.delta
    every = (
        statement.epsilon_if_people_may_be_at_every_site,
        statement.delta_if_people_may_be_at_every_site,
    )
    return [
        Bound(
            who=f"a person at {where}",
            epsilon=epsilon,
            accuracy=meaning.best_accuracy(epsilon, delta),
            rate=meaning.best_rate(epsilon, delta, 0.01),
            beliefs=tuple(meaning.highest_posterior(epsilon, prior) for prior in PRIORS),
        )
        for where, (epsilon, delta) in (("one site", one), ("every site", every))
    ]
