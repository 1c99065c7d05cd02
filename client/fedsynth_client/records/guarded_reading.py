"""Reads a site's table so that no error quotes it.

Our own errors name columns and places, and never cells. Two other errors could quote a cell, and both
are handled here. The text of a library's error may quote the cell that caused it. And if a file has no
heading row, the "names" of its columns are a person's record.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from fedsynth_client.records.sources import Source, WithoutColumns, open_source
from fedsynth_common.errors import FedsynthError, InputError

if TYPE_CHECKING:
    from fedsynth_client.settings.site_config import SiteConfig

_REPEATED = "occurs more than once"


@dataclass(frozen=True)
class GuardedSource:
    """A source whose errors quote neither a cell nor a heading."""

    source: Source

    @property
    def name(self) -> str:
        """The source's."""
        return self.source.name

    def chunks(self) -> Iterator[pd.DataFrame]:
        """The source's chunks.

        Raises:
            FedsynthError: the source cannot be used; says why and where.
        """
        try:
            with without_values(f"reading {self.name}"):
                yield from self.source.chunks()
        except InputError as error:
            if _REPEATED not in str(error):
                raise
            fault = "two columns have the same heading, or the heading row is missing"
            raise InputError(f"{self.name}: {fault}") from None


def site_source(site: "SiteConfig") -> GuardedSource:
    """The records that a site's configuration names, without the columns it ignores.

    Raises:
        InputError: a faulty description of a source.
    """
    source = open_source(site.data)
    return GuardedSource(WithoutColumns(source, site.ignored) if site.ignored else source)


def read_records(path: Path) -> pd.DataFrame:
    """A site's whole table in memory.

    Raises:
        InputError: the file cannot be used; says why, quoting neither a cell nor a heading.
    """
    return pd.concat(list(GuardedSource(open_source(path)).chunks()), ignore_index=True)


@contextmanager
def without_values(doing: str) -> Iterator[None]:
    """Let our own errors pass, and replace all others, whose texts could quote a cell.

    Raises:
        FedsynthError: naming the kind of error and its place.
    """
    try:
        yield
    except (FedsynthError, MemoryError):
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        kind = type(error).__name__
        raise FedsynthError(
            f"{doing}: {kind} in {place.name}, line {place.lineno} (its text is withheld, it could "
            "quote a cell); look for a column of an unusual type"
        ) from None
