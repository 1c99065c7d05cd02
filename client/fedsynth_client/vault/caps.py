"""Whether everything ever charged to a data set stays within the policy's caps.

Later plans are chosen after seeing results, which needs a filter: `share_of_cap` (Feldman and Zrnic
2021). While no other study was ever charged there is nothing to choose after, and the tighter
epsilon(this study, policy.max_delta) <= policy.max_epsilon decides. Both rules fit together since the
first study counts with its *whole plan*, run or not: if that is within the filter, so is everything
from the first charge on; if it is not, no second study is ever charged.

Where a schema cuts its table into cohorts, all this holds for every account of the plan's cohort by
itself (`budget.cohort_accounts`). A record is in one place. So for the two tables that a guarantee is
about, only the charges of one account tell them apart, and what other accounts were charged, and when,
is the same for both.

A person may be in several cohorts. Then the caps on a person are held in addition against all charges
that one person of the plan's cohort can have been part of, and always by the filter once there are
others: which study came first is not the same for all persons, so that each of them has to leave room.

There are two caps. `max_epsilon` is held against everybody outside, for the events as charged. In a
secure sum several sites make one noise together; `max_epsilon_alone` is held for this site's share of
it alone, as if everybody else told theirs (`privacy.secure_noise.alone`). For noise that a site makes
all by itself both come to the same, so the second is looked at only where noise was or will be shared.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from fedsynth_client.budget.charge_chain import Charge
from fedsynth_client.budget.cohort_accounts import accounts, cohorts_of_a_person, of_any_person
from fedsynth_client.budget.policy import Policy
from fedsynth_common.errors import ErrorCode
from fedsynth_common.privacy.accounting import epsilon, share_of_cap
from fedsynth_common.privacy.events import Event
from fedsynth_common.privacy.renyi import filter_order
from fedsynth_common.privacy.secure_noise import alone, shared
from fedsynth_common.protocol.plan import Plan


@dataclass(frozen=True)
class Reason:
    """Why a plan may not run: the code, which leaves the site, and words for the site's steward."""

    code: ErrorCode
    words: str


@dataclass(frozen=True)
class _Cap:
    """A limit on ε at δ, the events as its adversary sees them, and its name for the steward."""

    epsilon: float
    delta: float
    seen: Callable[[Iterable[Event]], Sequence[Event]]
    words: str
    of_cohort: bool = False


def reasons_of_caps(
    plan: Plan, policy: Policy, charges: Sequence[Charge], study: Sequence[Event]
) -> Iterator[Reason]:
    """Why `study`, all that the plan's study will be charged, does not fit under the caps."""
    for account in accounts(plan.served, plan.table.cohorts, charges):
        if reasons := list(_of_account(plan, policy, account, study)):
            yield from reasons
            return
    if cohorts_of_a_person(plan.served, charges) > 1:
        yield from _of_person(plan, policy, charges, study)


def _of_person(
    plan: Plan, policy: Policy, charges: Sequence[Charge], study: Sequence[Event]
) -> Iterator[Reason]:
    """The same for the charges that one person can have been part of, in several cohorts."""
    others = [charge for charge in charges if charge.study != plan.study]
    for cap in _caps(plan, policy, [*study, *(e for c in others for e in c.events)]):
        if cap.of_cohort or not others:
            continue  # one cohort has been looked at, and so has a study that is alone

        def share(part: Sequence[Charge], cap: _Cap = cap) -> float:
            events = [event for charge in part for event in charge.events]
            return share_of_cap(cap.seen(events), cap.epsilon, cap.delta)

        person = of_any_person(plan.served, others, share)
        firsts = {charge.study: charge for charge in charges}.values()
        if not all(_leaves_room(cap, first) for first in firsts):
            words = (
                f"the whole plan of a study that was charged here takes all of {cap.words} by itself, "
                "run or not, so that no other study of persons in several cohorts fits beside it"
            )
            yield Reason(ErrorCode.BUDGET, words)
            return
        events = [*study, *(event for charge in person for event in charge.events)]
        if (used := share_of_cap(cap.seen(events), cap.epsilon, cap.delta)) > 1:
            most = cohorts_of_a_person(plan.served, charges)
            words = (
                f"with it a person in {most} cohorts would have used {used:.1%} of what {cap.words} "
                "allows several studies"
            )
            yield Reason(ErrorCode.BUDGET, words)


def _of_account(
    plan: Plan, policy: Policy, charges: Sequence[Charge], study: Sequence[Event]
) -> Iterator[Reason]:
    """The same for the charges of one account."""
    others = [event for c in charges if c.study != plan.study for event in c.events]
    for cap in _caps(plan, policy, [*study, *others]):
        if not others:
            spent = epsilon(cap.seen(study), cap.delta)
            if spent > cap.epsilon:
                words = f"with it {spent:.4f} would be spent of {cap.words}"
                yield Reason(ErrorCode.BUDGET, words)
        elif not _leaves_room(cap, charges[0]):
            words = (
                f"the whole plan of {charges[0].study}, the first study charged here, takes all of "
                f"{cap.words} by itself, run or not, so that no other study fits beside it"
            )
            yield Reason(ErrorCode.BUDGET, words)
        elif (share := share_of_cap(cap.seen([*study, *others]), cap.epsilon, cap.delta)) > 1:
            order = filter_order(cap.epsilon, cap.delta)
            words = (
                f"with it {share:.1%} of what {cap.words} allows several studies would be used "
                f"(Rényi filter of order {order:g})"
            )
            yield Reason(ErrorCode.BUDGET, words)


def _caps(plan: Plan, policy: Policy, events: Sequence[Event]) -> Iterator[_Cap]:
    yield _Cap(policy.max_epsilon, policy.max_delta, tuple, f"the cap {policy.max_epsilon:g}")
    if plan.cohort is not None and (most := policy.max_epsilon_per_cohort) is not None:
        words = f"the cap {most:g} of one cohort"
        yield _Cap(most, policy.max_delta, tuple, words, of_cohort=True)
    if shared(events):
        words = f"the cap {policy.alone_limit:g} for the case that all others work together"
        yield _Cap(policy.alone_limit, policy.max_delta, alone, words)


def _leaves_room(cap: _Cap, first: Charge) -> bool:
    """Whether the whole plan of a study that may have been charged first is within the filter.

    If the ledger has no plan of it that can be read, it is not.
    """
    whole = first.planned
    if whole is None:
        return False
    return share_of_cap(cap.seen(whole), cap.epsilon, cap.delta) <= 1
