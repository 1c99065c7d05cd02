"""Decides whether a plan may run at this site, and whether its next step still may.

Admission looks at the plan, the site's policy and the ledger, and not at a record. There is one
exception: the minimum number of records, which is a declared fact of taking part and is checked at
enrolment only. Each condition stands here once, with its reason. The vault sends the code of the
reason and nothing else. The data steward reads the words in the review of a plan (`plans.review`) and
in the vault's log (`vault.request_log`).

Budget. Two conditions are checked at enrolment for the planned events. They are checked again before
every step, inside the ledger's transaction, for what was charged so far. "This study" means its
charges, the step that is asked for, and the plan's remaining steps.

1. Within a plan: epsilon(this study, plan.delta) <= plan.epsilon and the policy's limit per study.
   A plan is fixed before its first answer. So the composition of its privacy loss distributions is a
   bound, whatever the coordinator leaves out or ends early and in whatever order it asks (Zhu, Dong
   and Wang 2022, Theorem 10).
2. Over everything ever charged to the data set, or to each account of the plan's cohort: the policy's
   caps (`vault.caps`).
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace

from fedsynth_client.budget.charge_chain import Charge
from fedsynth_client.budget.policy import Policy
from fedsynth_client.refused import RefusedError
from fedsynth_client.vault.caps import Reason, reasons_of_caps
from fedsynth_client.vault.cohorts import reasons_against_cohort, today
from fedsynth_common.errors import ErrorCode
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.events import CountsEvent, Event
from fedsynth_common.protocol.plan import Plan, SecureSum
from fedsynth_common.schema import Schema


def admit_plan(
    plan: Plan,
    policy: Policy,
    schema: Schema,
    receipt_key: bytes,
    last_day: str = "",
    repeated: bool = False,
) -> None:
    """Refuse a plan for another table or site, without approval, or weaker than the policy.

    Args:
        plan: as it was sent.
        policy: of this site.
        schema: of this site's table.
        receipt_key: public half of the key that this site signs with.
        last_day: the latest day on which a cohort was sealed here, if one was.
        repeated: whether the plan repeats an approved one as the policy allows (`templates`).

    Raises:
        RefusalError: ERR_PLAN or ERR_POLICY, of the first of `reasons_against_terms`.
    """
    _refuse(reasons_against_terms(plan, policy, schema, receipt_key, last_day, repeated))


def admit_cost(plan: Plan, policy: Policy, charges: Sequence[Charge]) -> None:
    """Refuse a plan that does not fit beside everything that other studies were charged.

    Raises:
        RefusalError: ERR_PLAN if it costs more than it says, ERR_POLICY if more than one study may,
            ERR_BUDGET if it does not fit under the cap.
    """
    _refuse(reasons_against_cost(plan, policy, charges))


def admit_step(
    plan: Plan, policy: Policy, charges: Sequence[Charge], step: int, events: Sequence[Event]
) -> None:
    """Refuse a step that would break one of the two conditions, the rest of the plan included.

    Raises:
        RefusalError: ERR_BUDGET.
    """
    own = [charge for charge in charges if charge.study == plan.study]
    done = {step, *(charge.step for charge in own)}
    refuse_other_branch(plan, step, done - {step})
    study = [*events, *(event for charge in own for event in charge.events)]
    study += _remaining(plan, done)
    if epsilon(study, plan.delta) > min(plan.epsilon, policy.study_limit):
        words = "with this step the study would cost more than its plan, or one study, may cost"
        raise RefusedError(ErrorCode.BUDGET, words)
    _refuse(reasons_of_caps(plan, policy, charges, study))


def refuse_other_branch(plan: Plan, step: int, answered: Set[int]) -> None:
    """Refuse a step of one branch of the plan's choice once a step of the other was charged.

    Raises:
        RefusalError: ERR_PLAN.
    """
    chosen, otherwise = plan.chosen_steps, plan.chosen_steps.stop - 1
    if step in chosen and any(
        (n == otherwise) != (step == otherwise) for n in chosen if n in answered
    ):
        taken = "more training" if step == otherwise else "a second measurement"
        words = f"its choice was made already: this site was charged for {taken}"
        raise RefusedError(ErrorCode.PLAN, words)


def events_at(plan: Plan, step: int, events: Sequence[Event], answered: Set[int]) -> list[Event]:
    """What a step is charged that releases `events`, after the steps `answered` of its study.

    The first step of a branch of the plan's choice is charged with the whole choice, since which branch
    it is was decided by earlier answers (`privacy.either`). The other steps of it are paid then.
    """
    if (choice := plan.choice) is None or step not in plan.chosen_steps:
        return list(events)
    if any(number in answered for number in plan.chosen_steps):
        return []
    counts = [event for event in events if isinstance(event, CountsEvent)]
    return [replace(choice, counts=counts[0]) if counts else choice]


def reasons_against_terms(
    plan: Plan,
    policy: Policy,
    schema: Schema,
    receipt_key: bytes,
    last_day: str = "",
    repeated: bool = False,
) -> Iterator[Reason]:
    """The terms of the plan that the site's schema, policy, key or clock does not allow."""
    if plan.table != schema:
        yield Reason(ErrorCode.PLAN, "its schema is not this site's: compare the two files")
    if policy.site is not None and policy.site not in plan.sites:
        words = f"it does not name this site ({policy.site}) among its participants"
        yield Reason(ErrorCode.PLAN, words)
    if not policy.approves(plan.digest) and not repeated:
        yield Reason(ErrorCode.PLAN, not_approved(plan.digest))
    if plan.delta > policy.max_delta:
        words = f"its delta {plan.delta:g} is above the policy's {policy.max_delta:g}"
        yield Reason(ErrorCode.POLICY, words)
    yield from reasons_against_cohort(plan, policy, today(), last_day)
    if plan.secure_sum:
        yield from _reasons_against_sum(plan.secure_sum, policy, receipt_key)
    if training := plan.discriminator:
        steps = training.messages * training.steps_per_message
        if training.noise_multiplier < policy.min_noise_multiplier:
            words = "its training adds less noise than min_noise_multiplier"
            yield Reason(ErrorCode.POLICY, words)
        if training.sampling_rate > policy.max_sampling_rate:
            yield Reason(ErrorCode.POLICY, "its training samples more than max_sampling_rate")
        if steps > policy.max_steps:
            words = f"its training takes {steps} steps, more than max_steps"
            yield Reason(ErrorCode.POLICY, words)


