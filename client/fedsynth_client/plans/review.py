"""Reviews a plan for the person who approves it: its cost, what is left, and reasons against it.

The reasons against a plan are those for which the vault itself would refuse it if it were approved
(`vault.admission`). Nothing here looks at a record.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fedsynth_client.budget.charge_chain import Charge
from fedsynth_client.budget.cohort_accounts import accounts, cohorts_of_a_person, of_any_person
from fedsynth_client.budget.policy import Policy
from fedsynth_client.budget.spending import Total
from fedsynth_client.vault.admission import reasons_against_cost, reasons_against_terms
from fedsynth_common.errors import FedsynthError
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.accounting import epsilon, share_of_cap
from fedsynth_common.privacy.events import DpSgdEvent, EitherEvent, Event, GaussianEvent
from fedsynth_common.privacy.gaussian_dp import mu_of
from fedsynth_common.privacy.secure_noise import alone, shared
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import Schema


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """One line of the cost table. The ε is that of the step alone, at the plan's δ."""

    step: str
    what: str
    noise_multiplier: float
    epsilon: float


@dataclass(frozen=True, kw_only=True)
class Review:
    """What a plan would cost this site.

    Attributes:
        steps: The cost table.
        cost: ε of the whole plan at its own δ.
        cost_alone: The same if all others work together against this site; None where this site
            makes all of its noise by itself and `cost` holds against everybody.
        spent: The cost of everything charged before, without this study.
        after: The same together with this plan.
        after_alone: With this plan, if all others work together; None where no noise was shared.
        several: Whether other studies were charged, so that the Rényi filter decides.
        refusals: Why the vault would refuse the plan; empty if it would accept it.
    """

    steps: tuple[StepCost, ...]
    cost: float
    cost_alone: float | None
    spent: Total
    after: Total
    after_alone: Total | None
    several: bool
    refusals: tuple[str, ...]


def review(
    plan: Plan,
    policy: Policy,
    schema: Schema,
    charges: Sequence[Charge],
    receipt_key: bytes,
    last_day: str = "",
) -> Review:
    """The costs of a plan, and the reasons for which the vault would refuse it if it were approved.

    Args:
        plan: that somebody proposes.
        policy: of this site.
        schema: of this site's table.
        charges: that the ledger holds.
        receipt_key: public half of the key that this site signs with.
        last_day: the latest day on which a cohort was sealed here, if one was.

    Raises:
        FedsynthError: the costs of the plan, or of what was charged before, cannot be computed.
    """
    try:
        return _review(plan, policy, schema, charges, receipt_key, last_day)
    except PrivacyError as error:
        raise FedsynthError(f"the cost of the plan cannot be computed: {error}") from None


def _review(
    plan: Plan,
    policy: Policy,
    schema: Schema,
    charges: Sequence[Charge],
    receipt_key: bytes,
    last_day: str,
) -> Review:
    planned = plan.planned_events()
    others = _others_of_the_fullest(plan, policy, charges)
    before = [event for charge in others for event in charge.events]
    cost = epsilon(planned, plan.delta)
    after = Total.of([*planned, *before], policy, several=bool(others))
    approving = policy.model_copy(update={"approved_plans": (plan.digest,)})
    reasons = [
        *reasons_against_terms(plan, approving, schema, receipt_key, last_day),
        *reasons_against_cost(plan, approving, charges),
    ]
    return Review(
        steps=tuple(_steps(plan)),
        cost=cost,
        cost_alone=epsilon(alone(planned), plan.delta) if shared(planned) else None,
        spent=Total.of(before, policy, several=len({charge.study for charge in others}) > 1),
        after=after,
        after_alone=Total.alone([*planned, *before], policy, several=bool(others)),
        several=bool(others),
        refusals=tuple(reason.words for reason in reasons),
    )


def _others_of_the_fullest(plan: Plan, policy: Policy, charges: Sequence[Charge]) -> list[Charge]:
    """Charges of other studies, of the account of the plan's cohort that has most of them.

    Where a person may be in several cohorts, they are all that one person can have been part of.
    """
    touched = (
        [charge for charge in account if charge.study != plan.study]
        for account in accounts(plan.served, plan.table.cohorts, charges)
    )

    def spent(account: Sequence[Charge]) -> float:
        events = [event for charge in account for event in charge.events]
        return share_of_cap(events, policy.max_epsilon, policy.max_delta) if events else 0.0

    if cohorts_of_a_person(plan.served, charges) > 1:
        others = [charge for charge in charges if charge.study != plan.study]
        return list(of_any_person(plan.served, others, spent))
    return max(touched, key=spent)


def _steps(plan: Plan) -> list[StepCost]:
    return [
        StepCost(
            step=run.label,
            what=_what(event, run.purpose),
            noise_multiplier=_least_noise(run.event),
            epsilon=epsilon([event], plan.delta),
        )
        for run, event in zip(plan.message_runs, plan.planned_events(), strict=True)
    ]


def _least_noise(event: GaussianEvent | DpSgdEvent | EitherEvent) -> float:
    if isinstance(event, EitherEvent):
        return min(event.training.noise_multiplier, 1 / mu_of(event.counts))
    return event.noise_multiplier


def _what(event: Event, purpose: str) -> str:
    if isinstance(event, EitherEvent):
        steps = f"{event.training.steps} more DP-SGD steps"
        return f"one of two: {steps}, or noisy counts of marginals once more"
    if isinstance(event, DpSgdEvent):
        return f"training: {event.steps} DP-SGD steps, sampling rate {event.sampling_rate:g}"
    return f"{purpose}: noisy counts"
