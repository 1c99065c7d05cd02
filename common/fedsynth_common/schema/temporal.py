"""Dates, times and durations, as whole numbers of their granularity ("ticks").

A date of granularity `day` is a number of days since 1970-01-01, of granularity `month` a number of
months, and so on: one rule for all calendars' irregularities, and encoding, conditions and rules see
ordinary integers. Bounds and atoms are written in ISO 8601 at exactly that granularity, whatever
`format` the table itself uses, so that a schema reads alike everywhere.

`format` is a strptime pattern of the table; without it cells are ISO 8601. A format is accepted
only if it gives back the minimum and the maximum: one that drops the year, or has two digits for it
beyond their century, is refused. A time with an offset is converted to UTC; one without is taken
as it stands.
"""

import re
from datetime import datetime
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from fedsynth_common.schema.column_base import MAX_ATOMS, MAX_TICKS, BaseColumn, Scale

DateGranularity = Literal["day", "month", "year"]
TimeGranularity = Literal["hour", "minute", "second"]
Unit = Literal["week", "day", "hour", "minute", "second"]
Moment = Annotated[str, Field(max_length=40)]

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


class _Moment(BaseColumn):
    """What dates and times share."""

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
        if self.format is not None and not all(
            _kept(tick, self.format, granularity) for tick in (low, high)
        ):
            fault = f"format {self.format!r} does not give back the minimum and the maximum"
            self._refuse(f"{fault}; it must hold every part from the year to the {granularity}")


def _kept(tick: int, pattern: str, granularity: str) -> bool:
    """Whether a moment written in this pattern reads as the same moment again."""
    unit = NUMPY_UNIT[granularity]
    moment = np.datetime64(tick, unit).astype("datetime64[s]").astype(datetime)
    if not isinstance(moment, datetime):  # the year 0000 is none of Python's
        return False
    try:
        again = datetime.strptime(moment.strftime(pattern), pattern)
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
    """A date with a time of day, to the hour, minute or second."""

    kind: Literal["datetime"] = "datetime"
    granularity: TimeGranularity = "minute"

    @model_validator(mode="after")
    def _valid_times(self) -> Self:
        self._check_moments(self.granularity)
        return self


class DurationColumn(BaseColumn):
    """A length of time in whole units, as a number or in ISO 8601 (`P3D`, `PT4H`)."""

    kind: Literal["duration"] = "duration"
    minimum: int = 0
    maximum: int
    unit: Unit = "day"
    format: Literal["number", "iso8601"] = "number"
    atoms: Annotated[tuple[int, ...], Field(max_length=MAX_ATOMS)] = ()
    scale: Scale = "linear"
    nullable: bool = False

    @model_validator(mode="after")
    def _valid_lengths(self) -> Self:
        self._check_numbers(self.minimum, self.maximum, self.atoms)
        if self.minimum < 0 and self.format == "iso8601":
            self._refuse("an ISO 8601 duration is never negative; use format 'number'")
        if max(abs(self.minimum), abs(self.maximum)) >= MAX_TICKS:
            self._refuse(f"bounds must be below {MAX_TICKS} in size")
        return self
