"""The public schema in Python: drafted from a table, shown, reviewed and saved."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self, get_args

from rich.table import Table as RichTable
from rich.text import Text

from fedsynth.display import Shown
from fedsynth.inputs import Table, name_of, table_of
from fedsynth.notices import ColumnWarning, NotPrivateWarning, PersonsWarning, in_python, notice
from fedsynth.options import one_of, text, whole, wrong
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    IdColumn,
    TextColumn,
)
from fedsynth_common.schema import Schema as PlainSchema
from fedsynth_release.drafting.wishes import Kind

MOST_LISTED = 6


class Schema(Shown, PlainSchema):
    """What all sites agree on before any record is read: columns, bounds, categories and rules.

    `docs/SCHEMA.md` describes every field. Load one with `Schema.load("schema.json")`, draft one with
    `fedsynth.draft(frame)`, and write it with `.save("schema.json")`.
    """

    @classmethod
    def of(cls, plain: PlainSchema) -> Self:
        """The same schema with this class's manners."""
        return cls.model_validate_json(plain.to_json())

    @property
    def plain(self) -> PlainSchema:
        """The same schema as the other parts of fedsynth hold it."""
        return PlainSchema.model_validate_json(self.to_json())

    def reviewed(self) -> Self:
        """Say that a person has replaced what a draft read off the records by public knowledge.

        Only do so if somebody has: a study under a declared schema is not marked as drafted from
        data, and nothing can check where bounds and categories come from (docs/SCHEMA.md).
        """
        return self.model_copy(update={"origin": "declared"})

    @in_python()
    def with_column(self, name: str, **fields: Any) -> Self:
        """The schema with some fields of a column changed: `with_column("age", maximum=120)`.

        Raises:
            InputError: there is no such column, or a field does not fit it.
        """
        self.column(name)
        document = json.loads(self.to_json())
        for column in document["columns"]:
            if column["name"] == name:
                column.update(fields)
        return self._changed(document)

    @in_python()
    def with_rules(self, *rules: Mapping[str, Any]) -> Self:
        """The schema with more rules, each written as in a schema file (docs/SCHEMA.md).

        For example `{"name": "dates", "rule": "inequality", "low": "admitted", "high": "left"}`.

        Raises:
            InputError: a rule does not fit the columns.
        """
        for rule in rules:
            if not isinstance(rule, Mapping):
                raise wrong("rules", "a dict such as that of a schema file", rule)
        document = json.loads(self.to_json())
        document["rules"] = [*document.get("rules", ()), *map(dict, rules)]
        return self._changed(document)

    def _changed(self, document: Mapping[str, Any]) -> Self:
        return type(self).of(PlainSchema.from_json(json.dumps(document, default=str)))

    def _parts(self) -> list[Any]:
        table = RichTable("column", "kind", "values", "may be missing", title=self._title())
        for column in self.columns:
            role = {self.target: " (target)", self.person_key: " (person)"}.get(column.name, "")
            nullable = "yes" if getattr(column, "nullable", False) else ""
            name, values = Text(f"{column.name}{role}"), Text(_values(column))
            table.add_row(name, column.kind, values, nullable)
        parts: list[Any] = [table]
        parts += [Text(f"rule {rule.name}: {rule.rule}") for rule in self.rules]
        if self.histories is not None:
            most, order = self.histories.max_events, self.histories.order
            parts.append(Text(f"histories: at most {most} events a person, ordered by {order}"))
        if self.origin != "declared":
            parts.append(Text("drafted from data: a person must review it (docs/SCHEMA.md)"))
        return parts

    def _title(self) -> str:
        return f"schema {self.name}: {len(self.columns)} columns, {len(self.modelled)} modelled"


def _values(column: Any) -> str:
    if isinstance(column, IdColumn | TextColumn):
        return column.in_drawn_tables
    if isinstance(column, BooleanColumn):
        return f"{column.true} or {column.false}"
    if isinstance(column, CategoricalColumn):
        shown = ", ".join(column.categories[:MOST_LISTED])
        more = len(column.categories) - MOST_LISTED
        return shown + (f" and {more} more" if more > 0 else "") + (", other" * column.other)
    return f"{column.minimum} to {column.maximum}"


@in_python()
def draft(
    data: Table,
    *,
    target: str | None = None,
    name: str | None = None,
    max_categories: int = 64,
    person_key: str | None = None,
    order: str | None = None,
    kinds: Mapping[str, Kind] | None = None,
    date_order: str | None = None,
    decimal: str | None = None,
) -> Schema:
    """Propose a schema for a table. It is NOT private until a person has reviewed it.

    Warnings say what of a column is lost, withheld or guessed.

    Args:
        data: the table, or the path of one.
        target: the column that analysts will want to predict.
        name: of the schema; by default the name of the file.
        max_categories: the most categories to list for a column; rarer ones become `other`.
        person_key: the column that names the person, if a person has several rows.
        order: the column that orders a person's rows, if they are events of a history.
        kinds: columns that are `categorical`, an `id` or a `text` whatever their cells look like:
            `{"ward": "categorical", "case": "id"}`. Ids and texts are never modelled.
        date_order: how dates in texts are written, where that is in doubt: `dmy`, `mdy` or `ymd`.
        decimal: the decimal mark of numbers in texts, `.` or `,`.

    Raises:
        InputError: the table cannot be used, or an argument does not fit it.
    """
    from fedsynth_release.drafting.histories import draft_as_wished
    from fedsynth_release.drafting.wishes import wishes_of

    frame = table_of(data, "data")
    for column, kind in _said(kinds).items():
        one_of(f"kinds[{column!r}]", kind, get_args(Kind))
        if column not in frame.columns:
            raise InputError(f"kinds: the table has no column {column!r}")
    whole("max_categories", max_categories, 1)
    for argument, value in (
        ("target", target), ("name", name), ("person_key", person_key), ("order", order),
    ):  # fmt: skip
        text(argument, value, optional=True)
    said = _said(kinds)
    wishes = wishes_of(target, max_categories, date_order, decimal, person_key, order)
    wishes = replace(wishes, kinds=said)
    made = draft_as_wished(frame, name or name_of(data), wishes)
    tell_notes(made.notes)
    notice(DRAFTED, NotPrivateWarning)
    return Schema.of(made.schema)


def _said(kinds: Mapping[str, Kind] | None) -> Mapping[str, Kind]:
    if kinds is not None and not isinstance(kinds, Mapping):
        raise wrong("kinds", "a dict of columns and their kinds", kinds)
    return kinds or {}


DRAFTED = (
    "the schema was drafted from the records: its bounds and categories are facts about them. Have a "
    "person review it (docs/SCHEMA.md) and pass schema=schema.reviewed() for a private result"
)


def tell_notes(notes: Any) -> None:
    """Warn of what a draft says is lost, withheld or guessed; hints are left out."""
    for note in notes:
        if note.weight == "warning":
            notice(str(note), PersonsWarning if note.about == "persons" else ColumnWarning)
