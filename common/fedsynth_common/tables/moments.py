"""Reads the moments and the lengths of time among the cells of a column.

Some cells hold a moment by their type (a timestamp of Parquet, a date of PostgreSQL). Such a cell is
read as it is, whatever format the schema declares for texts. Each cell is read alone: in a column of
Python objects moments can stand beside texts, and each reads as it would among cells of its own kind.
"""

import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fedsynth_common.array_types import BoolArray, Float64Array
from fedsynth_common.tables.storage import stored

Moments = npt.NDArray[np.datetime64]
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def moments_of(series: pd.Series) -> tuple[Moments, BoolArray]:
    """Every moment in UTC, to the microsecond; and which cells are moments by their type.

    A moment is NaT where it is missing, or outside of the years 1 to 9999.
    """
    series = stored(series)
    if series.dtype.kind == "M":
        return in_calendar(series.to_numpy()), np.ones(len(series), dtype=bool)
    moments = np.full(len(series), np.datetime64("NaT"), dtype="datetime64[us]")
    flags = np.zeros(len(series), dtype=bool)
    if series.dtype == object:
        for place, cell in enumerate(series):
            if isinstance(cell, datetime.date | np.datetime64):
                moments[place], flags[place] = _moment(cell), True
    return moments, flags


def seconds_of(series: pd.Series) -> tuple[Float64Array, BoolArray]:
    """Every length of time in seconds, NaN where there is none; and which cells are such lengths."""
    series = stored(series)
    if series.dtype.kind == "m":
        return _seconds(series.to_numpy()), np.ones(len(series), dtype=bool)
    seconds = np.full(len(series), np.nan)
    flags = np.zeros(len(series), dtype=bool)
    if series.dtype == object:
        for place, cell in enumerate(series):
            if isinstance(cell, datetime.timedelta | np.timedelta64):
                seconds[place], flags[place] = _length(cell), True
    return seconds, flags


def in_calendar(moments: Moments) -> Moments:
    """Moments of any resolution to the microsecond; NaT outside of the years 1 to 9999."""
    unit = np.datetime_data(moments.dtype)[0]
    if unit in ("generic", "ns", "ps", "fs", "as"):  # all of them near 1970
        return moments.astype("datetime64[us]")
    first, last = (
        np.datetime64(day).astype(moments.dtype) for day in ("0001-01-01", "10000-01-01")
    )
    inside = (moments >= first) & (moments < last)
    return np.where(inside, moments, np.array("NaT", moments.dtype)).astype("datetime64[us]")


def _moment(cell: Any) -> np.datetime64:
    if pd.isna(cell):
        return np.datetime64("NaT", "us")
    if isinstance(cell, pd.Timestamp):
        cell = cell.asm8  # in UTC
    elif isinstance(cell, datetime.datetime) and (offset := cell.utcoffset()) is not None:
        try:
            cell = cell.replace(tzinfo=None) - offset
        except OverflowError:
            return np.datetime64("NaT", "us")
    return np.datetime64(in_calendar(np.array([cell], dtype="datetime64"))[0])


def _seconds(lengths: npt.NDArray[np.timedelta64]) -> Float64Array:
    """Whole seconds and the rest apart: so each resolution of a length gives the same double."""
    per_second = _PER_SECOND[np.datetime_data(lengths.dtype)[0]]
    counts = lengths.astype(np.int64)
    seconds = counts // per_second + (counts % per_second) / per_second
    return np.where(np.isnat(lengths), np.nan, seconds)


def _length(cell: Any) -> float:
    if isinstance(cell, datetime.timedelta) and not isinstance(cell, pd.Timedelta):
        return cell.days * 86_400 + cell.seconds + cell.microseconds / 10**6
    if pd.isna(cell):
        return float("nan")
    length = cell.asm8 if isinstance(cell, pd.Timedelta) else cell
    unit = np.datetime_data(length.dtype)[0]
    if unit in ("W", "D", "h", "m"):
        return float(length / np.timedelta64(1, "s"))
    return float(_seconds(np.array([length]))[0]) if unit in _PER_SECOND else float("nan")
