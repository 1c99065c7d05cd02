"""Recognises dates and times when a schema is drafted, in the forms in which people write them.

Bounds are rounded outwards to whole years: a first admission is a fact about a person, the year that
a register began is not. The granularity is the finest that one cell in twenty or more shows. Dates far
from all others, such as 9999-12-31 for "no end" and 1900-01-01 for "not known", become atoms and do
not widen the bounds. Where day and month could be exchanged, a note asks.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import ValidationError

from fedsynth_common.array_types import BoolArray, Float64Array
from fedsynth_common.schema.temporal import (
    EPOCHS,
    DateColumn,
    DatetimeColumn,
    DurationColumn,
    iso_tick,
    padded,
)
from fedsynth_release.drafting.moment_patterns import (
    ISO,
    MONTHS,
    NEARLY_ALL,
    Order,
    Read,
    order_question,
    read_moments,
)
from fedsynth_release.drafting.notes import Note
from fedsynth_release.drafting.tally import Values

_SENTINELS = re.compile(r"(9999|2999|2099|0001|1753|1800|1900|1970)-\d\d-\d\d")
_CLOCK = re.compile(r"\d{1,2}:[0-5]\d(:[0-5]\d)?")


@dataclass(frozen=True)
class Moments:
    """A drafted column of dates, times or lengths of time, and what to tell about it."""

    column: DateColumn | DatetimeColumn | DurationColumn
    notes: tuple[Note, ...] = ()


def draft_moments(
    values: Values, marks: Sequence[str], order: Order | None = None, pattern: str | None = None
) -> Moments | None:
    """A column for these cells; None where fewer than 95 % of them are dates, times or lengths.

    Args:
        values: The cells, marks of missing ones left out.
        marks: These marks.
        order: How day, month and year follow each other, if somebody has said so.
        pattern: The strptime pattern, if somebody has said so.
    """
    if not values.texts:
        return None
    if values.stored == "timedelta":
        return _lengths(values)
    clock = _clock(values, tuple(marks))
    if clock is not None:
        return clock
    read, rival = read_moments(values, order, pattern)
    if read is None or read.share < NEARLY_ALL:
        return None
    notes = []
    if rival is not None and order is None:
        notes.append(Note(values.name, order_question(str(read.pattern), str(rival)), "warning"))
    lost = round(values.present * (1 - read.share))
    if read.share < 1:
        text = f"{max(1, lost)} cells are no dates and count as missing"
        notes.append(Note(values.name, text, "warning"))
    nullable = bool(values.missing or marks or read.share < 1)
    try:
        return _column(values, read, nullable, tuple(marks), notes)
    except ValidationError:  # a year of two digits beyond its century, or beyond the calendar
        return None


def _column(
    values: Values, read: Read, nullable: bool, marks: tuple[str, ...], notes: list[Note]
) -> Moments:
    present = read.stamps.notna().to_numpy()
    stamps, counts = read.stamps[present], values.counts[present]
    inside, notable = _apart(stamps, counts)
    kept = stamps[inside]
    years = [int(kept.min().year), int(kept.max().year)]
    if values.sampled and read.pattern is None:  # ISO 8601 sorts as a text
        others = (text for text in values.ends if ISO.fullmatch(text))
        years += [int(text[:4]) for text in others if not _SENTINELS.match(text)]
    low, high = f"{min(years):04d}", f"{max(years):04d}"
    granularity = _granularity(kept, counts[inside], read.pattern)
    stored = "datetime" if values.stored == "datetime" else None
    atoms = tuple(_written(stamp, granularity) for stamp in notable)
    if atoms:
        text = (
            f"{', '.join(atoms)} stands far from all other dates and is kept as a value of its own"
        )
        notes.append(Note(values.name, text))
    fields = {
        "name": values.name, "nullable": nullable, "format": read.pattern, "atoms": atoms,
        "missing_marks": marks, "stored_as": stored, "granularity": granularity,
    }  # fmt: skip
    ends = {
        "year": (low, high),
        "month": (f"{low}-01", f"{high}-12"),
        "day": (f"{low}-01-01", f"{high}-12-31"),
        "hour": (f"{low}-01-01T00:00", f"{high}-12-31T23:00"),
        "minute": (f"{low}-01-01T00:00", f"{high}-12-31T23:59"),
        "second": (f"{low}-01-01T00:00:00", f"{high}-12-31T23:59:59"),
    }[granularity]
    fields |= {"minimum": ends[0], "maximum": ends[1]}
    column: DateColumn | DatetimeColumn
    if granularity in ("day", "month"):
        if stored and values.zone:
            fields["stored_as"] = None  # a zone shifts midnights: texts say what is meant
        column = DateColumn.model_validate(fields, strict=False)
    else:
        zone = values.zone if stored else None
        column = DatetimeColumn.model_validate(fields | {"zone": zone}, strict=False)
    return Moments(column, tuple(notes))


def _written(stamp: pd.Timestamp, granularity: str) -> str:
    text = stamp.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    return text[
        : {"year": 4, "month": 7, "day": 10, "hour": 16, "minute": 16, "second": 19}[granularity]
    ]


def _apart(stamps: pd.Series, counts: Float64Array) -> tuple[BoolArray, list[pd.Timestamp]]:
    """Which moments are ordinary, and the dates by which registers say "no end" or "not known"."""
    written = stamps.dt.strftime("%Y-%m-%d").str.zfill(10)
    marked = written.str.fullmatch(_SENTINELS.pattern).to_numpy(dtype=bool)
    ordinary = np.sort(stamps[~marked].dt.year.to_numpy())
    if not marked.any() or not len(ordinary):
        return np.ones(len(stamps), dtype=bool), []
    years = stamps.dt.year.to_numpy()
    reach = max(5, 0.25 * float(ordinary[-1] - ordinary[0]))
    far = marked & ((years < ordinary[0] - reach) | (years > ordinary[-1] + reach))
    return ~far, sorted(set(stamps[far].dt.floor("D")))[:8]


def _granularity(stamps: pd.Series, counts: Float64Array, pattern: str | None) -> str:
    """The finest part that one cell in twenty or more shows."""
    if pattern in MONTHS:
        return "month"
    total = counts.sum() / 20
    fine = stamps.dt.second.to_numpy() > 0
    if counts[fine].sum() > total:
        return "second"
    daily = (stamps.dt.hour.to_numpy() > 0) | (stamps.dt.minute.to_numpy() > 0)
    if counts[daily].sum() <= total:
        return "day" if pattern is None or "%d" in padded(pattern) or pattern in EPOCHS else "month"
    seconds = pattern is not None and "%S" in pattern and "%f" not in pattern
    if seconds and fine.any():
        return "second"
    within_hours = stamps.dt.minute.to_numpy() > 0
    return "minute" if counts[within_hours].sum() > total else "hour"


def _clock(values: Values, marks: tuple[str, ...]) -> Moments | None:
    """Times of day without a date."""
    right = np.array([_CLOCK.fullmatch(text) is not None for text in values.texts], dtype=bool)
    share = values.share(right)
    if share < NEARLY_ALL:
        return None
    unit = "second" if any(text.count(":") == 2 for text in values.texts) else "minute"
    hours = max(
        int(text.split(":")[0]) for text, fits in zip(values.texts, right, strict=True) if fits
    )
    day = (24 if hours < 24 else hours + 1) * (3600 if unit == "second" else 60)
    fields = {
        "name": values.name, "unit": unit, "format": "clock", "maximum": day - 1,
        "nullable": bool(values.missing or marks or share < 1), "missing_marks": marks,
    }  # fmt: skip
    column = DurationColumn.model_validate(fields, strict=False)
    notes = (
        [] if share == 1 else [Note(values.name, "some cells are no times and count as missing")]
    )
    return Moments(column, tuple(notes))


def _lengths(values: Values) -> Moments:
    """Lengths of time by their type, in the largest unit that nearly all of them are whole in."""
    seconds = np.array([pd.Timedelta(text).total_seconds() for text in values.texts])
    unit, size = next(
        (unit, size)
        for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
        if unit == "second" or values.share(seconds % size == 0) >= NEARLY_ALL
    )
    low, high = (int(np.floor(seconds.min() / size)), int(np.ceil(seconds.max() / size)))
    column = DurationColumn.model_validate(
        {
            "name": values.name, "unit": unit, "minimum": min(0, low), "maximum": max(1, high),
            "nullable": values.missing > 0, "stored_as": "timedelta",
        },
        strict=False,
    )  # fmt: skip
    return Moments(column)


def draft_moment(
    name: str, texts: Sequence[str], nullable: bool, pattern: str | None = None
) -> DateColumn | DatetimeColumn | None:
    """A column for these distinct texts; None where they are no dates or times.

    >>> draft_moment("seen", ["2019-03-01", "2020-12-24"], False).maximum
    '2020-12-31'
    """
    values = Values(
        name=name,
        texts=list(texts),
        counts=np.ones(len(texts)),
        missing=int(nullable),
        present=len(texts),
        distinct=len(texts),
        extremes=(float("nan"), float("nan")),
        ends=("", ""),
    )
    drafted = draft_moments(values, (), pattern=pattern)
    if drafted is None or isinstance(drafted.column, DurationColumn):
        return None
    return (
        drafted.column
        if iso_tick(drafted.column.minimum, drafted.column.granularity) is not None
        else None
    )
