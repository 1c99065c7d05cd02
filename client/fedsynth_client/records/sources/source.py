"""Where records come from, as the rest of the site sees it: a name and frames of bounded size.

Nothing behind this knows whether a table is a file, a folder of files or the answer of a database, and
the same table gives the same codes from each, bit for bit. A source is read from the beginning each time
`chunks` is called; what it gives is never written back.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from fedsynth_common.errors import InputError


class Source(Protocol):
    """A table of records that need not fit into memory."""

    @property
    def name(self) -> str:
        """How messages call it: a path, or a database without its password."""

    def chunks(self) -> Iterator[pd.DataFrame]:
        """The table in pieces of a few megabytes, in order; each has all columns and some rows.

        Raises:
            InputError: it cannot be read, or has no rows. Tells places, never cells.
        """


@dataclass(frozen=True)
class FrameSource:
    """A table that is in memory already."""

    frame: pd.DataFrame
    name: str = "the table"
    rows: int = 1 << 16

    def chunks(self) -> Iterator[pd.DataFrame]:
        """Slices of the frame; one empty slice if it has no rows."""
        for start in range(0, max(1, len(self.frame)), self.rows):
            yield self.frame.iloc[start : start + self.rows]


@dataclass(frozen=True)
class WithoutColumns:
    """A source whose columns of these names are dropped as soon as they are read."""

    source: Source
    ignored: Collection[str]

    @property
    def name(self) -> str:
        """The source's."""
        return self.source.name

    def chunks(self) -> Iterator[pd.DataFrame]:
        """The other columns.

        Raises:
            InputError: there is no column of one of the names, or as the source.
        """
        for chunk in self.source.chunks():
            for column in self.ignored:
                if column not in chunk.columns:
                    raise InputError(f"ignored {column!r}: no column of {self.name}")
            yield chunk.drop(columns=list(self.ignored))
