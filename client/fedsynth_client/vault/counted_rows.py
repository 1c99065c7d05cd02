"""Which rows a marginal counts: every record, or the events of persons, alone or two of them together.

The rows of a person stand together and in the order of the events. They are never divided between
two pieces of a table, so a piece holds all that its counts are about.

All arrays have their full size from the start, so that memory does not depend on the records.
"""

import numpy as np

from fedsynth_common.array_types import Int64Array, UInt16Array
from fedsynth_common.protocol.counting import Over

_AXES = 3  # of a marginal, at most


class CountedRows:
    """The rows of a piece that marginals of one kind count, and where their columns are read."""

    def __init__(self, over: Over, lag: int, most: int) -> None:
        """`most` is the largest number of rows of a piece."""
        self._over, self._lag = over, lag
        self._all = over in (Over.RECORDS, Over.EVENTS)
        size = 0 if self._all else most
        self._numbers = np.arange(size)
        self._chosen = np.full((2, size), 1, np.bool_)
        self._rows = np.full((2, size), 0, np.int64)
        self._read = np.full((_AXES, size), 0, np.uint16)
        self.count = 0
        # takes room of its own, as much as for any piece
        np.compress(self._chosen[0], self._numbers, out=self._rows[0])

    def find(self, person: Int64Array | None, rows: int) -> None:
        """Look at the next piece of `rows` rows; `person` says whose each row is.

        Raises:
            ValueError: no persons are given, but the counts are about them.
        """
        self.count = rows
        if self._all:
            return
        if person is None:
            raise ValueError(f"marginals over {self._over.name} need the person of each row")
        first, last = self._chosen[:, :rows]
        if self._over is Over.PERSONS:
            first[:1], last[-1:] = True, True
            np.not_equal(person[1:], person[:-1], out=first[1:])
            last[:-1] = first[1:]
        else:
            first[:], last[:] = False, False
            reach = max(0, rows - self._lag)
            np.equal(person[self._lag :], person[:reach], out=first[:reach])
            last[rows - reach :] = first[:reach]
        self.count = int(np.count_nonzero(first))
        for chosen, found in zip((first, last), self._rows, strict=True):
            np.compress(chosen, self._numbers[:rows], out=found[: self.count])

    def read(self, groups: UInt16Array, at: int, axis: int) -> UInt16Array:
        """The groups of a column that axis number `axis` counts, at the first or the second event."""
        if self._all:
            return groups[: self.count]
        read = self._read[axis, : self.count]
        # a mode other than "raise" writes into `read` without a copy
        np.take(groups, self._rows[at, : self.count], out=read, mode="clip")
        return read
