"""Recognises dates and times when a schema is drafted: ISO 8601, or the format that a file names.

Bounds are rounded outwards to whole years: a first admission is a fact about a person, the year that
a register began is not. The granularity is the finest that any cell shows.
"""

from collections.abc import Sequence

import pandas as pd

from fedsynth_common.schema.temporal import DateColumn, DatetimeColumn

_DATE = r"\d{4}-\d\d-\d\d"
_TIME = rf"{_DATE}[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?"


def draft_moment(
    name: str, texts: Sequence[str], nullable: bool, pattern: str | None = None
) -> DateColumn | DatetimeColumn | None:
    """A column for these distinct texts; None where they are no dates or times.

    >>> draft_moment("seen", ["2019-03-01", "2020-12-24"], False).maximum
    '2020-12-31'
    """
    written = pd.Series(list(texts), dtype="str")
    if not len(written):
        return None
    iso = written.str.fullmatch(rf"{_DATE}|{_TIME}").all()
    if pattern is None and not iso:
        return None
    stamps = pd.to_datetime(written, format=pattern or "ISO8601", errors="coerce", utc=True)
    if stamps.isna().any():
        return None
    first, last = stamps.min().year, stamps.max().year
    low, high = f"{first:04d}-01-01", f"{last:04d}-12-31"
    seconds = stamps.dt.hour * 3600 + stamps.dt.minute * 60 + stamps.dt.second
    if not seconds.any():
        return DateColumn(name=name, minimum=low, maximum=high, nullable=nullable, format=pattern)
    if (seconds % 60).any():
        ends, granularity = ("T00:00:00", "T23:59:59"), "second"
    else:
        ends, granularity = ("T00:00", "T23:59"), "minute"
    return DatetimeColumn(
        name=name,
        minimum=low + ends[0],
        maximum=high + ends[1],
        granularity="second" if granularity == "second" else "minute",
        nullable=nullable,
        format=pattern,
    )
