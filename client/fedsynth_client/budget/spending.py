"""Reads a ledger for a person: its charges, what they cost, and whether the ledger is sound.

Reading changes nothing and takes no lock, so it works while a vault is running. For this the witness
is read before the chain, which only grows. If the ledger has a fault, the fault is stated and no
charges are shown; the vault does not start on such a ledger either.
"""

import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fedsynth_client.budget.charge_chain import (
    Charge,
    Head,
    charges_in,
    genesis,
    of_this_version,
    verified_links,
)
from fedsynth_client.budget.cohort_accounts import (
    account_of,
    all_places,
    cohorts_of_a_person,
    of_any_person,
)
from fedsynth_client.budget.cohort_seals import SealBook, book_in
from fedsynth_client.budget.ledger_guards import Witness
from fedsynth_client.budget.policy import Policy
from fedsynth_common.errors import InputError, RefusalError
from fedsynth_common.privacy.accounting import ROUNDING, epsilon, epsilon_rdp, share_of_cap
from fedsynth_common.privacy.events import Event
from fedsynth_common.privacy.renyi import filter_order
from fedsynth_common.privacy.secure_noise import alone, shared
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.sqlite_files import reading

DELETED = "missing although its witness exists: it was moved or deleted; put the latest one back"
DAMAGED = "damaged, changed by hand, or of another data set than the policy's"
OLDER = (
    "written by an older version of fedsynth; keep it, finish its studies with that version, and ask "
    "for help before you start a new one: what it charged must not be forgotten"
)
UNREADABLE = "not a ledger, or not readable by this user: chown it to the vault's user"
ROLLED_BACK = (
    "older than its witness (restored from a backup?), or the witness is missing or damaged"
)


@dataclass(frozen=True, kw_only=True)
class LedgerState:
    """What a ledger holds: all charges of a data set, the head of their chain, and a fault if any.

    `started` is false as long as no study has reached the site. `head` is None if there is a fault.
    `book` holds the seals of the cohorts that were charged.
    `planned` says how many steps each accepted plan has.
    """

    charges: tuple[Charge, ...] = ()
    head: Head | None = None
    planned: Mapping[str, int] = field(default_factory=dict)
    started: bool = True
    fault: str = ""
    book: SealBook = field(default_factory=SealBook)


def read_ledger(path: Path, dataset: str, witness: Path | None = None) -> LedgerState:
    """Read the ledger at `path`, with the same checks as a vault that starts on it."""
    seal = Witness(witness or f"{path}.witness")
    try:
        seal.refuse_missing_ledger(path)
        if not path.exists():
            return LedgerState(head=(0, genesis(dataset)), started=False)
    except RefusalError:
        return LedgerState(fault=DELETED)
    except PermissionError:  # the folder is closed to this user
        return LedgerState(fault=UNREADABLE)
    try:
        seen = seal.read()
        with reading(path) as database:
            return _verified(database, seal, seen, dataset)
    except sqlite3.Error:
        return LedgerState(fault=UNREADABLE)
    except RefusalError:
        return LedgerState(fault=ROLLED_BACK)


def _verified(
    database: sqlite3.Connection, seal: Witness, seen: Head | None, dataset: str
) -> LedgerState:
    database.execute("BEGIN")  # one snapshot for chain and charges, while a vault may be writing
    try:
        links = verified_links(database, genesis(dataset))
    except RefusalError:
        return LedgerState(fault=DAMAGED)
    seal.compare(seen, links)
    if not of_this_version(database):
        return LedgerState(fault=OLDER)
    last = max(links)
    return LedgerState(
        charges=tuple(charges_in(database)),
        head=(last, links[last]),
        planned=_planned(database),
        book=book_in(database),
    )


def _planned(database: sqlite3.Connection) -> dict[str, int]:
    """The number of steps of every accepted plan that can be read."""
    planned = {}
    for study, text in database.execute("SELECT study, plan_json FROM studies ORDER BY study"):
        with suppress(InputError):
            plan = Plan.from_json(bytes(text))
            planned[str(study)] = sum(run.count for run in plan.message_runs)
    return planned


