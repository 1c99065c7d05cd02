"""Numbers the persons of a table that comes in chunks, and counts cells that should be unique.

Neither keeps the texts, but a hash of 16 bytes for each row. `PersonKeys` replaces the person keys by
running numbers. `UniqueCells` counts how often a cell of a unique column occurs again.
"""

import secrets

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Int64Array, UInt64Array
from fedsynth_common.errors import InputError
from fedsynth_common.tables import factorise, whole_number


class MissingKeyError(InputError):
    """Some rows have no person key."""


class PersonKeys:
    """The persons of rows that arrive in chunks, 16 bytes a row.

    A key means the same in every type: 17, 17.0 and the texts `17` and `17.0` are one person. So a
    person stays one person if different programs wrote the parts of a table.

    Two persons are taken for one only if the 128 bits of their SipHash agree, with hash keys that are
    drawn for this table alone. For ten million persons the probability is 1e-25. Even then they would
    only lose rows, and the bound on a person's contribution would hold.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._salts = secrets.token_hex(8), secrets.token_hex(8)
        self._hashes: list[UInt64Array] = []

    def add(self, frame: pd.DataFrame) -> None:
        """Append the rows of a chunk.

        Raises:
            MissingKeyError: the key is not in the table, or missing in some rows.
        """
        if self._key not in frame.columns:
            raise MissingKeyError(
                f"column {self._key!r}: the schema's person key is missing from the table"
            )
        cells, texts = factorise(frame[self._key])
        if missing := int((cells < 0).sum()):
            raise MissingKeyError(
                f"column {self._key!r}: {missing} rows have no person key; give every row one, or "
                "remove them"
            )
        numbers = np.array([whole_number(text) for text in texts], dtype=object)
        both = [
            pd.util.hash_array(numbers, hash_key=salt, categorize=False) for salt in self._salts
        ]
        self._hashes.append(np.stack(both)[:, cells])

    def count(self) -> int:
        """Number of persons so far."""
        return int(self.numbers().max(initial=-1)) + 1

    def numbers(self) -> Int64Array:
        """The person (0..P-1) of each row, in the order of first appearance."""
        if not self._hashes:
            return np.empty(0, dtype=np.int64)
        self._hashes = [np.concatenate(self._hashes, axis=1)]
        first, second = self._hashes[0]
        order = np.lexsort((second, first))
        new = np.ones(len(order), dtype=bool)
        new[1:] = (np.diff(first[order]) != 0) | (np.diff(second[order]) != 0)
        # lexsort is stable, so a person's first entry in the order is the first of their rows
        rank = np.empty(int(new.sum()), dtype=np.int64)
        rank[np.argsort(order[new])] = np.arange(len(rank))
        person = np.empty(len(order), dtype=np.int64)
        person[order] = rank[np.cumsum(new) - 1]
        return person


class UniqueCells:
    """Counts the cells of a column that repeat an earlier one. Missing cells do not count."""

    def __init__(self, column: str) -> None:
        self._column, self._held, self._cells = column, 0, PersonKeys(column)

    def add(self, frame: pd.DataFrame) -> None:
        """Count the rows of a chunk. A table without the column has no repeated cells."""
        if self._column not in frame.columns:
            return
        present = factorise(frame[self._column])[0] >= 0
        self._held += int(present.sum())
        self._cells.add(frame[[self._column]][present])

    @property
    def repeated(self) -> int:
        """The number of cells so far less that of distinct cells. It is private to the site."""
        return self._held - self._cells.count()
