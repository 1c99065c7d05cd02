"""Drafts a first schema from a table. The draft is NOT private, and a person must review it.

Bounds, categories and the presence of missing cells are facts about the records, and no privacy
budget pays for them. A draft is safe to use as a schema in two cases only: the table is public, or
somebody has replaced what the data said by what is publicly known (code lists, physical limits).
Until then it carries `origin = "drafted from data"`.

`column_kinds.py` decides what each column becomes, and lists the rules for it.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pandas as pd
from pydantic import ValidationError

from fedsynth_common.errors import InputError
from fedsynth_common.schema.columns import Column
from fedsynth_common.schema.rules import Rule
from fedsynth_common.schema.schema import Schema
from fedsynth_common.validated import first_fault
from fedsynth_release.drafting.column_kinds import draft_column, heading_notes
from fedsynth_release.drafting.notes import Note
from fedsynth_release.drafting.rules import with_rules
from fedsynth_release.drafting.tally import Tally
from fedsynth_release.drafting.wishes import Wishes

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
    histories need is for `drafting.histories`.

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
            column, told = draft_column(tally.values(), wishes)
            columns.append(column)
            notes += [*told, *heading_notes(column)]
        schema = Schema(
            name=name, columns=tuple(columns), target=wishes.target, origin="drafted from data"
        )
    except ValidationError as error:
        raise InputError(f"cannot draft a schema: {first_fault(error, Schema)}") from None
    if wishes.rules and wishes.person_key is None:
        schema, nearly = with_rules(schema, first, chunks)
        notes += [_nearly(rule, share) for rule, share in nearly]
        notes += [Note(None, f"rule {r.name!r} holds in every row: {r.rule}") for r in schema.rules]
    return Draft(schema, tuple(notes))


def _nearly(rule: Rule, share: float) -> Note:
    """What is told of a rule that a few rows break, and that is therefore not declared."""
    written = rule.model_dump_json(exclude_none=True, exclude={"description"})
    return Note(
        None,
        f"{rule.name!r} holds in {math.floor(1000 * share) / 10:g} % of the rows and is not declared. "
        f"If the others are errors, correct them and declare it: {written}",
    )


def _check_type(table: object) -> None:
    if not (isinstance(table, pd.DataFrame) or callable(table)):
        fault = f"expected a pandas DataFrame, got {type(table).__name__}"
        raise InputError(f"{fault}; read a file with fedsynth_common.tables.read_table")


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
