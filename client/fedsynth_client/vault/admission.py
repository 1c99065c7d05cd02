"""Whether a plan may run at this site, and whether its next step still may.

Admission looks at the plan, the site's policy and the ledger, never at a record (the one exception,
the minimum number of records, is a declared fact of taking part and is checked at enrolment only).

Budget. Two inequalities are held, at enrolment with the planned events and again, inside the
ledger's transaction, before every step with what was really charged so far:

    epsilon(this study, plan.delta)                    <= plan.epsilon, policy per study
    epsilon(this study + all others, policy.max_delta) <= policy.max_epsilon

where "this study" is its charges, the step at hand, and the plan's remaining steps.
"""

from collections.abc import Iterator, Sequence, Set

from fedsynth_client.ledger import Charge
from fedsynth_client.policy import Policy
from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.events import Event
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import Schema


def admit_plan(plan: Plan, policy: Policy, schema: Schema) -> None:
    """The plan is for this table and site, approved, and no weaker than the policy.

    Raises:
        RefusalError: ERR_PLAN or ERR_POLICY.
    """
    participates = policy.site is None or policy.site in plan.sites
    if plan.table != schema or not participates or not policy.approves(plan.digest):
        raise RefusalError(ErrorCode.PLAN)
    if plan.delta > policy.max_delta:
        raise RefusalError(ErrorCode.POLICY)
    training = plan.discriminator
    if training and (
        training.noise_multiplier < policy.min_noise_multiplier
        or training.sampling_rate > policy.max_sampling_rate
        or training.messages * training.steps_per_message > policy.max_steps
    ):
        raise RefusalError(ErrorCode.POLICY)


def admit_cost(plan: Plan, policy: Policy, charges: Sequence[Charge]) -> None:
    """The whole plan fits, beside everything that other studies were charged.

    Raises:
        RefusalError: ERR_PLAN if it costs more than it says, ERR_POLICY if more than one study may,
            ERR_BUDGET if it does not fit under the cap.
    """
    planned = plan.planned_events()
    cost = epsilon(planned, plan.delta)
    if cost > plan.epsilon:
        raise RefusalError(ErrorCode.PLAN)
    if cost > policy.study_limit:
        raise RefusalError(ErrorCode.POLICY)
    if epsilon([*planned, *_others(plan, charges)], policy.max_delta) > policy.max_epsilon:
        raise RefusalError(ErrorCode.BUDGET)


def admit_step(
    plan: Plan, policy: Policy, charges: Sequence[Charge], step: int, events: Sequence[Event]
) -> None:
    """The step at hand leaves both inequalities true, with the rest of the plan still to come.

    Raises:
        RefusalError: ERR_BUDGET.
    """
    own = [charge for charge in charges if charge.study == plan.study]
    done = {step, *(charge.step for charge in own)}
    study = [*events, *(event for charge in own for event in charge.events)]
    study += _remaining(plan, done)
    if epsilon(study, plan.delta) > min(plan.epsilon, policy.study_limit):
        raise RefusalError(ErrorCode.BUDGET)
    if epsilon([*study, *_others(plan, charges)], policy.max_delta) > policy.max_epsilon:
        raise RefusalError(ErrorCode.BUDGET)


def _others(plan: Plan, charges: Sequence[Charge]) -> list[Event]:
    return [event for charge in charges if charge.study != plan.study for event in charge.events]


def _remaining(plan: Plan, done: Set[int]) -> Iterator[Event]:
    """What the messages of the plan cost whose step numbers are not in `done`."""
    for run in plan.message_runs:
        if left := run.count - sum(number in run.numbers for number in done):
            yield run.event_of(left)
