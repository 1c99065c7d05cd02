"""Reads and copies SQLite files that another process may be writing."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot change the file, and does not make one if there is none.

    Raises:
        sqlite3.Error: it is missing or cannot be opened.
    """
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        yield database


def copy_database(path: Path, copy: Path) -> None:
    """Write a consistent copy of a database that may be in use.

    Raises:
        sqlite3.Error: it cannot be read, or the copy cannot be written.
    """
    with reading(path) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
