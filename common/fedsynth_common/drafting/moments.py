"""Recognises dates and times when a schema is drafted, in the forms in which people write them.

Bounds are rounded outwards to whole years: a first admission is a fact about a person, the year that
a register began is not. The granularity is the finest that one cell in twenty or more shows. Dates far
from all others, such as 9999-12-31 for "no end" and 1900-01-01 for "not known", become atoms and do
not widen the bounds. Where day and month could be exchanged, a note asks.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import ValidationError

from fedsynth_common.array_types import BoolArray, Float64Array
from fedsynth_common.drafting.notes import Note
from fedsynth_common.drafting.tally import Values
from fedsynth_common.identifiers.headings import word_set, words_of
from fedsynth_common.schema.temporal import (
    EPOCHS,
    DateColumn,
    DatetimeColumn,
    DurationColumn,
    iso_tick,
    padded,
)

Order = Literal["dmy", "mdy", "ymd"]
ORDERS: tuple[Order, ...] = ("dmy", "mdy", "ymd")
NEARLY_ALL = 0.95  # of the cells must be dates
MOST_TRIED = 400  # distinct texts that a pattern is tried on first
_DATE = r"\d{4}-\d\d-\d\d"
_TIME = rf"{_DATE}[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?"
_ISO = re.compile(rf"{_DATE}|{_TIME}")
_PARTS = {
    "%Y": r"\d{4}",
    "%y": r"\d{2}",
    "%m": r"\d{1,2}",
    "%d": r"\d{1,2}",
    "%b": r"[^\W\d_]{3,4}",
    "%B": r"[^\W\d_]{3,9}",
    "%H": r"\d{1,2}",
    "%I": r"\d{1,2}",
    "%M": r"\d{2}",
    "%S": r"\d{2}",
    "%f": r"\d{1,6}",
    "%p": r"[AaPp][Mm]",
}
_DAYS = (
    *(f"{a}{mark}{b}{mark}{c}" for mark in "/.-" for a, b, c in (
        ("%d", "%m", "%Y"), ("%m", "%d", "%Y"), ("%Y", "%m", "%d"),
        ("%d", "%m", "%y"), ("%m", "%d", "%y"))),
    "%Y%m%d", "%d%b%Y", "%d%b%y",
    *(f"%d{mark}%{month}{mark}%{year}" for mark in "- /" for month in "bB" for year in "Yy"),
    "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%d %B, %Y", "%d. %B %Y", "%Y-%b-%d",
)  # fmt: skip
_MONTHS = ("%Y-%m", "%m/%Y", "%Y/%m", "%b-%Y", "%b %Y", "%B %Y", "%b-%y")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_TIMELY = word_set(
    """time times timestamp unix epoch date dates datetime dt ts created updated at on"""
)
_SENTINELS = re.compile(r"(9999|2999|2099|0001|1753|1800|1900|1970)-\d\d-\d\d")
_CLOCK = re.compile(r"\d{1,2}:[0-5]\d(:[0-5]\d)?")
_ISO_FORMS = {
    "9999-99-99 99:99:99": "%Y-%m-%d %H:%M:%S",
    "9999-99-99 99:99": "%Y-%m-%d %H:%M",
    "9999-99-99T99:99:99": "%Y-%m-%dT%H:%M:%S",
    "9999-99-99T99:99:99Z": "%Y-%m-%dT%H:%M:%SZ",
}
_UNITS = {"epoch_s": (946_684_800, 4_102_444_800), "epoch_ms": (946_684_800_000, 4_102_444_800_000)}


@dataclass(frozen=True)
class Moments:
    """A drafted column of dates, times or lengths of time, and what to tell about it."""

    column: DateColumn | DatetimeColumn | DurationColumn
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, eq=False)
class _Read:
    """Texts read by one pattern: the moment of each (NaT where none), and their share of the cells."""

    pattern: str | None
    stamps: pd.Series
    share: float


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
    read, rival = _read(values, order, pattern)
    if read is None or read.share < NEARLY_ALL:
        return None
    notes = []
    if rival is not None and order is None:
        notes.append(Note(values.name, _question(str(read.pattern), str(rival)), "warning"))
    lost = round(values.present * (1 - read.share))
    if read.share < 1:
        text = f"{max(1, lost)} cells are no dates and count as missing"
        notes.append(Note(values.name, text, "warning"))
    nullable = bool(values.missing or marks or read.share < 1)
    try:
        return _column(values, read, nullable, tuple(marks), notes)
    except ValidationError:  # a year of two digits beyond its century, or beyond the calendar
        return None


def _read(
    values: Values, order: Order | None, pattern: str | None
) -> tuple[_Read | None, str | None]:
    """The cells by the pattern that reads most of them, and another one that reads as many."""
    texts = pd.Series(values.texts, dtype="str")
    if pattern is not None:
        return _by(values, texts, pattern), None
    iso = texts.str.fullmatch(_ISO.pattern)
    if values.share(iso.to_numpy(dtype=bool)) >= NEARLY_ALL:
        read = _by(values, texts.where(iso), None)
        return (replace(read, pattern=_iso_pattern(values, iso)) if read else None), None
    if (epoch := _epoch(values)) is not None:
        return epoch, None
    best: _Read | None = None
    rival = None
    for candidate in _candidates(values.texts, order):
        read = _by(values, texts, candidate)
        if read is None or read.share < NEARLY_ALL:
            continue
        if best is None or read.share > best.share + 1e-9:
            best, rival = read, None
        elif abs(read.share - best.share) <= 1e-9 and _exchanged(candidate, str(best.pattern)):
            rival = candidate
    if best is not None:
        best = replace(best, pattern=_unpadded(str(best.pattern), values.texts))
    return best, rival


def _iso_pattern(values: Values, iso: pd.Series) -> str | None:
    """The one pattern of all ISO texts, so that it stays; None where the plain form says the same."""
    if values.stored != "text":
        return None
    forms = {re.sub(r"\d", "9", text) for text in np.array(values.texts)[iso.to_numpy(dtype=bool)]}
    return _ISO_FORMS.get(forms.pop()) if len(forms) == 1 else None


def _candidates(texts: Sequence[str], order: Order | None) -> Iterator[str]:
    """The patterns whose form nearly all of the first texts have."""
    tried = texts[:MOST_TRIED]
    whole_days = not any(":" in text for text in tried)
    for day in (*_DAYS, *(_MONTHS if whole_days else ())):
        if order is not None and _order_of(day) not in (order, None):
            continue
        for time in _TIMES[:1] if whole_days else _TIMES[1:]:
            form = re.compile(_form_of(day + time))
            if sum(form.fullmatch(text) is not None for text in tried) >= 0.9 * len(tried):
                yield day + time


def _form_of(pattern: str) -> str:
    parts = re.split(r"(%[A-Za-z])", pattern)
    compact = pattern.startswith("%Y%m%d")  # without marks between them all parts have all digits
    return "".join(
        (r"\d{2}" if compact and part in ("%m", "%d") else _PARTS[part])
        if part in _PARTS
        else re.escape(part)
        for part in parts
    )


def _order_of(pattern: str) -> Order | None:
    letters = "".join(re.findall(r"%-?([dmyY])", pattern)).lower()
    return next((order for order in ORDERS if order == letters), None)


def _exchanged(one: str, other: str) -> bool:
    return {_order_of(one), _order_of(other)} == {"dmy", "mdy"}


def _question(pattern: str, rival: str) -> str:
    read = {"dmy": "day before month", "mdy": "month before day"}
    order, turned = _order_of(pattern), _order_of(rival)
    return (
        f"its dates are read with the {read.get(str(order), str(order))}, and nothing in the table "
        f"excludes the other order; if it is wrong, draft again with --date-order {turned}"
    )


def _by(values: Values, texts: pd.Series, pattern: str | None) -> _Read | None:
    form = "ISO8601" if pattern is None else padded(pattern)
    try:
        stamps = pd.to_datetime(texts, format=form, errors="coerce", utc=True)
    except ValueError:
        return None
    return _Read(pattern, stamps, values.share(stamps.notna().to_numpy()))


def _epoch(values: Values) -> _Read | None:
    """Whole numbers that count seconds or milliseconds since 1970, under a heading that says so."""
    timely = words_of(values.name) & _TIMELY or re.search(r"(date|time)$", values.name.lower())
    low, high = values.extremes
    for form, (first, last) in _UNITS.items():
        if timely and first <= low <= high < last and all(t.isdigit() for t in values.texts):
            seconds = pd.Series(values.texts).astype("int64") / EPOCHS[form]
            return _Read(form, pd.to_datetime(seconds, unit="s", utc=True), 1.0)
    return None


def _unpadded(pattern: str, texts: Sequence[str]) -> str:
    """The pattern as the table writes it: `%-d` and `%-m` where single digits stand alone."""
    if pattern.startswith("%Y%m%d"):
        return pattern
    form = re.compile(_form_of(pattern).replace(r"\d{1,2}", r"(\d{1,2})"))
    parts = re.findall("%[dmHI]", pattern)
    found = [match.groups() for text in texts if (match := form.fullmatch(text))]
    for place, part in enumerate(parts):
        if part in ("%d", "%m") and any(len(groups[place]) == 1 for groups in found):
            pattern = pattern.replace(part, f"%-{part[1]}")
    return pattern


def _column(
    values: Values, read: _Read, nullable: bool, marks: tuple[str, ...], notes: list[Note]
) -> Moments:
    present = read.stamps.notna().to_numpy()
    stamps, counts = read.stamps[present], values.counts[present]
    inside, notable = _apart(stamps, counts)
    kept = stamps[inside]
    years = [int(kept.min().year), int(kept.max().year)]
    if values.sampled and read.pattern is None:  # ISO 8601 sorts as a text
        others = (text for text in values.ends if _ISO.fullmatch(text))
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
    if pattern in _MONTHS:
        return "month"
    total = counts.sum() / 20
    fine = stamps.dt.second.to_numpy() > 0
    if counts[fine].sum() > total:
        return "second"
    daily = (stamps.dt.hour.to_numpy() > 0) | (stamps.dt.minute.to_numpy() > 0)
    if counts[daily].sum() <= total:
        return "day" if pattern is None or "%d" in padded(pattern) or pattern in EPOCHS else "month"
    seconds = pattern is not None and "%S" in pattern and "%f" not in pattern
    return "second" if seconds and fine.any() else "minute"


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
