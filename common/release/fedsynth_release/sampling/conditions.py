"""Reads conditions on single columns, such as `age>=65`.

| operator | for columns of | holds for |
|---|---|---|
| `=` `!=` `in A,B` `not in A,B` | every kind | the listed values, or all other values |
| `<` `<=` `>` `>=` | numbers, dates, durations, ordered categories | values on that side |
| `is missing`, `is not missing` | every kind | cells without a value, cells with a value |

As in SQL, a comparison never holds for a missing cell, so `chol!=200` leaves missing cells out.
Dates are written in ISO 8601, and durations as numbers of their unit. The name of a group of a
public code list stands for all its codes. If there are several conditions, a record must meet all
of them. In a list, a value that contains a comma is quoted: `region in "north, coast",south`. The
name of a column may contain operators. If a condition can be read with several column names, the
longest name counts.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema

MANY = 10_000
OPERATORS = dict.fromkeys(("=", "!=", "<", "<=", ">", ">="), (1, 1))  # least and most values
OPERATORS |= {"in": (1, MANY), "not in": (1, MANY), "is missing": (0, 0), "is not missing": (0, 0)}
_SYMBOL = re.compile(r"\s*(>=|<=|!=|==|=|>|<)(.*)", re.DOTALL)
_LIST = re.compile(r"\s+(not\s+in|in)\s+(.*)", re.DOTALL)
_WORD = re.compile(r"\w+")
_MISSING = re.compile(r"\s+(is\s+missing|is\s+not\s+missing)\s*")


@dataclass(frozen=True)
class Condition:
    """One condition: a column, an operator of the table above, and the values as texts."""

    column: str
    operator: str
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise InputError(
                f"condition {str(self)!r}: expected one of {listed_names(list(OPERATORS))}"
            )
        least, most = OPERATORS[self.operator]
        if not least <= len(self.values) <= most or not all(self.values):
            raise InputError(f"condition {str(self)!r}: expected a value after {self.operator!r}")

    @classmethod
    def parse(cls, text: str, schema: Schema) -> Self:
        """Read a condition on a column of the schema.

        Raises:
            InputError: the text names no column, or no operator and value follow the column.
        """
        named = [column.name for column in schema.columns if text.lstrip().startswith(column.name)]
        for name in sorted(named, key=len, reverse=True):
            rest = text.lstrip().removeprefix(name)
            if found := _MISSING.fullmatch(rest):
                return cls(name, " ".join(found[1].split()))
            if found := _SYMBOL.fullmatch(rest) or _LIST.fullmatch(rest):
                operator = {"==": "="}.get(found[1], " ".join(found[1].split()))
                return cls(name, operator, _values(found[2], operator))
        names = column_names(schema)
        word = _WORD.match(text)
        if word and word[0] not in names and word.end() < len(text):
            raise InputError(
                f"condition {text!r}: no column {word[0]!r}; expected one of {listed_names(names)}"
            )
        names = sorted(named, key=len)[-1:] or names
        raise InputError(
            f"condition {text!r}: expected a column ({listed_names(names)}), then one of =, !=, <, "
            "<=, >, >=, 'in', 'not in' and a value, or 'is missing'"
        )

    def __str__(self) -> str:
        return f"{self.column} {self.operator} {','.join(self.values)}".rstrip()


def column_names(schema: Schema) -> list[str]:
    """The modelled columns, in order."""
    return [column.name for column in schema.modelled]


def listed_names(names: Sequence[str], most: int = 12) -> str:
    """A text that lists the first few names, for a message."""
    return ", ".join(map(repr, names[:most])) + (" ..." if len(names) > most else "")


def _values(written: str, operator: str) -> tuple[str, ...]:
    listed = operator in ("in", "not in")
    try:
        parts = next(csv.reader([written], skipinitialspace=True), []) if listed else [written]
    except csv.Error:  # a line break, a NUL
        raise InputError(f"condition {written!r}: expected values separated by commas") from None
    return tuple(part.strip() for part in parts)
