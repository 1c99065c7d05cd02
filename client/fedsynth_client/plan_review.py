"""A plan as a person at the site reads it before approving: what it costs, what is left, why not.

The verdict is that of the vault itself (`vault.admission`), taken as if the plan were approved; the
reasons in words stand beside it. Nothing here looks at a record.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fedsynth_client.account import Total
from fedsynth_client.ledger import Charge
from fedsynth_client.policy import Policy
from fedsynth_client.vault.admission import admit_cost, admit_plan, first_study_leaves_room
from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.events import DpSgdEvent, Event
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import Schema


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """One line of the cost table; the ε is that of the step alone, at the plan's δ."""

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
        spent: What everything charged before comes to, this study left out.
        after: The same with this plan.
        several: Whether other studies were charged, so that the Rényi filter decides.
        refusals: Why the vault would refuse the plan; empty if it would accept it.
    """

    steps: tuple[StepCost, ...]
    cost: float
    spent: Total
    after: Total
    several: bool
    refusals: tuple[str, ...]


def review(plan: Plan, policy: Policy, schema: Schema, charges: Sequence[Charge]) -> Review:
    """The costs of a plan and the vault's verdict, were it approved.

    Raises:
        PrivacyError: if the plan's events cannot be accounted for.
    """
    planned = plan.planned_events()
    others = [charge for charge in charges if charge.study != plan.study]
    before = [event for charge in others for event in charge.events]
    cost = epsilon(planned, plan.delta)
    after = Total.of([*planned, *before], policy, several=bool(others))
    approving = policy.model_copy(update={"approved_plans": (plan.digest,)})
    code = _verdict(plan, approving, schema, charges)
    reasons: list[str] = []
    if code:
        reasons = [*_terms(plan, policy, schema), *_costs(plan, policy, cost)]
        reasons += _cap(policy, charges, after, several=bool(others))
    return Review(
        steps=tuple(_steps(plan)),
        cost=cost,
        spent=Total.of(before, policy, several=len({charge.study for charge in others}) > 1),
        after=after,
        several=bool(others),
        refusals=tuple(reasons or ([code.value] if code else [])),
    )


def _verdict(
    plan: Plan, policy: Policy, schema: Schema, charges: Sequence[Charge]
) -> ErrorCode | None:
    try:
        admit_plan(plan, policy, schema)
        admit_cost(plan, policy, charges)
    except RefusalError as refused:
        return refused.code
    except PrivacyError:
        return ErrorCode.POLICY
    return None


def _terms(plan: Plan, policy: Policy, schema: Schema) -> list[str]:
    """What of the plan's terms the policy or schema does not allow."""
    found = []
    if plan.table != schema:
        found.append("its schema is not this site's: compare the two files")
    if policy.site is not None and policy.site not in plan.sites:
        found.append(f"it does not name this site ({policy.site}) among its participants")
    if plan.delta > policy.max_delta:
        found.append(f"its delta {plan.delta:g} is above the policy's {policy.max_delta:g}")
    if training := plan.discriminator:
        steps = training.messages * training.steps_per_message
        if training.noise_multiplier < policy.min_noise_multiplier:
            found.append("its training adds less noise than min_noise_multiplier")
        if training.sampling_rate > policy.max_sampling_rate:
            found.append("its training samples more than max_sampling_rate")
        if steps > policy.max_steps:
            found.append(f"its training takes {steps} steps, more than max_steps")
    return found


def _costs(plan: Plan, policy: Policy, cost: float) -> list[str]:
    """Which of the limits on its own ε the plan breaks."""
    found = []
    if cost > plan.epsilon:
        found.append(f"it costs {cost:.4f}, more than the {plan.epsilon:g} that it says")
    if cost > policy.study_limit:
        found.append(f"it costs {cost:.4f}; one study may cost {policy.study_limit:g}")
    return found


def _cap(policy: Policy, charges: Sequence[Charge], after: Total, *, several: bool) -> list[str]:
    """Why the plan does not fit under the cap, in the words of the rule that decides."""
    cap = policy.max_epsilon
    if not several:
        spent = f"with it {after.epsilon:.4f} would be spent of the cap {cap:g}"
        return [spent] if after.epsilon > cap else []
    if not first_study_leaves_room(policy, charges):
        return [
            f"the whole plan of {charges[0].study}, the first study charged here, takes all of the "
            f"cap {cap:g} by itself, run or not, so that no other study fits beside it"
        ]
    if after.share > 1:
        share = f"{after.share:.1%} of what the cap {cap:g} allows several studies"
        return [f"with it {share} would be used (Rényi filter of order {after.order:g})"]
    return []


def _steps(plan: Plan) -> list[StepCost]:
    return [
        StepCost(
            step=run.label,
            what=_what(event, run.purpose),
            noise_multiplier=run.event.noise_multiplier,
            epsilon=epsilon([event], plan.delta),
        )
        for run, event in zip(plan.message_runs, plan.planned_events(), strict=True)
    ]


def _what(event: Event, purpose: str) -> str:
    if isinstance(event, DpSgdEvent):
        return f"training: {event.steps} DP-SGD steps, sampling rate {event.sampling_rate:g}"
    return f"{purpose}: noisy counts"
