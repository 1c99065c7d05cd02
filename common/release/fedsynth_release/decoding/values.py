"""Ticks of an ordered column as the values of a table: numbers, dates, times and durations.

This is the way back from `fedsynth_common.encoding.values`: what is written here is read there as the
same tick. A number is written in the column's declared format, and a date in its pattern.
"""

from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd

from fedsynth_common.array_types import BoolArray, Int64Array
from fedsynth_common.schema.columns import IntegerColumn, NumericColumn, OrderedColumn
from fedsynth_common.schema.number_format import NumberFormat
from fedsynth_common.schema.temporal import (
    EPOCHS,
    NUMPY_UNIT,
    SECONDS,
    DateColumn,
    DatetimeColumn,
    DurationColumn,
)
from fedsynth_common.schema.ticks import decimals_of


def series_of(ticks: Int64Array, missing: BoolArray, column: OrderedColumn) -> pd.Series:
    """Ticks as the table writes them; <NA> where missing."""
    if isinstance(column, NumericColumn | IntegerColumn) and is_written(column):
        return written_numbers(ticks, missing, column)
    if isinstance(column, NumericColumn):
        # an exact tick over an exact power of ten rounds to the double that prints with these decimals
        return pd.Series(np.where(missing, np.nan, ticks / 10.0**column.decimals))
    if column.stored_as is not None and not isinstance(column, IntegerColumn):
        return typed_series(ticks, missing, column)
    if isinstance(column, DateColumn | DatetimeColumn) and column.format in EPOCHS:
        seconds = _moment(ticks, column.granularity).astype("datetime64[s]").astype(np.int64)
        return pd.Series(pd.arrays.IntegerArray(seconds * EPOCHS[column.format], missing))
    if isinstance(column, DateColumn | DatetimeColumn):
        return _texts(ticks, missing, column)
    if isinstance(column, DurationColumn) and column.format != "number":
        return _texts(ticks, missing, column)
    if not column.nullable:
        return pd.Series(ticks)
    return pd.Series(pd.arrays.IntegerArray(ticks, missing))


def typed_series(
    ticks: Int64Array, missing: BoolArray, column: DateColumn | DatetimeColumn | DurationColumn
) -> pd.Series:
    """Moments or lengths of time in pandas' own type; NaT where missing."""
    if isinstance(column, DurationColumn):
        lengths = (ticks * SECONDS[column.unit]).astype("timedelta64[s]")
        return pd.Series(np.where(missing, np.timedelta64("NaT", "s"), lengths)).astype(
            "timedelta64[us]"
        )
    moments = _moment(ticks, column.granularity).astype("datetime64[us]")
    series: pd.Series = pd.Series(np.where(missing, np.datetime64("NaT", "us"), moments))
    if isinstance(column, DatetimeColumn) and column.zone is not None:
        return pd.Series(pd.DatetimeIndex(series).tz_localize("UTC").tz_convert(column.zone))
    return series


def text_of(tick: int, column: OrderedColumn) -> str:
    """One tick as a schema writes it, for messages."""
    if isinstance(column, DateColumn | DatetimeColumn):
        return str(_iso(np.array([tick]), column.granularity)[0])
    decimals = decimals_of(column)
    return f"{tick / 10.0**decimals:.15g}"


def _texts(
    ticks: Int64Array,
    missing: BoolArray,
    column: DateColumn | DatetimeColumn | DurationColumn,
) -> pd.Series:
    """Texts of the distinct ticks, then one look-up per cell."""
    distinct, index = np.unique(np.where(missing, ticks[:1], ticks), return_inverse=True)
    texts = np.array([*_written_texts(distinct, column), None], dtype=object)
    return pd.Series(texts[np.where(missing, len(distinct), index)], dtype="str")


def _written_texts(
    ticks: Int64Array, column: DateColumn | DatetimeColumn | DurationColumn
) -> npt.NDArray[np.object_]:
    if isinstance(column, DurationColumn) and column.format == "clock":
        return np.array([_clock_text(tick, column.unit) for tick in ticks.tolist()], dtype=object)
    if isinstance(column, DurationColumn):
        mark = {
            "week": "P{}W",
            "day": "P{}D",
            "hour": "PT{}H",
            "minute": "PT{}M",
            "second": "PT{}S",
        }
        return np.array([mark[column.unit].format(tick) for tick in ticks.tolist()], dtype=object)
    if column.format is None:
        return np.asarray(_iso(ticks, column.granularity), dtype=object)
    stamps = _moment(ticks, column.granularity).astype("datetime64[s]")
    return np.asarray(pd.Series(stamps).dt.strftime(column.format), dtype=object)


def _clock_text(tick: int, unit: str) -> str:
    minutes, seconds = divmod(tick, 60) if unit == "second" else (tick, 0)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{seconds:02d}" if unit == "second" else text


def _iso(ticks: Int64Array, granularity: str) -> npt.NDArray[np.str_]:
    moments = _moment(ticks, granularity)
    if granularity == "hour":  # "T08" alone is valid but read by few programs
        moments = moments.astype("datetime64[m]")
    return np.datetime_as_string(moments)


def _moment(ticks: Int64Array, granularity: str) -> npt.NDArray[np.datetime64]:
    return np.asarray(ticks.astype(f"datetime64[{NUMPY_UNIT[granularity]}]"))


def is_written(column: NumericColumn | IntegerColumn) -> bool:
    """Whether drawn tables hold the column as texts, since its numbers are not written plainly."""
    form = column.format
    return form is not None and bool(form.limits or not (form.plain or form.read_only))


def written_numbers(
    ticks: Int64Array, missing: BoolArray, column: NumericColumn | IntegerColumn
) -> pd.Series:
    """Ticks as texts in the column's format; missing where there is none."""
    decimals = decimals_of(column)
    form = column.format or NumberFormat()
    limits = {tick: text for text, tick in form.limit_ticks(decimals).items() if tick is not None}
    distinct, index = np.unique(np.where(missing, ticks[:1], ticks), return_inverse=True)
    texts = [
        limits.get(tick) or _written_number(tick, decimals, form) for tick in distinct.tolist()
    ]
    whole = np.array([*texts, None], dtype=object)
    return pd.Series(whole[np.where(missing, len(distinct), index)], dtype="str")


def _written_number(tick: int, decimals: int, form: NumberFormat) -> str:
    number = Decimal(abs(tick)).scaleb(-decimals)
    if form.read_only:
        form = NumberFormat()
    marks = {",": form.thousands, ".": form.decimal}
    body = "".join(marks.get(mark, mark) for mark in f"{number:,.{decimals}f}")
    return f"{'-' if tick < 0 else ''}{form.prefix}{body}{form.suffix}"
