"""Decides what a column becomes when a schema is drafted, and what to tell about it.

Rules, per column (first that fits):

| looks like | becomes |
|---|---|
| nothing but missing cells | text, empty in drawn tables |
| the target, up to 20 values | categorical, without `other` |
| dates, times, lengths of time (`moments.py`) | date, datetime or duration, bounds whole years |
| what names persons or records, or free text (`persons.py`) | id or text, with a surrogate |
| two values such as yes/no | boolean |
| up to two values | categorical |
| whole numbers that are codes (`categories.py`) | categorical |
| numbers, more than 20 distinct (`amounts.py`) | integer or numeric, bounds rounded outwards |
| up to 20 distinct whole numbers that fill their range | integer with exact bounds |
| anything else (`categories.py`) | categorical: the most frequent texts |

Marks of missing cells (`marks.py`) are declared in the column. Numbers with leading zeros ("007") are
codes, not numbers.
"""

import numpy as np

from fedsynth_common.errors import InputError
from fedsynth_common.identifiers.findings import heading_names_a_person
from fedsynth_common.schema.columns import Column, IdColumn, TextColumn
from fedsynth_common.tables import UNNAMED
from fedsynth_release.drafting.amounts import amount
from fedsynth_release.drafting.categories import FEW, are_codes, boolean, categorical, small_whole
from fedsynth_release.drafting.marks import marked, marks_among_categories, marks_among_values
from fedsynth_release.drafting.moments import draft_moments
from fedsynth_release.drafting.notes import Note
from fedsynth_release.drafting.numbers import Numbers, read_numbers
from fedsynth_release.drafting.persons import (
    ID_NAME,
    Named,
    keyed,
    named,
    rows_of_a_person,
    running_number,
)
from fedsynth_release.drafting.tally import Values
from fedsynth_release.drafting.wishes import Kind, Wishes


def heading_notes(column: Column) -> list[Note]:
    """What to tell about the heading of a column that would be modelled."""
    if isinstance(column, IdColumn | TextColumn):
        return []
    if ID_NAME.fullmatch(column.name):
        text = "is called like an identifier and would be modelled"
        return [Note(column.name, f'{text}; if it names persons or records, declare its kind "id"')]
    if heading_names_a_person(column):
        text = "its heading announces a personal detail, so that a site has to waive it"
        return [Note(column.name, f'{text}; if it identifies somebody, declare its kind "id"')]
    return []


def draft_column(values: Values, wishes: Wishes) -> tuple[Column, list[Note]]:
    """One column, and what to tell about it."""
    if values.name == wishes.person_key:
        return IdColumn(name=values.name), []
    if values.name == wishes.target:
        _check_target(values)
    if values.name.startswith(UNNAMED):
        unnamed = _without_heading(values)
        if unnamed is not None:
            return unnamed
    if not values.present:
        why = "it holds nothing in any row"
        empty = TextColumn(name=values.name, provider="empty", description=f"Not modelled: {why}.")
        return empty, [
            Note(values.name, f"not modelled, and empty in drawn tables: {why}", "warning")
        ]
    if said := wishes.kinds.get(values.name):
        return _as_said(values, wishes, said)
    which = marks_among_values(values)
    plain, marks = values.without(which), marked(values, which)
    numbers = read_numbers(plain, wishes.decimal)
    moments = draft_moments(plain, marks, wishes.date_order)
    if values.name == wishes.target and (
        (moments is None and values.distinct <= FEW) or numbers is None
    ):
        return _categories(values, wishes, target=True)
    if moments is not None:
        return moments.column, [*_marks_note(values, which), *moments.notes]
    if numbers is not None:
        column, notes = _numbers(values, plain, numbers, marks, wishes)
        return column, [*_marks_note(values, which), *notes]
    return _texts(values, wishes)


def _as_said(values: Values, wishes: Wishes, kind: Kind) -> tuple[Column, list[Note]]:
    """A column of the kind that a person has given it."""
    if kind == "categorical":
        return _categories(values, wishes)
    if kind == "id":
        return keyed(values.without(marks_among_categories(values))), []
    return TextColumn(name=values.name, provider="empty"), []


