"""Which charges one record can have been part of: the accounts of cohorts.

A study that names a cohort is computed from that cohort's records alone, so it charges them alone. Two
neighbouring tables differ by one record, which is in one place: one month of the column that cuts the
table, or one category. The privacy loss about this record comes from those studies alone that cover its
place (parallel composition: McSherry 2009, doi:10.1145/1559845.1559850). An *account* is the list of
these charges for one place, and each account is held against the caps by itself.

Whatever is not known counts as covering every place: a study without a cohort, one that was cut by
another column, and one whose charge does not say what it was about. So neither another name nor another
way to cut the table starts a new account.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fedsynth_client.budget.charge_chain import Charge
from fedsynth_common.schema import Cohort, Cohorts
from fedsynth_common.schema.cohorts import FIRST, LAST

_ANY = "\0"  # stands for every category that no study has named


class Place(NamedTuple):
    """Where a record lies: the column that cuts the table, and its category or its month."""

    column: str
    label: str = ""
    month: int = FIRST - 1


def account_of(place: Place, charges: Sequence[Charge]) -> tuple[Charge, ...]:
    """The charges that a record at this place may have been part of, in order."""
    return tuple(c for c in charges if c.cohort is None or c.cohort.covers(*place))


def places(
    served: Cohort | None, cut: Cohorts, charges: Sequence[Charge]
) -> Iterator[tuple[Place, str]]:
    """One place for every account that a study of `served` can touch, and the name of a cohort there.

    Args:
        served: the cohort of the study; None for a study of all records.
        cut: how the study's schema cuts the table.
        charges: of the ledger.
    """
    known = [c.cohort for c in charges if c.cohort is not None and c.cohort.column == cut.column]
    if cut.every is None:
        labels = {_ANY: "", **{cohort.label: cohort.name for cohort in known if cohort.label}}
        if served is not None:
            labels = {served.label: served.name}
        yield from ((Place(cut.column, label), name) for label, name in labels.items())
        return
    low, high = (served.first, served.last) if served else (FIRST - 1, LAST + 1)
    starts = {low: served.name if served else ""}
    for cohort in (cohort for cohort in known if not cohort.label):
        starts.setdefault(cohort.last + 1, "")
        starts[cohort.first] = starts.get(cohort.first) or cohort.name
    for month in sorted(starts):
        if low <= month <= high:
            covering = (c.name for c in known if not c.label and c.first <= month <= c.last)
            yield Place(cut.column, month=month), starts[month] or next(covering, "")


def accounts(
    served: Cohort | None, cut: Cohorts | None, charges: Sequence[Charge]
) -> list[tuple[Charge, ...]]:
    """The different accounts that a study touches, each with all of its charges.

    Where the table is not cut into cohorts there is one account, with all charges.
    """
    if cut is None:
        return [tuple(charges)]
    found = (account_of(place, charges) for place, _ in places(served, cut, charges))
    return list(dict.fromkeys(found))


def all_places(charges: Sequence[Charge]) -> Iterator[tuple[Place, str]]:
    """One place for every account of a ledger, with the name of a cohort there; none if it has none."""
    cuts = {
        c.cohort.column: Cohorts(column=c.cohort.column, every=None if c.cohort.label else "month")
        for c in charges
        if c.cohort is not None
    }
    for cut in cuts.values():
        yield from places(None, cut, charges)
