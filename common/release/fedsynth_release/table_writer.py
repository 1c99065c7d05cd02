"""Writes a table in pieces: CSV, gzipped CSV or Parquet, with constant memory.

The file appears under its name only when it is complete: pieces go to a temporary file beside it,
which replaces the target on success and is removed on failure. Equal tables give equal bytes.

Spreadsheet programs run a CSV cell that starts with =, +, - or @ as a formula (CWE-1236; OWASP "CSV
Injection"). Texts of a synthetic table are those of the public schema, but a schema, too, comes
from somebody else: `escape_formulas` puts an apostrophe before such texts and headings. Numbers
stay as they are, and so does everything without the option, since an apostrophe is another category
to a program.
"""

import gzip
import io
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fedsynth_common.errors import InputError
from fedsynth_common.tables import numbers_of

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class TableWriter:
    """Context manager: `write` frames with equal columns; the suffix of `path` says the format.

    `escape_formulas` is for CSV files that people open in a spreadsheet; Parquet has no need of it.
    """

    def __init__(self, path: Path, *, escape_formulas: bool = False) -> None:
        if not path.name.endswith((".csv", ".csv.gz", ".parquet")):
            raise InputError(f"{path}: expected a name that ends in .csv, .csv.gz or .parquet")
        if not path.parent.is_dir():
            raise InputError(f"{path.parent}: no such folder")
        if path.is_dir():
            raise InputError(f"{path}: is a folder; expected the name of a file")
        self.path = path
        self._escape = escape_formulas
        self._partial = path.with_name(f".{path.name}.partial")
        self._text: IO[str] | None = None
        self._parquet: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def write(self, frame: pd.DataFrame) -> None:
        """Append records; the first frame fixes the columns and their types.

        Raises:
            InputError: the file cannot be written (permission, space).
        """
        try:
            self._append(frame)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror})") from None

    def _append(self, frame: pd.DataFrame) -> None:
        if self.path.suffix == ".parquet":
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if self._parquet is None:
                self._parquet = pq.ParquetWriter(self._partial, table.schema)
            if table.schema != self._parquet.schema:
                table = table.cast(self._parquet.schema)
            self._parquet.write_table(table)
            return
        first = self._text is None
        if self._text is None:
            self._text = self._open()
        if self._escape:
            frame = without_formulas(frame)
        frame.to_csv(self._text, index=False, header=first, lineterminator="\n")

    def _open(self) -> IO[str]:
        if self.path.suffix == ".gz":
            # neither a time nor a name in the header: equal tables, equal bytes
            packed = _Gzip(self._partial)
            return io.TextIOWrapper(packed, encoding="utf-8", newline="")
        return self._partial.open("w", encoding="utf-8", newline="")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for handle in (self._text, self._parquet):
                if handle is not None:
                    handle.close()
            if kind is None and self._partial.exists():
                self._partial.replace(self.path)
        except OSError as fault:
            if kind is None:
                raise InputError(f"{self.path}: cannot be written ({fault.strerror})") from None
        finally:
            self._partial.unlink(missing_ok=True)


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table that is in memory; the suffix of `path` says the format.

    Raises:
        InputError: unknown format, or the file cannot be written.
    """
    with TableWriter(path) as writer:
        writer.write(frame)


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before every text and heading that a spreadsheet would run.

    >>> without_formulas(pd.DataFrame({"@a": ["=1+1", "-5", "b"]})).to_csv(index=False).split()
    ["'@a", "'=1+1", '-5', 'b']
    """
    escaped = frame.rename(columns=lambda name: inert(str(name)))
    for place, (_, cells) in enumerate(frame.items()):
        if not pd.api.types.is_numeric_dtype(cells.dtype):
            escaped.isetitem(place, cells.map(inert, na_action="ignore").array)
    return escaped


def inert(cell: object) -> object:
    """A cell or heading as no spreadsheet runs it."""
    runs = isinstance(cell, str) and cell.startswith(_FORMULA) and np.isnan(numbers_of([cell])[0])
    return f"'{cell}" if runs else cell


class _Gzip(gzip.GzipFile):
    """A gzip file whose header holds neither its name nor the time; closes what it opened."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("wb")
        super().__init__(filename="", mode="wb", fileobj=self._raw, mtime=0)

    def close(self) -> None:
        """Finish the stream and close the file."""
        try:
            super().close()
        finally:
            self._raw.close()
