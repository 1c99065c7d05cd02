"""Reads the cells of an ordered column as ticks: numbers, dates, times and durations.

A tick is a whole number: units of `10**-decimals` for numbers, days (months, seconds, ...) since 1970
for dates and times, units for durations. All else in this package sees ticks only. The way back, from
ticks to the values of a table, is `fedsynth_release.decoding.values`.

How a cell is read depends on that cell alone, on its type and its value. So a table that is read in
pieces gives the same codes, and one record cannot change the codes of another. If a table holds a moment
or a length of time by its type, it is read as it is; `format` is about texts. A cell that cannot be read
is missing, and is counted. A text is never guessed at: a date with less than its granularity ("2020" for
a day) is not read as its first of January. One with more is cut down and counted as rounded, and an
offset from UTC is applied.
"""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fedsynth_common.array_types import Float64Array
from fedsynth_common.encoding.written import without_marks, written_ticks
from fedsynth_common.schema.columns import (
    BooleanColumn,
    CategoricalColumn,
    ModelledColumn,
    OrderedColumn,
)
from fedsynth_common.schema.temporal import (
    EPOCHS,
    NUMPY_UNIT,
    SECONDS,
    DateColumn,
    DatetimeColumn,
    DurationColumn,
    padded,
)
from fedsynth_common.schema.ticks import decimals_of
from fedsynth_common.tables import as_number, factorise, in_calendar, moments_of, seconds_of

_SHORTEST = {"year": 4, "month": 7, "day": 10, "hour": 13, "minute": 16, "second": 19}
_NANOSECONDS = r"([.,][0-9]{6})[0-9]+"  # finer than any granularity
_CLOCK = ("now", "today")  # which pandas would read off the clock
_LONGEST = 3e11  # seconds: beyond the year 9999, and exact as microseconds
_CLOCK_TIME = re.compile(r"([0-9]{1,3}):([0-5][0-9])(?::([0-5][0-9]))?")
_COUNT = r"([+-]?[0-9]{1,18})"
_ISO_DURATION = re.compile(
    rf"P(?:{_COUNT}W)?(?:{_COUNT}D)?"
    rf"(?:T(?:{_COUNT}H)?(?:{_COUNT}M)?(?:([+-]?)([0-9]{{1,18}})(\.[0-9]{{1,9}})?S)?)?"
)


@dataclass(frozen=True, eq=False)
class Scaled:
    """Cells in ticks, not yet rounded to whole ones or moved into bounds.

    Attributes:
        ticks: NaN where there is no value.
        unreadable: Cells that hold something that is not a value of this kind.
    """

    ticks: Float64Array
    unreadable: int


def scaled(series: pd.Series, column: OrderedColumn) -> Scaled:
    """Every cell in (fractional) ticks; a declared mark of a missing cell is one."""
    if column.missing_marks:  # a declared mark may look like a number
        series = without_marks(series, column)
    if isinstance(column, DateColumn | DatetimeColumn):
        ticks = _moments(series, column)
    elif isinstance(column, DurationColumn):
        ticks = _durations(series, column)
    else:
        ticks = written_ticks(series, column)
    absent = np.isnan(ticks)
    if not absent.any():
        return Scaled(ticks, 0)
    empty = np.zeros(len(series), dtype=bool)
    empty[absent] = factorise(without_marks(series[absent], column))[0] < 0
    return Scaled(ticks, int((absent & ~empty).sum()))


def as_ordinal(series: pd.Series, column: ModelledColumn) -> Float64Array:
    """Cells as numbers that keep order and distance; NaN where missing or not readable.

    Numbers are themselves (so are texts that read as numbers), dates and durations counts of their
    granularity or unit.
    """
    if isinstance(column, CategoricalColumn | BooleanColumn):
        return as_number(series)
    ticks = scaled(series, column).ticks
    return ticks / 10.0 ** decimals_of(column)


