"""Dates, times and durations, as whole numbers of their granularity ("ticks").

A date of granularity `day` is a number of days since 1970-01-01, of granularity `month` a number of
months, and so on. Months of different lengths need no special treatment then, and encoding, conditions
and rules see ordinary integers. Bounds and atoms are written in ISO 8601 at exactly that granularity,
whatever `format` the table itself uses, so that a schema reads alike everywhere.

`format` is a strptime pattern of the table; without it cells are ISO 8601. `%-d` and `%-m` write a day
or a month without its leading zero, and read it with or without. `epoch_s` and `epoch_ms` are numbers
of seconds or milliseconds since 1970. A format is accepted only if it gives back the minimum and the
maximum: one that drops the year, or has two digits for it beyond their century, is refused. A time
with an offset is converted to UTC; one without is taken as it stands.
"""

import re
from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import Field, model_validator

from fedsynth_common.schema.column_base import MAX_ATOMS, MAX_TICKS, ReadColumn, Scale

DateGranularity = Literal["day", "month", "year"]
TimeGranularity = Literal["hour", "minute", "second"]
Unit = Literal["week", "day", "hour", "minute", "second"]
Moment = Annotated[str, Field(max_length=40)]

EPOCHS: dict[str, int] = {"epoch_s": 1, "epoch_ms": 1_000}
"""Formats that count from 1970-01-01, with the number of units in a second."""
NUMPY_UNIT: dict[str, Literal["Y", "M", "D", "h", "m", "s"]] = {
    "year": "Y",
    "month": "M",
    "day": "D",
    "hour": "h",
    "minute": "m",
    "second": "s",
}
SECONDS = {"week": 604_800, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
_WRITTEN = {
    "year": r"\d{4}",
    "month": r"\d{4}-\d\d",
    "day": r"\d{4}-\d\d-\d\d",
    "hour": r"\d{4}-\d\d-\d\d[T ]\d\d(:00(:00)?)?",
    "minute": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:00)?",
    "second": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d",
}
EXAMPLES = {
    "year": "2020",
    "month": "2020-01",
    "day": "2020-01-31",
    "hour": "2020-01-31T08:00",
    "minute": "2020-01-31T08:15",
    "second": "2020-01-31T08:15:00",
}


def padded(pattern: str) -> str:
    """The pattern that reads what `pattern` writes: strptime takes a part with or without its zero.

    >>> padded("%-m/%-d/%Y")
    '%m/%d/%Y'
    """
    return pattern.replace("%-", "%")


def iso_tick(text: str, granularity: str) -> int | None:
    """The tick of an ISO 8601 text at exactly that granularity; None where it is none.

    >>> iso_tick("1970-03", "month"), iso_tick("1970-03-01", "month"), iso_tick("1970-13", "month")
    (2, None, None)
    """
    if not re.fullmatch(_WRITTEN[granularity], text):
        return None
    try:
        stamp = np.datetime64(text, "s")
    except ValueError:
        return None
    return int(stamp.astype(f"datetime64[{NUMPY_UNIT[granularity]}]").astype(np.int64))


class _Moment(ReadColumn):
    """What dates and times share."""

    stores: ClassVar[tuple[str, ...]] = ("datetime",)
    later: ClassVar[tuple[str, ...]] = ("missing_marks", "stored_as", "zone")

    minimum: Moment
    maximum: Moment
    format: Annotated[str, Field(max_length=100)] | None = None
    atoms: Annotated[tuple[Moment, ...], Field(max_length=MAX_ATOMS)] = ()
    nullable: bool = False

    def _check_moments(self, granularity: str) -> None:
        texts = (self.minimum, self.maximum, *self.atoms)
        ticks = [iso_tick(text, granularity) for text in texts]
        for text, tick in zip(texts, ticks, strict=True):
            if tick is None:
                expected = f"expected ISO 8601 such as {EXAMPLES[granularity]!r}"
                self._refuse(f"{text!r} is not a {granularity} of the calendar; {expected}")
        low, high, *atoms = (tick for tick in ticks if tick is not None)
        if low > high:
            self._refuse(f"minimum {self.minimum} is after maximum {self.maximum}")
        self._check_numbers(low, high, atoms)
        if self.format in EPOCHS or self.format is None:
            return
        if not all(_kept(tick, self.format, granularity) for tick in (low, high)):
            fault = f"format {self.format!r} does not give back the minimum and the maximum"
            self._refuse(f"{fault}; it must hold every part from the year to the {granularity}")


