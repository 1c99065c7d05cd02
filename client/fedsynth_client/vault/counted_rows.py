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

    def __init__(self, over: Over, lag: int, weight: int, most: int) -> None:
        """`most` is the largest number of rows of a piece; `weight` see `protocol.counting`."""
        self._over, self._lag, self._weight = over, lag, weight
        shared = most if weight > 1 else 0
        self._begin, self._end, self._share = (np.full(shared, 0, np.int64) for _ in range(3))
        self._shares = np.full(shared, 0, np.float64)
        self._all = over in (Over.RECORDS, Over.EVENTS)
        size = 0 if self._all else most
        self._numbers = np.arange(max(size, shared))
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
        if not self.needs_persons:
            return
        if person is None:
            raise ValueError(f"marginals over {self._over.name} need the person of each row")
        if self._weight > 1:
            self._share_out(person, rows)
        if self._all:
            self._shares[:rows] = self._share[:rows]
            return
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
        if self._weight > 1:
            counted = self._rows[0, : self.count]
            np.take(self._share, counted, out=self._end[: self.count], mode="clip")
            self._shares[: self.count] = self._end[: self.count]

    def _share_out(self, person: Int64Array, rows: int) -> None:
        """Write W // m for each row, m being how many events (or pairs) its person has."""
        begin, end, share = (a[:rows] for a in (self._begin, self._end, self._share))
        begin[:1], end[-1:] = 0, rows
        for row_of, ends in ((begin[1:], 0), (end[:-1], rows)):
            np.equal(person[1:], person[:-1], out=share[1:], casting="unsafe")
            np.subtract(ends, self._numbers[1:rows], out=row_of)
            row_of *= share[1:]
            row_of += self._numbers[1:rows]
        np.maximum.accumulate(begin, out=begin)
        np.minimum.accumulate(end[::-1], out=end[::-1])
        np.subtract(end, begin, out=share)
        share -= self._lag
        np.maximum(share, 1, out=share)
        np.floor_divide(self._weight, share, out=share)

    @property
    def needs_persons(self) -> bool:
        """Whether it matters whose event a row is."""
        return not self._all or self._weight > 1

    def totals(self, cell: Int64Array, cells: int) -> Int64Array:
        """What the rows add to each of `cells` cells; `cell` is that of each counted row.

        Sums of shares are whole numbers below 2**53, so double precision has them exactly.
        """
        if self._weight == 1:
            return np.bincount(cell, minlength=cells)
        sums = np.bincount(cell, weights=self._shares[: self.count], minlength=cells)
        return sums.astype(np.int64)

    def read(self, groups: UInt16Array, at: int, axis: int) -> UInt16Array:
        """The groups of a column that axis number `axis` counts, at the first or the second event."""
        if self._all:
            return groups[: self.count]
        read = self._read[axis, : self.count]
        # a mode other than "raise" writes into `read` without a copy
        np.take(groups, self._rows[at, : self.count], out=read, mode="clip")
        return read