def not_approved(digest: str) -> str:
    """What the steward is told of a plan that nobody here has approved."""
    return (
        f"no plan of digest {digest} is among the policy's approved_plans; read the plan that the "
        "coordinator sent, then: fedsynth site approve PLAN"
    )


def _reasons_against_sum(summed: SecureSum, policy: Policy, receipt_key: bytes) -> Iterator[Reason]:
    """Why this site does not add its counts to those of others under one noise."""
    if policy.max_epsilon_alone is None:
        words = (
            "it is a secure sum, and the policy has no max_epsilon_alone: what may be spent if all "
            "other sites work together against this one"
        )
        yield Reason(ErrorCode.POLICY, words)
    named = summed.receipt_keys.get(policy.site or "")
    if named != receipt_key.hex():
        words = (
            "it does not name this site with this site's own receipt key: compare the policy's "
            "site, and what fedsynth site key prints, with the plan"
        )
        yield Reason(ErrorCode.PLAN, words)


def reasons_against_cost(plan: Plan, policy: Policy, charges: Sequence[Charge]) -> Iterator[Reason]:
    """The limits on its ε that the whole plan breaks: its own, that of one study, the cap."""
    planned = plan.planned_events()
    cost = epsilon(planned, plan.delta)
    if cost > plan.epsilon:
        words = f"it costs {cost:.4f}, more than the {plan.epsilon:g} that it says"
        yield Reason(ErrorCode.PLAN, words)
    if cost > policy.study_limit:
        words = f"it costs {cost:.4f}; one study may cost {policy.study_limit:g}"
        yield Reason(ErrorCode.POLICY, words)
    yield from reasons_of_caps(plan, policy, charges, planned)


def _refuse(reasons: Iterable[Reason]) -> None:
    """Raise the first reason, if there is one. Its code leaves the site and its words do not."""
    for reason in reasons:
        raise RefusedError(reason.code, reason.words)


def _remaining(plan: Plan, done: Set[int]) -> Iterator[Event]:
    """The events of those messages of the plan whose step numbers are not in `done`.

    Of a choice, nothing is left once one of its steps was charged.
    """
    for run in plan.message_runs:
        if run.paid(done):
            continue
        if left := run.count - sum(number in run.numbers for number in done):
            yield run.event_of(left)