def _kept(tick: int, pattern: str, granularity: str) -> bool:
    """Whether a moment written in this pattern reads as the same moment again."""
    unit = NUMPY_UNIT[granularity]
    moment = np.datetime64(tick, unit).astype("datetime64[s]").astype(datetime)
    if not isinstance(moment, datetime):  # the year 0000 is none of Python's
        return False
    try:
        again = datetime.strptime(moment.strftime(pattern), padded(pattern))
    except (ValueError, re.error):  # a pattern that repeats a part is no regular expression
        return False
    return again.tzinfo is None and again == moment


class DateColumn(_Moment):
    """A calendar date (or month, or year) within declared bounds, both included.

    `atoms` are dates with a mass of their own, such as a register's 1900-01-01 for "not known".

    >>> DateColumn(name="admitted", minimum="2015-01-01", maximum="2024-12-31").granularity
    'day'
    """

    kind: Literal["date"] = "date"
    granularity: DateGranularity = "day"

    @model_validator(mode="after")
    def _valid_dates(self) -> Self:
        self._check_moments(self.granularity)
        return self


class DatetimeColumn(_Moment):
    """A date with a time of day, to the hour, minute or second.

    Bounds and values are in UTC where the table has a zone. `zone` is the IANA zone in which drawn
    tables hold the column; it needs `stored_as = "datetime"`.
    """

    kind: Literal["datetime"] = "datetime"
    granularity: TimeGranularity = "minute"
    zone: Annotated[str, Field(max_length=60)] | None = None

    @model_validator(mode="after")
    def _valid_times(self) -> Self:
        self._check_moments(self.granularity)
        if self.zone is not None:
            if self.stored_as != "datetime":
                self._refuse("zone needs stored_as = 'datetime'")
            try:
                ZoneInfo(self.zone)
            except (ValueError, OSError, LookupError):
                self._refuse(f"zone {self.zone!r} is not a known zone such as 'Europe/Berlin'")
        return self


class DurationColumn(ReadColumn):
    """A length of time in whole units, as a number or in ISO 8601 (`P3D`, `PT4H`).

    With `format = "clock"` it is written in hours, minutes and seconds, such as a time of day: `08:15`
    if the unit is the minute, `08:15:30` if it is the second.
    """

    kind: Literal["duration"] = "duration"
    stores: ClassVar[tuple[str, ...]] = ("timedelta",)
    minimum: int = 0
    maximum: int
    unit: Unit = "day"
    format: Literal["number", "iso8601", "clock"] = "number"
    atoms: Annotated[tuple[int, ...], Field(max_length=MAX_ATOMS)] = ()
    scale: Scale = "linear"
    nullable: bool = False

    @model_validator(mode="after")
    def _valid_lengths(self) -> Self:
        self._check_numbers(self.minimum, self.maximum, self.atoms)
        if self.minimum < 0 and self.format != "number":
            self._refuse("a written duration is never negative; use format 'number'")
        if self.format == "clock" and self.unit not in ("minute", "second"):
            self._refuse("format 'clock' needs the unit 'minute' or 'second'")
        if max(map(abs, (self.minimum, self.maximum, *self.atoms))) >= MAX_TICKS:
            self._refuse(f"minimum, maximum and atoms must be below {MAX_TICKS} in size")
        return self
