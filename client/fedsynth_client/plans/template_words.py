"""What a template permits, in plain words, for the person who is about to allow it.

The same conditions as `vault.templates` are stated here. Nothing here looks at a record.
"""

from collections.abc import Iterator, Sequence

from fedsynth_client.budget.charge_chain import Charge
from fedsynth_client.budget.cohort_accounts import accounts
from fedsynth_client.budget.policy import Policy
from fedsynth_client.plans.review import Review
from fedsynth_common.errors import InputError
from fedsynth_common.protocol.plan import Plan

MOST_COHORTS = 400
"""Later cohorts that one template may cover: 33 years of months."""


def cohorts_until(plan: Plan, until: str) -> tuple[str, ...]:
    """The cohorts after the plan's own, up to the last that a template names.

    Raises:
        InputError: the plan is not about one cohort of dates, or `until` is not a later one.
    """
    cut, own = plan.table.cohorts, plan.served
    if cut is None or own is None or cut.every is None or ".." in own.name:
        raise InputError(
            f"plan of study {plan.study}: is not about one cohort of dates, so that no later cohort "
            "follows it; every such study needs an approval of its own"
        )
    last = cut.cohort(until)
    if ".." in until or last.last <= own.last:
        raise InputError(f"--until {until}: name one cohort after {own.name}, the plan's own")
    names: list[str] = []
    while (name := cut.following(names[-1] if names else own.name)) != until:
        names.append(name)
        if len(names) >= MOST_COHORTS:
            raise InputError(f"--until {until}: covers more than {MOST_COHORTS} cohorts")
    return (*names, until)


def words_of_template(
    plan: Plan, until: str, policy: Policy, reviewed: Review, charges: Sequence[Charge]
) -> Iterator[str]:
    """What a template of this plan permits and what it does not, a sentence a line."""
    later = cohorts_until(plan, until)
    spent = _charged(plan, later, charges)
    free = [name for name in later if name not in spent]
    yield (
        f"Without asking again, this site answers the plan above once for each of {len(free)} later "
        f"cohorts: {_listed(free)}."
    )
    if spent:
        yield f"Not for {_listed(spent)}: other studies were charged to records there."
    yield "A cohort is answered once it is over. One that was missed can be made up later, once."
    cap = policy.max_epsilon_per_cohort
    within = "" if cap is None else f", of {cap:g} that max_epsilon_per_cohort allows"
    yield (
        f"Each costs the records of its own cohort epsilon {reviewed.cost:.4f}{within}; a record is in "
        "one cohort, so that no record is charged twice."
    )
    most = min(len(free) + 1, plan.table.cohorts_per_person or len(free) + 1)
    yield (
        f"A person with records in {most} of these cohorts, the plan's own included, is charged at most "
        f"{most} times that; there is nobody in more."
    )
    yield (
        "Everything else asks for an approval: another epsilon, other sites, other columns, a second "
        "study of a cohort. The caps hold as always."
    )
    yield "Take the line out of the policy to stop it; that holds from the next request on."


def _charged(plan: Plan, names: Sequence[str], charges: Sequence[Charge]) -> list[str]:
    """Those cohorts to whose records something was charged already."""
    cut = plan.table.cohorts
    if cut is None:
        return []
    return [name for name in names if any(accounts(cut.cohort(name), cut, charges))]


def _listed(names: Sequence[str], most: int = 8) -> str:
    if not names:
        return "none"
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])} ... {names[-1]}"
