"""Which charges one record can have been part of: the accounts of cohorts.

A study that names a cohort is computed from that cohort's records alone, so it charges them alone. Two
neighbouring tables differ by one record, which is in one place: one month of the column that cuts the
table, or one category. The privacy loss about this record comes from those studies alone that cover its
place (parallel composition: McSherry 2009, doi:10.1145/1559845.1559850). An *account* is the list of
these charges for one place, and each account is held against the caps by itself.

Whatever is not known counts as covering every place: a study without a cohort, one that was cut by
another column, and one whose charge does not say what it was about. So neither another name nor another
way to cut the table starts a new account.

The rows of a person may lie in several cohorts, in `per_person` at most. The privacy loss about a person
comes from the studies of those cohorts together. Which ones they are is private, so that the cap on a
person is held against the fullest that there can be (`of_any_person`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
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


def cohorts_of_a_person(served: Cohort | None, charges: Sequence[Charge]) -> int:
    """In how many cohorts a person may be, by a study and by everything that was charged before."""
    known = [served, *(charge.cohort for charge in charges)]
    return max((cohort.per_person for cohort in known if cohort is not None), default=1)


def of_any_person(
    served: Cohort | None, charges: Sequence[Charge], share: Callable[[Sequence[Charge]], float]
) -> tuple[Charge, ...]:
    """The charges, in order, that one person of the cohort `served` can have been part of, at most.

    These are those of studies that may be about everybody, those of this cohort, and those of the
    fullest other cohorts, by `share`, of which there are as many as a person may be in. A cohort that is
    not one of the cut of `served` counts for everybody: how many of them a person is in is not known.

    Args:
        served: a cohort that the person is in; None for one of whom that is not said.
        charges: of the ledger.
        share: what charges of one cohort use of a cap; such shares add up.
    """
    most = cohorts_of_a_person(served, charges)
    model = served or next(
        (c.cohort for c in charges if c.cohort and c.cohort.per_person > 1), None
    )
    groups: defaultdict[Cohort, list[Charge]] = defaultdict(list)
    for charge in charges:
        if charge.cohort is not None and model is not None and _alike(charge.cohort, model):
            groups[charge.cohort].append(charge)
    others = sorted(
        (c for c in groups if c != served), key=lambda c: share(groups[c]), reverse=True
    )
    left_out = set(others[most - 1 if served is not None else most :])
    return tuple(charge for charge in charges if charge.cohort not in left_out)


def _alike(cohort: Cohort, model: Cohort) -> bool:
    """Whether both are single cohorts of one cut, so that they are the same or share nothing."""
    length = model.last - model.first + 1
    return (
        cohort.column == model.column
        and not cohort.label
        and not model.label
        and cohort.last - cohort.first + 1 == length
        and (cohort.first - model.first) % length == 0
    )
