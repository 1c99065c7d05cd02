"""Finds where rows end and where quotes stand in a block of CSV, for the whole block at once.

A row ends at a line end that has an even number of quotes before it. Count the quotes from the start
of a row, beginning with 0. Quotes with an even number open a cell (or continue a doubled quote), and
quotes with an odd number close one (RFC 4180). An opening quote stands at the start of a cell or
right behind a closing one. A closing quote stands at the end of a cell or right before an opening one.
"""

import numpy as np

_QUOTE, _LF, _CR = b'"'[0], b"\n"[0], b"\r"[0]


def end_of_rows(data: bytes, first: bool = False) -> int:
    """Where the last (or first) whole row of `data` ends; 0 if none does."""
    if data.endswith(b"\r"):  # its line feed may be still to come
        data = data[:-1]
    if b'"' not in data:
        if not first:
            return max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        ends = [end for end in (data.find(b"\n"), data.find(b"\r")) if end >= 0]
        return _after(data, min(ends)) if ends else 0
    symbols = np.frombuffer(data, dtype=np.uint8)
    breaks = np.flatnonzero((symbols == _LF) | (symbols == _CR))
    outside = breaks[np.searchsorted(np.flatnonzero(symbols == _QUOTE), breaks) % 2 == 0]
    if not len(outside):
        return 0
    return _after(data, int(outside[0 if first else -1]))


def _after(data: bytes, end: int) -> int:
    return end + (2 if data[end : end + 2] == b"\r\n" else 1)


def line_ends(data: bytes) -> int:
    """How many lines end in `data`."""
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def stray_quote(rows: bytes, delimiter: bytes) -> int | None:
    """The place of the first quote where none may be, in text that starts with a row.

    >>> stray_quote(b'"a ""b",c', b","), stray_quote(b'a,b"c', b",")
    (None, 3)
    """
    if b'"' not in rows:
        return None
    data = np.frombuffer(rows, dtype=np.uint8)
    quotes = np.flatnonzero(data == _QUOTE)
    opening, closing = quotes[0::2], quotes[1::2]
    edge = np.array([delimiter[0], _LF, _CR], dtype=np.uint8)
    doubled = np.zeros(len(opening), dtype=bool)
    doubled[1:] = opening[1:] == closing[: len(opening) - 1] + 1
    before = np.isin(data[opening - 1], edge) | (opening == 0) | doubled
    after = np.isin(data[np.minimum(closing + 1, len(data) - 1)], edge)
    after |= closing == len(data) - 1
    after[: len(opening) - 1] |= doubled[1:]
    faults = np.concatenate([opening[~before], closing[~after]])
    return int(faults.min()) if len(faults) else None


def column_at(rows: bytes, place: int, delimiter: bytes) -> int:
    r"""The number (from 1) of the cell that holds `place`.

    >>> column_at(b'x\n"a,b",c', 8, b",")
    2
    """
    row = np.frombuffer(rows[end_of_rows(rows[:place]) : place + 1], dtype=np.uint8)
    outside = np.cumsum(row == _QUOTE) % 2 == 0
    return 1 + int(np.sum((row == delimiter[0]) & outside))