def _moments(series: pd.Series, column: DateColumn | DatetimeColumn) -> Float64Array:
    """Whole ticks, plus a half where the cell was finer than a tick."""
    moments, typed = moments_of(series)
    ticks = _in_ticks(moments, column.granularity)
    if typed.all():
        return ticks
    if column.format in EPOCHS:
        counted = _counted(as_number(series) / EPOCHS[column.format])
        return np.where(typed, ticks, _in_ticks(in_calendar(counted), column.granularity))
    cells, texts = factorise(series)
    written = pd.Series(texts, dtype="str")
    if column.format is None:
        written = written.where(written.str.len() >= _SHORTEST[column.granularity])
    stamps = _stamps(written, column.format).dt.tz_localize(None).to_numpy()
    read = np.append(_in_ticks(in_calendar(stamps), column.granularity), np.nan)
    return np.asarray(np.where(typed, ticks, read[cells]), dtype=np.float64)


def _stamps(written: pd.Series, pattern: str | None) -> pd.Series:
    """Each text as a moment, NaT where it is none.

    One text with nanoseconds makes pandas read all of them in nanoseconds, and then 9999-12-31 is no
    moment any more: one record would change the cells of others, whom the noise does not cover.
    """
    written = written.where(~written.isin(_CLOCK))
    if pattern is None:
        written = written.str.replace(_NANOSECONDS, r"\1", regex=True)
    stamps = _parsed(written, pattern)
    if len(stamps) and stamps.dt.unit == "ns":
        alone = (_parsed(written.iloc[[k]], pattern) for k in range(len(written)))
        stamps = pd.concat([stamp.dt.as_unit("us") for stamp in alone])
    return stamps


def _parsed(written: pd.Series, pattern: str | None) -> pd.Series:
    form = "ISO8601" if pattern is None else padded(pattern)
    return pd.to_datetime(written, format=form, errors="coerce", utc=True)


def _counted(seconds: Float64Array) -> npt.NDArray[np.datetime64]:
    """Moments of seconds since 1970; NaT where there are none, or beyond the calendar."""
    absent = np.isnan(seconds) | (np.abs(seconds) > _LONGEST)
    whole = np.rint(np.where(absent, 0.0, seconds) * 1e6).astype(np.int64)
    return np.where(absent, np.datetime64("NaT", "us"), whole.astype("datetime64[us]"))


def _in_ticks(moments: npt.NDArray[np.datetime64], granularity: str) -> Float64Array:
    absent = np.isnat(moments)
    moments = np.where(absent, np.datetime64(0, "us"), moments)
    whole = moments.astype(f"datetime64[{NUMPY_UNIT[granularity]}]")
    finer = whole.astype("datetime64[us]") != moments
    ticks = whole.astype(np.int64) + np.where(finer, 0.25, 0.0)
    return np.asarray(np.where(absent, np.nan, ticks), dtype=np.float64)


def _durations(series: pd.Series, column: DurationColumn) -> Float64Array:
    """By its type, as a text in ISO 8601, or (if the column is written so) as a number of units."""
    seconds, typed = seconds_of(series)
    lengths = seconds / SECONDS[column.unit]
    if column.format == "number" and not typed.all():
        lengths = np.where(typed, lengths, as_number(series))
    rest = ~typed & np.isnan(lengths)
    if rest.any():
        cells, texts = factorise(series[rest])
        reader = _clock if column.format == "clock" else _seconds
        read = np.array([*map(reader, texts), np.nan], dtype=np.float64)
        lengths[rest] = read[cells] / SECONDS[column.unit]
    return lengths


def _seconds(text: str) -> float:
    """An ISO 8601 duration, each part with a sign or none, as PostgreSQL writes an interval.

    NaN for years and months, which have no fixed length.

    >>> _seconds("P1DT2H"), _seconds("P-1DT0.5S"), _seconds("P1M")
    (93600.0, -86399.5, nan)
    """
    match = _ISO_DURATION.fullmatch(text)
    if not match or not any(match.groups()) or text.endswith("T"):
        return float("nan")
    *counts, sign, seconds, fraction = match.groups(default="")
    parts = zip([*counts, sign + seconds], SECONDS.values(), strict=True)
    whole = sum(int(count) * length for count, length in parts if count not in ("", "-", "+"))
    return whole + float(f"{sign}0{fraction}")


def _clock(text: str) -> float:
    """The seconds of hours, minutes and, if they are there, seconds; NaN where it is no such text.

    >>> _clock("08:15"), _clock("8:15:30"), _clock("08:75")
    (29700.0, 29730.0, nan)
    """
    match = _CLOCK_TIME.fullmatch(text)
    if not match:
        return float("nan")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 3600.0 * hours + 60.0 * minutes + seconds
