"""How a table writes its numbers, where it does not write them plainly: `$1,234.50`, `1.234,5`, `<5`.

A format is public, and a cell is read by it alone. `1.234` is a thousand under `thousands = "."`, and
a little more than one without: nothing is guessed from the other cells of the column.

With `read_only` the marks are understood where they stand, and drawn numbers are written plainly: for
a column in which a few cells have them.

`limits` are texts that stand for values beyond a limit of detection or of reporting: `<5`, `>=90`,
`90+`. Each is an atom of its column, and is written as its text again. The value of `<5` lies one tick
below 5, that of `>90` one tick above 90, and that of `<=5`, `>=90` and `90+` at the number itself.
"""

import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_LIMIT = re.compile(
    r"(<=|>=|<|>|≤|≥) ?([+-]?\d{1,15}(?:\.\d{1,12})?)|(\d{1,15}(?:\.\d{1,12})?) ?\+"
)
Affix = Annotated[str, Field(max_length=20)]


class NumberFormat(BaseModel):
    """The marks of a written number.

    >>> NumberFormat(thousands=",", prefix="$").decimal
    '.'
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    prefix: Affix = ""
    suffix: Affix = ""
    limits: Annotated[tuple[Affix, ...], Field(max_length=32)] = ()
    read_only: bool = False

    @model_validator(mode="after")
    def _distinct(self) -> "NumberFormat":
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands must be different marks")
        if any(mark.isdigit() for mark in self.prefix + self.suffix):
            raise ValueError("prefix and suffix must hold no digits")
        if len(set(self.limits)) != len(self.limits):
            raise ValueError("limits must be distinct")
        return self

    @property
    def plain(self) -> bool:
        """Whether numbers are written as programs write them, limits aside."""
        return self.decimal == "." and not (self.thousands or self.prefix or self.suffix)

    def limit_ticks(self, decimals: int) -> dict[str, int | None]:
        """The tick of each limit; None where it is no such text."""
        return {text: limit_tick(text.replace(self.decimal, "."), decimals) for text in self.limits}


def limit_tick(text: str, decimals: int) -> int | None:
    """The tick of a text such as `<5`, for a column of that many decimals; None where it is none.

    >>> [limit_tick(text, 1) for text in ("<5", "> 90", ">=90", "90+", "5")]
    [49, 901, 900, 900, None]
    """
    found = _LIMIT.fullmatch(text)
    if found is None:
        return None
    scaled = Decimal(found[2] or found[3]).scaleb(decimals)
    if scaled != scaled.to_integral_value():
        return None
    return int(scaled) + {"<": -1, ">": 1}.get(found[1] or "", 0)
