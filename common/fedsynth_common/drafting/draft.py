"""Drafts a first schema from a table. The draft is NOT private, and a person must review it.

Bounds, categories and the presence of missing cells are facts about the records, and no privacy
budget pays for them. A draft is safe to use as a schema in two cases only: the table is public, or
somebody has replaced what the data said by what is publicly known (code lists, physical limits).
Until then it carries `origin = "drafted from data"`.

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
| numbers, more than 20 distinct (`numbers.py`) | integer or numeric, bounds rounded outwards |
| up to 20 distinct whole numbers that fill their range | integer with exact bounds |
| anything else (`categories.py`) | categorical: the most frequent texts |

Marks of missing cells (`marks.py`) are declared in the column. Numbers with leading zeros ("007") are
codes, not numbers.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import ValidationError

from fedsynth_common.drafting.categories import FEW, are_codes, boolean, categorical, small_whole
from fedsynth_common.drafting.marks import marked, marks_among_categories, marks_among_values
from fedsynth_common.drafting.moments import ORDERS, Order, draft_moments
from fedsynth_common.drafting.notes import Note
from fedsynth_common.drafting.numbers import Numbers, amount, read_numbers
from fedsynth_common.drafting.persons import ID_NAME, Named, named, rows_of_a_person, running_number
from fedsynth_common.drafting.rules import with_rules
from fedsynth_common.drafting.tally import Tally, Values
from fedsynth_common.errors import InputError
from fedsynth_common.identifiers.headings import names_a_person
from fedsynth_common.schema.columns import Column, IdColumn, TextColumn
from fedsynth_common.schema.schema import Schema
from fedsynth_common.tables import UNNAMED
from fedsynth_common.validated import first_fault

Decimal = Literal[".", ","]
Chunks = Callable[[], Iterable[pd.DataFrame]]
FIRST_ROWS = 5_000  # among which rules are looked for
ROWS = 1 << 16  # of a table in memory that are looked at in one go


@dataclass(frozen=True)
class Draft:
    """A drafted schema and what its reader should know."""

    schema: Schema
    notes: tuple[Note, ...]

    @property
    def warnings(self) -> tuple[Note, ...]:
        """The notes that say what is lost, withheld or guessed."""
        return tuple(note for note in self.notes if note.weight == "warning")


@dataclass(frozen=True)
class Wishes:
    """What a person has said about the table.

    Attributes:
        target: The column that analysts will want to predict.
        max_categories: Most categories to list, where that covers four fifths of the cells.
        date_order: How day, month and year follow each other.
        decimal: The decimal mark.
        person_key: The column that names the person, if a row is an event of a person: an id.
        order: The column that orders a person's events: a number or a moment, whatever it looks like.
        rules: Whether rules that hold in every row are proposed.
    """

    target: str | None = None
    max_categories: int = 64
    date_order: Order | None = None
    decimal: Decimal | None = None
    person_key: str | None = None
    order: str | None = None
    rules: bool = True


def wishes_of(
    target: str | None,
    max_categories: int,
    order: str | None,
    decimal: str | None,
    person_key: str | None = None,
    event_order: str | None = None,
) -> Wishes:
    """The wishes of somebody at a terminal.

    Raises:
        InputError: an order or a mark that there is not.
    """
    if order is not None and order not in ORDERS:
        raise InputError(f"--date-order {order}: expected one of {', '.join(ORDERS)}")
    if decimal not in (None, ".", ","):
        raise InputError(f"--decimal {decimal!r}: expected '.' or ','")
    known: Order | None = next((one for one in ORDERS if one == order), None)
    mark: Decimal | None = "," if decimal == "," else "." if decimal == "." else None
    return Wishes(target, max_categories, known, mark, person_key, event_order)


def draft_schema(
    frame: pd.DataFrame,
    name: str,
    target: str | None = None,
    max_categories: int = 64,
    *,
    person_key: str | None = None,
    order: str | None = None,
) -> Schema:
    """Propose a schema that encodes `frame`. The arguments are those of `Wishes`.

    `person_key` becomes an id, and `order` a number or a moment, whatever they look like; what more
    histories need is for `encoding.draft_histories`.

    Raises:
        InputError: as `draft`.
    """
    wishes = Wishes(target, max_categories, person_key=person_key, order=order, rules=False)
    return draft(frame, name, wishes).schema


def draft(table: pd.DataFrame | Chunks, name: str, wishes: Wishes | None = None) -> Draft:
    """Propose a schema for a table, with notes on what was decided.

    Args:
        table: The records; or a function that gives them in chunks, each time from the beginning.
        name: Of the schema.
        wishes: What a person has said about the table.

    Raises:
        InputError: no rows, no such target or one that nothing can be learned about, or column names
            that a schema cannot hold.
    """
    wishes = wishes or Wishes()
    _check_type(table)
    if wishes.max_categories < 1:
        raise InputError("max_categories must be at least 1")
    chunks = (lambda: _pieces(table)) if isinstance(table, pd.DataFrame) else table
    tallies, first = _tallies(chunks())
    if not tallies or not (tallies[0].present or tallies[0].missing):
        raise InputError("cannot draft a schema from a table without rows")
    if wishes.target is not None and wishes.target not in {tally.name for tally in tallies}:
        raise InputError(f"the target {wishes.target!r} is not a column of the table")
    columns: list[Column] = []
    notes: list[Note] = []
    try:
        for tally in tallies:
            column, told = _column(tally.values(), wishes)
            columns.append(column)
            notes += [*told, *_heading_notes(column)]
        schema = Schema(
            name=name, columns=tuple(columns), target=wishes.target, origin="drafted from data"
        )
    except ValidationError as error:
        raise InputError(f"cannot draft a schema: {first_fault(error, Schema)}") from None
    if wishes.rules and wishes.person_key is None:
        schema = with_rules(schema, first, chunks)
        notes += [Note(None, f"rule {r.name!r} holds in every row: {r.rule}") for r in schema.rules]
    return Draft(schema, tuple(notes))


def _check_type(table: object) -> None:
    if not (isinstance(table, pd.DataFrame) or callable(table)):
        fault = f"expected a pandas DataFrame, got {type(table).__name__}"
        raise InputError(f"{fault}; read a file with fedsynth_common.tables.read_table")


def _heading_notes(column: Column) -> list[Note]:
    """What to tell about the heading of a column that would be modelled."""
    if isinstance(column, IdColumn | TextColumn):
        return []
    if ID_NAME.fullmatch(column.name):
        text = "is called like an identifier and would be modelled"
        return [Note(column.name, f'{text}; if it names persons or records, declare its kind "id"')]
    if names_a_person(column.name):
        text = "its heading announces a personal detail, so that a site has to waive it"
        return [Note(column.name, f'{text}; if it identifies somebody, declare its kind "id"')]
    return []


def _pieces(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    names = [str(name) for name in frame.columns]
    for start in range(0, len(frame), ROWS):
        piece = frame.iloc[start : start + ROWS]
        yield piece.set_axis(names, axis=1)


def _tallies(chunks: Iterable[pd.DataFrame]) -> tuple[list[Tally], pd.DataFrame]:
    """The cells of every column, counted; and the first rows."""
    tallies: list[Tally] = []
    first: list[pd.DataFrame] = []
    for chunk in chunks:
        tallies = tallies or [Tally(str(name)) for name in chunk.columns]
        for place, tally in enumerate(tallies):
            tally.add(chunk.iloc[:, place])
        left = FIRST_ROWS - sum(map(len, first))
        first += [chunk.iloc[:left]] if left > 0 else []
    return tallies, pd.concat(first, ignore_index=True) if first else pd.DataFrame()


def _column(values: Values, wishes: Wishes) -> tuple[Column, list[Note]]:
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
    keyed = isinstance(found.column, IdColumn) and found.column.provider in (None, "uuid")
    text = (
        f"not modelled, because it looks like {found.looks_like}; drawn tables hold made-up cells"
    )
    if keyed and values.distinct > 1 and values.uniqueness <= NEARLY_UNIQUE:
        text += (
            f". It repeats: {rows_of_a_person(values)}. If it names a person, declare it as person_key "
            "with that many rows_per_person: without a person key the privacy of one ROW is protected, "
            "and not that of a person"
        )
    return [Note(values.name, text, "warning")]


NEARLY_UNIQUE = 0.98


def _marks_note(values: Values, which: np.ndarray) -> list[Note]:
    if not which.any():
        return []
    marks = ", ".join(map(repr, marked(values, which)))
    cells = round(float(values.counts[which].sum()))
    return [Note(values.name, f"{marks} is read as a missing cell ({cells} cells)")]