@dataclass(frozen=True, kw_only=True)
class Total:
    """What events cost together under one of a policy's caps, at its δ.

    Attributes:
        cap: that they are held against.
        epsilon: by PLD for one study, whose plan was fixed beforehand; by Rényi DP for several.
        pld: by PLD, that is, if all plans had been fixed before the first answer.
        share: the share of the cap's Rényi budget that is used (`vault.caps`); with more than 1, no
            further study fits.
        order: the order of that Rényi filter.
    """

    cap: float
    epsilon: float
    pld: float
    share: float
    order: float

    @classmethod
    def of(cls, events: Sequence[Event], policy: Policy, *, several: bool) -> "Total":
        """Sum up `events`, which are charges of `several` studies or of one, against outsiders."""
        return cls._of(events, policy.max_epsilon, policy.max_delta, several)

    @classmethod
    def alone(cls, events: Sequence[Event], policy: Policy, *, several: bool) -> "Total | None":
        """The same if all others work together against this site; None if no noise was shared."""
        if not shared(events):
            return None
        return cls._of(alone(events), policy.alone_limit, policy.max_delta, several)

    @classmethod
    def _of(cls, events: Sequence[Event], cap: float, delta: float, several: bool) -> "Total":
        pld = epsilon(events, delta)
        rdp = math.ceil(epsilon_rdp(events, delta) / ROUNDING) * ROUNDING
        return cls(
            cap=cap,
            epsilon=round(rdp, 4) if several else pld,
            pld=pld,
            share=share_of_cap(events, cap, delta),
            order=filter_order(cap, delta),
        )


@dataclass(frozen=True, kw_only=True)
class Spending:
    """What studies have cost at the policy's δ.

    `left` is the cap less what was spent. A plan takes less of it than its own ε, because the ε of
    several studies is less than their sum; `fedsynth site check --plan` shows how much it takes.
    `alone` is the running total if all others work together against this site, once it took part in
    a secure sum. Once a cohort was charged, `cohorts` has each of them, and the other figures are those
    of the records that were charged most; where persons are in several cohorts, of the person who can
    have been charged most.
    """

    studies: dict[str, float]
    steps: dict[str, int]
    total: Total
    left: float
    alone: Total | None = None
    cohorts: Mapping[str, "CohortSpending"] = field(default_factory=dict)

    @property
    def spent(self) -> float:
        """The ε of all studies together."""
        return self.total.epsilon


@dataclass(frozen=True, kw_only=True)
class CohortSpending:
    """What was charged to the records of one cohort, and what studies of it may still cost.

    `cap` is the policy's max_epsilon_per_cohort, or its max_epsilon where it has none.
    """

    studies: tuple[str, ...]
    spent: float
    cap: float
    left: float
    share: float


OTHERS = "all others"
"""Stands for the records of the cohorts that no study has named."""


def spending(charges: Sequence[Charge], policy: Policy) -> Spending:
    """What each study has cost, and what all have cost together."""
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for charge in charges:
        events[charge.study] += charge.events
    accounts = _accounts(charges)
    totals = {name: _total(account, policy) for name, account in accounts.items()}
    fullest = max(totals, key=lambda name: totals[name].share)
    worst, total = accounts[fullest], totals[fullest]
    if cohorts_of_a_person(None, charges) > 1:
        worst = of_any_person(None, charges, partial(_share, policy))
        total = _total(worst, policy)
    several = len({charge.study for charge in worst}) > 1
    return Spending(
        studies={study: epsilon(own, policy.max_delta) for study, own in events.items()},
        steps=dict(Counter(charge.study for charge in charges)),
        total=total,
        left=max(0.0, round(policy.max_epsilon - total.epsilon, 4)),
        alone=Total.alone(_events(worst), policy, several=several),
        cohorts=_by_cohort(accounts, policy) if len(accounts) > 1 else {},
    )


def _accounts(charges: Sequence[Charge]) -> dict[str, tuple[Charge, ...]]:
    """By cohort, the charges of those of its records that were charged by most studies."""
    found: dict[str, tuple[Charge, ...]] = {}
    for place, name in all_places(charges):
        account = account_of(place, charges)
        if len(account) >= len(found.get(name or OTHERS, ())):
            found[name or OTHERS] = account
    return found or {OTHERS: tuple(charges)}


def _by_cohort(
    accounts: Mapping[str, Sequence[Charge]], policy: Policy
) -> dict[str, CohortSpending]:
    """Each cohort, against the cap that a further study of it is held against."""
    cap = policy.max_epsilon_per_cohort or policy.max_epsilon
    capped = policy.model_copy(update={"max_epsilon": cap})
    totals = {name: _total(account, capped) for name, account in accounts.items()}
    return {
        name: CohortSpending(
            studies=tuple(dict.fromkeys(charge.study for charge in accounts[name])),
            spent=total.epsilon,
            cap=cap,
            left=max(0.0, round(cap - total.epsilon, 4)),
            share=total.share,
        )
        for name, total in totals.items()
    }


def _share(policy: Policy, charges: Sequence[Charge]) -> float:
    return share_of_cap(_events(charges), policy.max_epsilon, policy.max_delta)


def _total(account: Sequence[Charge], policy: Policy) -> Total:
    several = len({charge.study for charge in account}) > 1
    return Total.of(_events(account), policy, several=several)


def _events(account: Sequence[Charge]) -> list[Event]:
    return [event for charge in account for event in charge.events]
