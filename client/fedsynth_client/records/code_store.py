"""Keeps the codes of records, in memory or, if they are too many, in a file without a name.

Up to `IN_MEMORY` bytes the codes stay in memory. Larger tables go to a temporary file that never has a
name (O_TMPFILE; on a file system without it, the name is removed at once) and that only this process
can read. So nothing is left on the disk, however the process ends. The file is then mapped read-only.
Mapped pages count as memory of the process as long as it keeps them. `release` gives them back after
each piece, so that peak memory does not grow with the table.

Guarantee: the codes are those that were appended, in the same order, whichever way they are kept. After
`finish` nothing changes them, even if the table is replaced on disk.
"""

import hashlib
import io
import mmap
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

import numpy as np

from fedsynth_common.array_types import Int64Array, UInt16Array
from fedsynth_common.errors import InputError

IN_MEMORY = 1 << 26  # bytes
CHUNK = 1 << 15  # rows that are read at a time


class CodeStore:
    """Collects codes (any number of rows, `columns` columns) into one matrix."""

    def __init__(self, columns: int, folder: Path | None = None, keep: bool = True) -> None:
        """Use `folder` for the file, if one is needed. Without `keep`, rows are only hashed."""
        self._columns, self._keep = columns, keep
        self._hash = hashlib.sha256()
        self._folder, self._file = folder, cast("IO[bytes]", io.BytesIO())
        self._on_disk, self.rows = False, 0

    @property
    def digest(self) -> str:
        """SHA-256 of the codes appended so far, for the site's own log."""
        return self._hash.hexdigest()

    def append(self, codes: UInt16Array) -> None:
        """Add rows.

        Raises:
            InputError: the disk is full.
        """
        content = np.ascontiguousarray(codes, dtype="<u2").data
        self._hash.update(content)
        self.rows += len(codes)
        if self._keep:
            if not self._on_disk and self._file.tell() + content.nbytes > IN_MEMORY:
                self._move_to_disk()
            self._write(content)

    def keep_rows(self, kept: Int64Array) -> None:
        """Drop all rows but these (ascending row numbers), moving the others up in place."""
        width, done = 2 * self._columns, 0
        if len(kept) == self.rows:
            return
        for start in range(0, self.rows, CHUNK):
            self._file.seek(start * width)
            read = np.frombuffer(self._file.read(CHUNK * width), "<u2").reshape(-1, self._columns)
            first, last = np.searchsorted(kept, [start, start + CHUNK])
            self._file.seek(done * width)
            # rows only move up, so a row that is overwritten has been read before
            self._write(np.ascontiguousarray(read[kept[first:last] - start]).data)
            done += last - first
        self._file.truncate(done * width)
        self.rows = done

    def finish(self) -> UInt16Array:
        """The matrix (rows, columns), read-only. The store cannot be used any more."""
        size = 2 * self._columns * self.rows
        with self._file as file, _kept_on_disk():
            file.flush()
            if self._on_disk and size:
                codes: UInt16Array = np.memmap(file, dtype="<u2", mode="r", shape=(size // 2,))
            else:
                file.seek(0)
                codes = np.frombuffer(file.read(size), dtype="<u2")
        return codes.reshape(self.rows, self._columns)

    def close(self) -> None:
        """Drop everything."""
        with suppress(OSError):  # rows that did not fit on the disk are dropped
            self._file.close()

    def _move_to_disk(self) -> None:
        previous = self._file
        with previous, _kept_on_disk():
            self._file = cast("IO[bytes]", tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115
            self._on_disk = True
            previous.seek(0)
            shutil.copyfileobj(previous, self._file)

    def _write(self, content: memoryview) -> None:
        with _kept_on_disk():
            self._file.write(content)


@contextmanager
def _kept_on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        fault = f"the encoded records cannot be kept on disk ({error.strerror})"
        raise InputError(
            f"{fault}; make room, or a larger volume for the ledger's folder"
        ) from None


def person_slices(length: int, person: Int64Array | None, rows: int = CHUNK) -> Iterator[slice]:
    """Consecutive pieces of at most `rows` of `length` rows; where persons are given, of whole ones.

    The rows of a person stand together (`person_events` sees to it).

    Raises:
        ValueError: somebody has more than `rows` rows.

    >>> [piece.stop for piece in person_slices(5, np.array([0, 0, 1, 1, 1]), rows=4)]
    [2, 5]
    """
    start = 0
    while start < length:
        end = min(start + rows, length)
        if person is not None and end < length:
            end = int(np.searchsorted(person, person[end]))
            if end <= start:
                raise ValueError("a person has more rows than are looked at together")
        yield slice(start, end)
        start = end


def take(codes: UInt16Array, rows: Int64Array) -> UInt16Array:
    """A copy of the given rows."""
    taken = codes[rows]
    release(codes)
    return np.asarray(taken)


def release(codes: UInt16Array) -> None:
    """Give the memory of a mapped matrix back. Its pages are read again when they are needed."""
    mapped = getattr(codes, "_mmap", None)
    if mapped is not None:
        mapped.madvise(mmap.MADV_DONTNEED)
