"""What a draft tells its reader: about a column, why it was drafted so, and what to decide."""

from dataclasses import dataclass
from typing import Literal

Weight = Literal["warning", "hint"]
About = Literal["column", "persons"]


@dataclass(frozen=True)
class Note:
    """One sentence or two about a column, or about the whole table where `column` is None.

    A *warning* says that something of the table is lost, withheld or guessed; a *hint* says what a
    reviewer may want to change. A note quotes no cell. One about *persons* says that a person may have
    several rows, of which only one is protected.
    """

    column: str | None
    text: str
    weight: Weight = "hint"
    about: About = "column"

    def __str__(self) -> str:
        """The note with its column."""
        return self.text if self.column is None else f"column {self.column!r}: {self.text}"
