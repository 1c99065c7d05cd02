"""What every kind of column shares: a name, a description, and how a fault is worded.

A column is public knowledge, agreed on before any site looks at its records. Instances are frozen
and refuse unknown fields; a message names the column and never quotes a record.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_TICKS = 2**51  # ticks below it survive value * 10**decimals in double precision
MAX_ATOMS = 64

Scale = Literal["linear", "log"]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=1_000)]
"""A category, a label, a value in a rule."""
Description = Annotated[str, Field(max_length=10_000)]


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
        if any(not low <= atom <= high for atom in atoms):
            self._refuse(f"every atom must lie between minimum {low} and maximum {high}")
