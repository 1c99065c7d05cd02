"""What every kind of column shares: a name, a description, and how a fault is worded.

A column is public knowledge, agreed on before any site looks at its records. Instances are frozen
and refuse unknown fields; a message names the column and never quotes a record.
"""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, NoReturn, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

MAX_TICKS = 2**51  # ticks below it survive value * 10**decimals in double precision
MAX_ATOMS = 64

Scale = Literal["linear", "log"]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=1_000)]
"""A category, a label, a value in a rule."""
Description = Annotated[str, Field(max_length=10_000)]
Storage = Literal["boolean", "integer", "number", "category", "datetime", "timedelta"]
"""The type in which drawn tables hold a column, if it is another one than the usual."""

PROGRAM_MARKS = frozenset(
    r"na n/a #n/a <na> nan -nan null #null! nil ? . - -- --- \n nat n.a. #na".split()  # noqa: SIM905
)
"""What R, pandas, SQL and spreadsheets write for a missing cell, in small letters."""


class BaseColumn(BaseModel):
    """What all columns share: a name and a free description."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    name: Name
    description: Description = ""

    def _refuse(self, fault: str) -> NoReturn:
        raise ValueError(f"column {self.name!r}: {fault}")

    @model_validator(mode="after")
    def _valid_name(self) -> Self:
        if self.name != self.name.strip() or not self.name.isprintable():
            self._refuse("the name must be printable text without blanks around it")
        return self

    def _check_numbers(self, low: float, high: float, atoms: Sequence[float]) -> None:
        if low > high:
            self._refuse(f"minimum {low} is above maximum {high}")
        if len(set(atoms)) != len(atoms) or len(atoms) > MAX_ATOMS:
            self._refuse(f"atoms must be distinct and at most {MAX_ATOMS}")


class ReadColumn(BaseColumn):
    """What all modelled columns may declare about how a table writes and holds them.

    `missing_marks` are texts of the table that mean "no value" in this column, such as `not done`. They
    are public like a bound: a cell that reads so is missing, whatever the other cells hold. In a column
    that may be missing, what programs write for a missing cell (`PROGRAM_MARKS`, such as `NA`) means the
    same without being declared, unless the column declares that text as a value.

    `stored_as` names the type that drawn tables hold the column in (README of the release); without it
    categories, dates and booleans are texts.
    """

    stores: ClassVar[tuple[str, ...]] = ()

    later: ClassVar[tuple[str, ...]] = ("missing_marks", "stored_as")

    missing_marks: Annotated[tuple[Text, ...], Field(max_length=64)] = ()
    stored_as: Storage | None = None

    @model_serializer(mode="wrap")
    def _without_later(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fields that schemas did not always have are left out while unused: hashes stay."""
        fields: dict[str, Any] = handler(self)
        return {k: v for k, v in fields.items() if k not in self.later or v}

    @model_validator(mode="after")
    def _valid_marks(self) -> Self:
        marks = self.missing_marks
        if any(not mark or mark != mark.strip() for mark in marks) or len(set(marks)) != len(marks):
            self._refuse("missing_marks must be distinct texts without blanks around them")
        if marks and not getattr(self, "nullable", False):
            self._refuse("missing_marks need nullable = true, because such cells are missing")
        if self.stored_as is not None and self.stored_as not in self.stores:
            expected = " or ".join(map(repr, self.stores)) or "nothing: leave it out"
            self._refuse(f"stored_as {self.stored_as!r}: expected {expected}")
        return self
