"""What a vault asks of a plan that names a cohort, and how the cohort is sealed before it is charged.

Everything here follows from the plan, the policy, the clock and the ledger. The records decide one
thing: whether a cohort that was charged before is still what it was. A vault does not start otherwise
(`preflight`), so no request is answered differently because of it.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

from fedsynth_client.budget.cohort_seals import AMENDED, SEAL, STEP, Seal
from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.policy import Policy
from fedsynth_client.records.cohort_rows import CohortRows, columns_digest
from fedsynth_client.records.records import Records
from fedsynth_client.refused import RefusedError
from fedsynth_client.vault.caps import Reason
from fedsynth_common.errors import ErrorCode, InputError, RefusalError
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema.cohorts import LAST


def today() -> date:
    """The day by this computer's clock, in UTC."""
    return datetime.now(UTC).date()


def reasons_against_cohort(
    plan: Plan, policy: Policy, day: date, last_day: str
) -> Iterator[Reason]:
    """Why a plan's cohort may not be studied here and now.

    Args:
        plan: that is asked for.
        policy: of this site.
        day: today, by the clock.
        last_day: the latest day on which a cohort was sealed here; empty if none was.
    """
    if (cohort := plan.served) is None:
        return
    if policy.max_epsilon_per_cohort is None:
        words = (
            "it is about a cohort, and the policy has no max_epsilon_per_cohort: what may ever be "
            "charged to the records of one"
        )
        yield Reason(ErrorCode.POLICY, words)
    if not cohort.label and cohort.last < LAST:
        year, month = divmod(cohort.last + 1, 12)
        if day <= date(1970 + year, month + 1, 1):
            words = f"the cohort {cohort.name} is not over yet: records may still be added to it"
            yield Reason(ErrorCode.POLICY, words)
    if day.isoformat() < last_day:
        words = (
            f"this computer's clock says {day}, and a cohort was charged here on {last_day}: set the "
            "clock right"
        )
        yield Reason(ErrorCode.POLICY, words)


def seal_cohort(plan: Plan, records: Records, ledger: Ledger, day: date) -> None:
    """Seal the plan's cohort before its study is charged for the first time.

    Raises:
        RefusalError: ERR_LEDGER if the cohort was sealed with other records, ERR_PLAN if the records are
            not cut into cohorts.
    """
    if (cohort := plan.served) is None:
        return
    if records.cohorts is None:
        raise RefusalError(ErrorCode.PLAN)
    seal = Seal(
        study=plan.study,
        cohort=cohort,
        schema=columns_digest(plan.table),
        records=records.cohorts.digest(cohort),
        day=day.isoformat(),
    )
    known = ledger.seals().seals
    if any(old.cohort == cohort and old.records != seal.records for old in known):
        raise RefusedError(ErrorCode.LEDGER, "the cohort was sealed with other records")
    if not any(old.study == plan.study for old in known):
        ledger.commit(plan.study, STEP, SEAL, seal.to_bytes())


def seal_anew(
    names: Collection[str], rows: CohortRows, ledger: Ledger, day: date
) -> tuple[str, ...]:
    """Seal cohorts as they are now, once a person has said that no record of theirs was moved.

    The chain keeps the old seals. What was charged stays charged.

    Returns:
        The names of the cohorts that had changed and were sealed.

    Raises:
        InputError: no study was charged for a cohort of that name.
    """
    seals = ledger.seals().seals
    if unknown := sorted(set(names) - {seal.cohort.name for seal in seals}):
        raise InputError(
            f"cohort {unknown[0]!r}: no study was charged for it; nothing to seal anew"
        )
    changed = [
        replace(seal, records=rows.digest(seal.cohort), day=day.isoformat())
        for seal in seals
        if seal.cohort.name in names and rows.digest(seal.cohort) != seal.records
    ]
    for seal in changed:
        name = f"{AMENDED}{ledger.head()[0] + 1}"
        ledger.commit(seal.study, STEP, name, seal.to_bytes())
    return tuple(dict.fromkeys(seal.cohort.name for seal in changed))
