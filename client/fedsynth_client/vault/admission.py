"""Whether a plan may run at this site, and whether its next step still may.

Admission looks at the plan, the site's policy and the ledger, never at a record (the one exception,
the minimum number of records, is a declared fact of taking part and is checked at enrolment only).

Budget. Two conditions are held, at enrolment with the planned events and again, inside the ledger's
transaction, before every step with what was really charged so far. "This study" is its charges, the
step at hand, and the plan's remaining steps.

1. Within a plan: epsilon(this study, plan.delta) <= plan.epsilon and the policy's limit per study.
   A plan is fixed before its first answer, so the composition of its privacy loss distributions is a
   bound whatever the coordinator asks when, leaves out or ends early (Zhu, Dong and Wang 2022, Thm 10).
2. Over everything ever charged to the data set: (policy.max_epsilon, policy.max_delta). Later plans
   are chosen after seeing results, which needs a filter: `share_of_cap` (Feldman and Zrnic 2021).
   While no other study was ever charged there is nothing to choose after, and the tighter
   epsilon(this study, policy.max_delta) <= policy.max_epsilon decides. Both rules fit together
   since the first study counts with its *whole plan*, run or not: if that is within the filter, so
   is everything from the first charge on; if it is not, no second study is ever charged.
"""

from collections.abc import Iterator, Sequence, Set

from fedsynth_client.ledger import Charge
from fedsynth_client.policy import Policy
from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.privacy.accounting import epsilon, share_of_cap
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
    if not within_cap(plan, policy, charges, planned):
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
    if not within_cap(plan, policy, charges, study):
        raise RefusalError(ErrorCode.BUDGET)


def within_cap(
    plan: Plan, policy: Policy, charges: Sequence[Charge], study: Sequence[Event]
) -> bool:
    """Condition 2: whether `study`, all that the plan's study will be charged, fits under the cap."""
    others = [event for c in charges if c.study != plan.study for event in c.events]
    if not others:
        return epsilon(study, policy.max_delta) <= policy.max_epsilon
    return first_study_leaves_room(policy, charges) and (
        share_of_cap([*study, *others], policy.max_epsilon, policy.max_delta) <= 1
    )


def first_study_leaves_room(policy: Policy, charges: Sequence[Charge]) -> bool:
    """Whether the whole plan of the study that was charged first is within the filter.

    If the ledger has no plan of it that can be read, it is not.
    """
    whole = charges[0].planned
    if whole is None:
        return False
    return share_of_cap(whole, policy.max_epsilon, policy.max_delta) <= 1


def _remaining(plan: Plan, done: Set[int]) -> Iterator[Event]:
    """What the messages of the plan cost whose step numbers are not in `done`."""
    for run in plan.message_runs:
        if left := run.count - sum(number in run.numbers for number in done):
            yield run.event_of(left)
