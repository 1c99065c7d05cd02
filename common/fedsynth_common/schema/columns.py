"""The kinds of column that a study may declare, as immutable classes.

A column is public knowledge. Its kind, bounds, decimals and categories are agreed on before any site
looks at its records, so that every site encodes alike and the encoding costs no privacy. Nothing here
is ever fitted to data. A draft from data (`fedsynth_release.drafting`) is only a proposal.

Numbers lie on a grid of `10**-decimals` ("ticks"), and integers on a grid of 1. Bounds and atoms must
lie on the grid, and a double must hold every point of it exactly. For this reason decoding returns a
value that encodes to the same code again. Dates, times and durations are in `temporal.py`.

Guarantees: instances are immutable and hashable. Unknown fields, numbers that are not finite, empty
ranges, atoms out of bounds, and repeated or blank categories are refused, and every message names the
column.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from fedsynth_common.schema.column_base import (
    MAX_ATOMS,
    MAX_TICKS,
    BaseColumn,
    Name,
    ReadColumn,
    Scale,
    Storage,
    Text,
)
from fedsynth_common.schema.number_format import NumberFormat
from fedsynth_common.schema.surrogates import Pattern, Provider
from fedsynth_common.schema.temporal import DateColumn, DatetimeColumn, DurationColumn

__all__ = ["MAX_ATOMS", "MAX_TICKS", "Name", "NumberFormat", "Scale", "Storage"]

MAX_CATEGORIES = 10_000  # with atoms and leaves far below 65,536: fine codes are uint16
MAX_GRID = 1 << 17  # values of a column with a step
OTHER = "other"  # what a decoded `other` cell reads


def other_among(labels: Sequence[str]) -> str | None:
    """The listed category that reads "other", in small or capital letters; None if none does."""
    return next((label for label in labels if label.lower() == OTHER), None)


Finite = Annotated[float, Field(allow_inf_nan=False)]


class NumericColumn(ReadColumn):
    """A number with `decimals` digits after the point, within declared bounds.

    `atoms` are values with a mass of their own (a laboratory's detection limit, 0 for "none"). With a
    `step`, the values are `minimum`, `minimum + step`, and so on, and the atoms: quarters, or prices
    that end in .99.

    >>> NumericColumn(name="temperature", minimum=30.0, maximum=45.0, decimals=1).kind
    'numeric'
    """

    later: ClassVar[tuple[str, ...]] = ("missing_marks", "stored_as", "format", "step")
    kind: Literal["numeric"] = "numeric"
    minimum: Finite
    maximum: Finite
    decimals: Annotated[int, Field(ge=0, le=12)] = 2
    atoms: Annotated[tuple[Finite, ...], Field(max_length=MAX_ATOMS)] = ()
    scale: Scale = "linear"
    nullable: bool = False
    format: NumberFormat | None = None
    step: Annotated[Finite, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _valid_numbers(self) -> Self:
        self._check_numbers(self.minimum, self.maximum, self.atoms)
        numbers = (self.minimum, self.maximum, *self.atoms, self.step or 0.0)
        if max(abs(number) for number in numbers) * 10.0**self.decimals >= MAX_TICKS:
            self._refuse("the range holds too many distinct values; declare fewer decimals")
        if any(round(number, self.decimals) != number for number in numbers):
            fault = f"minimum, maximum, atoms and step may have at most {self.decimals} decimals"
            self._refuse(fault)
        _check_limits(self, self.decimals)
        _check_step(self, self.decimals)
        return self


class IntegerColumn(ReadColumn):
    """A whole number (count, age, code with an order) within declared bounds.

    With a `step`, the values are `minimum`, `minimum + step`, and so on, and the atoms: a credit limit
    in tens of thousands.
    """

    later: ClassVar[tuple[str, ...]] = ("missing_marks", "stored_as", "format", "step")
    kind: Literal["integer"] = "integer"
    minimum: int
    maximum: int
    atoms: Annotated[tuple[int, ...], Field(max_length=MAX_ATOMS)] = ()
    scale: Scale = "linear"
    nullable: bool = False
    format: NumberFormat | None = None
    step: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _valid_numbers(self) -> Self:
        self._check_numbers(self.minimum, self.maximum, self.atoms)
        numbers = (self.minimum, self.maximum, *self.atoms, self.step or 0)
        if max(map(abs, numbers)) >= MAX_TICKS:
            self._refuse(f"minimum, maximum, atoms and step must be below {MAX_TICKS} in size")
        _check_limits(self, 0)
        _check_step(self, 0)
        return self


def _check_limits(column: "NumericColumn | IntegerColumn", decimals: int) -> None:
    """Refuse a detection limit that is no atom of its column."""
    unit = 10**decimals
    atoms = {round(atom * unit) for atom in column.atoms}
    limits = column.format.limit_ticks(decimals) if column.format else {}
    for limit, tick in limits.items():
        if tick not in atoms:
            wanted = "" if tick is None else f"; declare the atom {tick / unit:g}"
            column._refuse(f"limit {limit!r}: expected a text such as '<5' with an atom{wanted}")


def _check_step(column: "NumericColumn | IntegerColumn", decimals: int) -> None:
    """Refuse bounds that are not on the grid of the step, and a grid of too many values."""
    if column.step is None:
        return
    unit = 10**decimals
    low, high, step = (round(v * unit) for v in (column.minimum, column.maximum, column.step))
    if (high - low) % step:
        column._refuse("maximum must be minimum plus a whole number of steps")
    if (high - low) // step >= MAX_GRID:
        column._refuse(
            f"step: at most {MAX_GRID} values from minimum to maximum; leave the step out"
        )


class CategoricalColumn(ReadColumn):
    """One of the listed texts; `other` adds a cell that takes every text not listed.

    Where a listed category itself reads "other", in small or capital letters, it is that cell: texts
    not listed join it.

    `ordered` says that the order of the list means something: it allows `<` in conditions and rules.
    `parents` names, for each category, the group of a public code list that it belongs to (the
    chapter of a diagnosis): categories too rare to be told from noise are then modelled as their
    group, and drawn inside it.
    """

    kind: Literal["categorical"] = "categorical"
    stores: ClassVar[tuple[str, ...]] = ("integer", "number", "category")
    categories: Annotated[tuple[Text, ...], Field(min_length=1, max_length=MAX_CATEGORIES)]
    other: bool = True
    nullable: bool = False
    ordered: bool = False
    parents: Annotated[tuple[Text, ...], Field(max_length=MAX_CATEGORIES)] = ()

    @model_validator(mode="after")
    def _valid_categories(self) -> Self:
        if any(not text or text != text.strip() for text in self.categories):
            self._refuse("categories must be texts that are not empty and have no blanks around")
        if len(set(self.categories)) != len(self.categories):
            self._refuse("categories must be distinct")
        if self.parents and len(self.parents) != len(self.categories):
            self._refuse("parents must name one group for every category")
        if any(not text or text != text.strip() for text in self.parents):
            self._refuse("parents must be texts that are not empty and have no blanks around")
        if self.stored_as in ("integer", "number"):
            self._check_stored_numbers()
        return self

    def _check_stored_numbers(self) -> None:
        """Refuse to store as numbers what is none."""
        read = int if self.stored_as == "integer" else float
        try:
            written = [
                str(read(text)) == text or self.stored_as == "number" for text in self.categories
            ]
        except ValueError:
            written = [False]
        if self.other or not all(written):
            self._refuse(
                f"stored_as {self.stored_as!r} needs categories that are such numbers, no other"
            )


class BooleanColumn(ReadColumn):
    """Yes or no, under the two texts the table uses for it."""

    kind: Literal["boolean"] = "boolean"
    stores: ClassVar[tuple[str, ...]] = ("boolean",)
    true: Text = "true"
    false: Text = "false"
    nullable: bool = False

    @model_validator(mode="after")
    def _valid_labels(self) -> Self:
        labels = (self.true, self.false)
        if any(not text or text != text.strip() for text in labels) or self.true == self.false:
            self._refuse("true and false must be two different texts without blanks around")
        return self


class _Unmodelled(BaseColumn):
    """A column whose cells are never read for modelling; a surrogate may take its place."""

    pattern: Text | None = None
    provider: Provider | None = None
    unique: bool = False

    @model_validator(mode="after")
    def _valid_surrogate(self) -> Self:
        if self.pattern is not None and self.provider is not None:
            self._refuse("declare a pattern or a provider, not both")
        if self.unique and not self.has_surrogate:
            self._refuse("unique needs a pattern or a provider that makes the values")
        if self.unique and self.provider in ("name", "empty"):
            self._refuse(f"provider {self.provider!r} repeats values; use sequence, uuid or email")
        if self.pattern is not None:
            try:
                Pattern.parse(self.pattern)
            except ValueError as error:
                self._refuse(str(error))
        return self

    @property
    def has_surrogate(self) -> bool:
        """Whether drawn records have this column."""
        return self.pattern is not None or self.provider is not None

    @property
    def in_drawn_tables(self) -> str:
        """What drawn records hold in its place, in words."""
        if not self.has_surrogate:
            return "left out"
        return "empty" if self.provider == "empty" else "made up at random"


class IdColumn(_Unmodelled):
    """Names a record or a person. Never modelled, never leaves the site."""

    kind: Literal["id"] = "id"


class TextColumn(_Unmodelled):
    """Free text. Never modelled, never leaves the site."""

    kind: Literal["text"] = "text"


OrderedColumn = NumericColumn | IntegerColumn | DateColumn | DatetimeColumn | DurationColumn
ModelledColumn = OrderedColumn | CategoricalColumn | BooleanColumn
Column = Annotated[
    NumericColumn
    | IntegerColumn
    | DateColumn
    | DatetimeColumn
    | DurationColumn
    | CategoricalColumn
    | BooleanColumn
    | IdColumn
    | TextColumn,
    Field(discriminator="kind"),
]
