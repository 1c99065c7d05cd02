"""Reads table files: CSV, gzipped CSV and Parquet, whole or in chunks of bounded size.

Only regular files are opened, because reading a FIFO could block for ever and a device has no end. The
chunks of a file, one below the other, are the table. A chunk holds a few megabytes, whatever the
file's size is.
"""

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fedsynth_common.errors import InputError
from fedsynth_common.tables.arrow import frame_of
from fedsynth_common.tables.csv_stream import CsvStream, Dialect, check_names, with_unnamed

SUFFIXES = (".csv", ".csv.gz", ".parquet")
_CELLS = 1 << 21  # of a Parquet chunk


def read_table(path: Path | str, dialect: Dialect | None = None) -> pd.DataFrame:
    """Read a table; CSV cells are text, Parquet keeps its types.

    Raises:
        InputError: no such file, unknown extension, not readable as such, or no rows.
    """
    return pd.concat(list(read_chunks(path, dialect)), ignore_index=True)


def read_chunks(path: Path | str, dialect: Dialect | None = None) -> Iterator[pd.DataFrame]:
    """The same table as frames of a few megabytes, each with all columns and at least one row.

    Raises:
        InputError: as `read_table`; a fault far down the file is found when its chunk is reached.
    """
    path = Path(path)
    suffix = suffix_of(path)
    with open_regular(path) as file:
        if not os.fstat(file.fileno()).st_size:
            raise InputError(f"{path}: the file is empty; expected a header row and records")
        yield from chunks_of(file, suffix, str(path), dialect)


def chunks_of(
    file: BinaryIO, suffix: str, source: str, dialect: Dialect | None = None
) -> Iterator[pd.DataFrame]:
    """Chunks of an open file of the given kind; `source` is how messages call it.

    Raises:
        InputError: as `read_table`.
    """
    rows = False
    frames = _parquet(file, source) if suffix == ".parquet" else _csv(file, suffix, source, dialect)
    for frame in frames:
        rows = True
        yield frame
    if not rows:
        raise InputError(f"{source}: the table has a header but no rows")


@contextmanager
def open_regular(path: Path, follow: bool = True) -> Iterator[BinaryIO]:
    """Open a regular file for reading.

    Raises:
        InputError: missing, no permission, not a regular file, or (unless `follow`) a link.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        if not follow and path.is_symlink():
            raise InputError(f"{path}: is a symbolic link; name the file itself")
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise InputError(f"{path}: is {what}; expected a regular file")
    with os.fdopen(descriptor, "rb") as file:
        yield file


def suffix_of(path: Path) -> str:
    """Which of `SUFFIXES` the name ends in.

    Raises:
        InputError: none of them.
    """
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return suffix
    raise InputError(f"{path}: unknown kind of table; expected a name in {', '.join(SUFFIXES)}")


def _csv(
    file: BinaryIO, suffix: str, source: str, dialect: Dialect | None
) -> Iterator[pd.DataFrame]:
    packed = suffix == ".csv.gz"
    # a GzipFile is a BinaryIO in all but name
    text: BinaryIO = gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[assignment]
    try:
        yield from CsvStream(text, source, dialect).frames()
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise InputError(f"{source}: damaged or not a gzip file") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from None


def _parquet(file: BinaryIO, source: str) -> Iterator[pd.DataFrame]:
    try:
        # columns are read one buffer after the other: a row group need not fit into memory
        table = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 16)
        names = with_unnamed([str(name).strip() for name in table.schema_arrow.names])
        rows = max(1, _CELLS // max(1, len(names)))
        kept = [k for k, name in enumerate(names) if not name.startswith("__index_level_")]
        check_names([names[k] for k in kept], source)
        for batch in table.iter_batches(batch_size=rows, use_threads=False):
            piece = pa.Table.from_batches([batch]).select(kept)
            if piece.num_rows:
                yield frame_of(piece.rename_columns([names[k] for k in kept]), source)
    except (pa.ArrowException, OSError, ValueError):
        raise InputError(f"{source}: damaged or not a Parquet file") from None
