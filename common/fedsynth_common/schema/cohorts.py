"""Cohorts: a public column cuts a table that keeps growing into parts that are studied one by one.

A date column (or the day of arrival, which the site writes into a column of kind `id`) gives months,
quarters or years. A categorical column gives one cohort for each of its categories. The cohort of a
record follows from that record's own cell and from the public schema, so adding or removing a record
changes one cohort and no other. Studies of different cohorts therefore compose in parallel (McSherry
2009), and only studies of the same cohort add up.

The rows of a person may lie in several cohorts. Where a schema names a person key, `per_person` bounds
in how many of them rows of one person are used: in the first ones that hold some. Adding or removing a
person then changes so many cohorts at most.

A cell without a readable date, or a text that is no listed category, puts its record into no cohort.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from fedsynth_common.errors import InputError
from fedsynth_common.schema.column_base import Name

Every = Literal["month", "quarter", "year"]
MONTHS: dict[str, int] = {"month": 1, "quarter": 3, "year": 12}
FIRST, LAST = -(1 << 20), 1 << 20
"""Months that stand for "from the beginning" and "for ever"; no date of a table is as far away."""
MAX_PER_PERSON = 1_000
"""Cohorts that a schema may let a person be in."""
MAX_COHORT = 1_000
"""Characters of a cohort's name in a plan: a category may be as long."""
NO_COHORT = -(1 << 30)
"""The position of a record that is in no cohort."""
_WRITTEN = {
    "month": r"(?P<year>\d{4})-(?P<part>0[1-9]|1[0-2])",
    "quarter": r"(?P<year>\d{4})Q(?P<part>[1-4])",
    "year": r"(?P<year>\d{4})(?P<part>)",
}
EXAMPLES = {"month": "2027-03", "quarter": "2027Q1", "year": "2027"}


@dataclass(frozen=True)
class Cohort:
    """One cohort, or several that follow each other.

    Attributes:
        name: as a plan writes it, such as `2027Q1` or `..2026Q4`.
        column: that the table is cut by.
        first: of a date column, the first month, counted from January 1970.
        last: the last month, which is included.
        label: of a categorical column, the category; else empty.
        per_person: in how many cohorts a person may be; a record is in one.
    """

    name: str
    column: str
    first: int = FIRST
    last: int = LAST
    label: str = ""
    per_person: int = 1

    def covers(self, column: str, label: str, month: int) -> bool:
        """Whether a record at this place may be in the cohort.

        A record's place in another column says nothing about this one, so it may be.
        """
        if self.column != column or bool(self.label) != bool(label):
            return True
        return self.label == label if label else self.first <= month <= self.last


class Cohorts(BaseModel):
    """How a schema cuts its table into cohorts.

    `column` is a date, a time, or a column of kind `id` that holds dates in ISO 8601 (the day on which
    a record arrived); then `every` says how long a cohort is. Or it is a categorical column, and
    `every` is left out. `per_person` belongs to a schema with a person key.

    >>> quarters = Cohorts(column="admitted", every="quarter")
    >>> quarters.cohort("1970Q2").first, quarters.cohort("..1970Q2").last, quarters.name_of(7)
    (3, 5, '1970Q3')
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    column: Name
    every: Annotated[Every | None, Field()] = None
    per_person: Annotated[int, Field(ge=1, le=MAX_PER_PERSON)] | None = None

    @model_serializer(mode="wrap")
    def _without_persons(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave the bound out where there is none: older texts and hashes stay."""
        fields: dict[str, Any] = handler(self)
        if self.per_person is None:
            fields.pop("per_person", None)
        return fields

    def cohort(self, name: str) -> Cohort:
        """The cohort of that name; `A..B` is from A to B, and `..B` all up to B.

        Raises:
            InputError: it is no name of a cohort.
        """
        if self.every is None:
            return Cohort(name, self.column, label=name)
        start, dots, end = name.rpartition("..")
        last = self._month(end, name) + MONTHS[self.every] - 1
        first = self._month(start or end, name) if start or not dots else FIRST
        if first > last or (dots and start == end):
            raise InputError(f"cohort {name!r}: write the earlier cohort first, and one only once")
        return Cohort(name, self.column, first, last, per_person=self.per_person or 1)

    def is_single(self, cohort: Cohort) -> bool:
        """Whether a cohort is one that this cut makes, and not several of them."""
        return ".." not in cohort.name and self.cohort(cohort.name) == cohort

    def name_of(self, month: int) -> str:
        """The name of the cohort that a month belongs to, counted from January 1970."""
        year, part = 1970 + month // 12, month % 12
        if self.every == "month":
            return f"{year:04d}-{part + 1:02d}"
        return f"{year:04d}Q{part // 3 + 1}" if self.every == "quarter" else f"{year:04d}"

    def following(self, name: str) -> str:
        """The name of the next cohort of dates after the named one."""
        return self.name_of(self.cohort(name).last + 1)

    def _month(self, text: str, name: str) -> int:
        every = self.every or "month"
        written = re.fullmatch(_WRITTEN[every], text, re.ASCII)
        if written is None:
            example = EXAMPLES[every]
            raise InputError(
                f"cohort {name!r}: the schema cuts {self.column!r} by the {every}; expected a name such "
                f"as {example}, or ..{example} for all cohorts up to it"
            )
        part = int(written["part"] or 1) - 1
        return (int(written["year"]) - 1970) * 12 + part * MONTHS[every]