def _texts(values: Values, wishes: Wishes) -> tuple[Column, list[Note]]:
    """A column of texts that are neither numbers nor dates."""
    if values.name != wishes.target:
        plain = values.without(marks_among_categories(values))
        if found := named(plain, numbers=False, whole=False):
            return found.column, _named_notes(plain, found)
    return _categories(values, wishes)


def _categories(
    values: Values, wishes: Wishes, *, target: bool = False
) -> tuple[Column, list[Note]]:
    which = marks_among_categories(values)
    plain, marks = values.without(which), marked(values, which)
    told = _marks_note(values, which)
    if not target and (flags := boolean(plain, marks)):
        return flags, told
    column, notes = categorical(plain, marks, wishes.max_categories, target=target)
    return column, [*told, *notes]


def _numbers(
    values: Values, plain: Values, numbers: Numbers, marks: tuple[str, ...], wishes: Wishes
) -> tuple[Column, list[Note]]:
    """A column of numbers: ids, codes, a few whole numbers, or amounts."""
    target = values.name == wishes.target
    if (
        not target
        and values.name != wishes.order
        and (found := named(plain, numbers=True, whole=numbers.whole))
    ):
        return found.column, _named_notes(plain, found)
    if values.name == wishes.order:
        return amount(plain, numbers, marks)
    simple = numbers.form is None and not numbers.limit.any()
    read = numbers.values[numbers.read]
    if (
        simple
        and numbers.whole
        and not target
        and (plain.distinct <= 2 or are_codes(plain, read, plain.counts[numbers.read]))
    ):
        codes, notes = categorical(plain.without(numbers.odd), marks, wishes.max_categories)
        return codes, [*numbers.notes, *notes]
    filled = numbers.whole and read.max() - read.min() < 2 * len(read)
    if simple and plain.distinct <= FEW and filled:
        column = small_whole(plain, read, marks, odd=bool(numbers.odd.any()))
        return column, list(numbers.notes)
    return amount(plain, numbers, marks)


def _check_target(values: Values) -> None:
    """Refuse a target that nothing can be learned about."""
    fault = ""
    if not values.present:
        fault = "holds nothing in any row"
    elif values.distinct == 1 and not values.missing:
        fault = "has the same value in every row"
    elif values.distinct > FEW and values.uniqueness > 0.95 and read_numbers(values) is None:
        fault = "has another text in nearly every row"
    if fault:
        raise InputError(
            f"the target {values.name!r} {fault}, so there is nothing to predict; name another column, "
            "or none"
        )


def _without_heading(values: Values) -> tuple[Column, list[Note]] | None:
    """A column without a heading that holds a running number, or nothing."""
    place = int(values.name.removeprefix(UNNAMED)) + 1
    numbers = read_numbers(values)
    if not values.present:
        why = "nothing (a delimiter at the end of each line?)"
        column: Column = TextColumn(name=values.name, description="Left out: no heading, no cells.")
    elif numbers is not None and running_number(values, numbers.whole):
        why = "the running number of the row (an index that a program wrote)"
        column = IdColumn(name=values.name, description="Left out: a running number, no heading.")
    else:
        return None
    text = f"column number {place} has no heading and holds {why}; it is left out of drawn tables"
    return column, [Note(None, text, "warning")]


def _named_notes(values: Values, found: Named) -> list[Note]:
    """What to tell about a column that is not modelled because of what it names."""
    key = isinstance(found.column, IdColumn) and found.column.provider in (None, "uuid")
    text = (
        f"not modelled, because it looks like {found.looks_like}; drawn tables hold made-up cells"
    )
    repeats = key and values.distinct > 1 and values.uniqueness <= NEARLY_UNIQUE
    if repeats:
        text += (
            f". It repeats: {rows_of_a_person(values)}. If it names a person, declare it as person_key "
            "with that many rows_per_person: without a person key the privacy of one ROW is protected, "
            "and not that of a person"
        )
    return [Note(values.name, text, "warning", "persons" if repeats else "column")]


NEARLY_UNIQUE = 0.98


def _marks_note(values: Values, which: np.ndarray) -> list[Note]:
    if not which.any():
        return []
    marks = ", ".join(map(repr, marked(values, which)))
    cells = round(float(values.counts[which].sum()))
    return [Note(values.name, f"{marks} is read as a missing cell ({cells} cells)")]
