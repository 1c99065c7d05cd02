"""Records in a file, or in a folder of Parquet part files.

Only regular files are read, and no symbolic links: what a link points to can be exchanged without
anybody touching the folder that the operator looks after, and in a folder of parts a link could lead
out of it. A file that changes while it is read is refused: its two halves would be no table.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from fedsynth_common.errors import InputError
from fedsynth_common.tables import Dialect, chunks_of, open_regular, suffix_of


@dataclass(frozen=True)
class FileSource:
    """One CSV (plain or gzipped) or Parquet file."""

    path: Path
    dialect: Dialect | None = None

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def chunks(self) -> Iterator[pd.DataFrame]:
        """The file's rows.

        Raises:
            InputError: no such regular file, no table, or changed while it was read.
        """
        suffix = suffix_of(self.path)
        with open_regular(self.path, follow=False) as file:
            before = _state(file)
            if not before[0]:
                raise InputError(f"{self.name}: the file is empty; expected records")
            yield from chunks_of(file, suffix, self.name, self.dialect)
            if _state(file) != before:
                raise InputError(f"{self.name}: changed while it was read; try again")


@dataclass(frozen=True)
class FolderSource:
    """The `*.parquet` files of a folder, in the order of their names, as one table."""

    path: Path

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def chunks(self) -> Iterator[pd.DataFrame]:
        """The rows of all parts.

        Raises:
            InputError: no parts, or parts with different columns; as `FileSource` for each part.
        """
        parts = sorted(self.path.glob("*.parquet"))
        if not parts:
            raise InputError(f"{self.name}: no .parquet file in this folder")
        names: list[str] | None = None
        for part in parts:
            for chunk in FileSource(part).chunks():
                headings = [str(column) for column in chunk.columns]
                names = names or headings
                if sorted(headings) != sorted(names):
                    raise InputError(f"{part}: has other columns than {parts[0].name}")
                yield chunk[names]


def _state(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
