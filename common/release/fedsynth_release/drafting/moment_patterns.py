"""The patterns in which people write dates and times, and which of them reads the cells of a column.

ISO 8601 is tried first, then counts of seconds or milliseconds since 1970 under a heading that says
so, and then the patterns of `_DAYS` and `MONTHS` with each time of day. Where another order of day
and month reads as many cells, that pattern is returned as well, so that a note can ask.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from fedsynth_common.identifiers.headings import word_set, words_of
from fedsynth_common.schema.temporal import (
    EPOCHS,
    padded,
)
from fedsynth_release.drafting.tally import Values

Order = Literal["dmy", "mdy", "ymd"]
ORDERS: tuple[Order, ...] = ("dmy", "mdy", "ymd")
NEARLY_ALL = 0.95  # of the cells must be dates
MOST_TRIED = 400  # distinct texts that a pattern is tried on first
_DATE = r"\d{4}-\d\d-\d\d"
_TIME = rf"{_DATE}[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?"
ISO = re.compile(rf"{_DATE}|{_TIME}")
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
MONTHS = ("%Y-%m", "%m/%Y", "%Y/%m", "%b-%Y", "%b %Y", "%B %Y", "%b-%y")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_TIMELY = word_set(
    """time times timestamp unix epoch date dates datetime dt ts created updated at on"""
)
_ISO_FORMS = {
    "9999-99-99 99:99:99": "%Y-%m-%d %H:%M:%S",
    "9999-99-99 99:99": "%Y-%m-%d %H:%M",
    "9999-99-99T99:99:99": "%Y-%m-%dT%H:%M:%S",
    "9999-99-99T99:99:99Z": "%Y-%m-%dT%H:%M:%SZ",
}
_UNITS = {"epoch_s": (946_684_800, 4_102_444_800), "epoch_ms": (946_684_800_000, 4_102_444_800_000)}


@dataclass(frozen=True, eq=False)
class Read:
    """Texts read by one pattern: the moment of each (NaT where none), and their share of the cells."""

    pattern: str | None
    stamps: pd.Series
    share: float


def read_moments(
    values: Values, order: Order | None, pattern: str | None
) -> tuple[Read | None, str | None]:
    """The cells by the pattern that reads most of them, and another one that reads as many."""
    texts = pd.Series(values.texts, dtype="str")
    if pattern is not None:
        return _by(values, texts, pattern), None
    iso = texts.str.fullmatch(ISO.pattern)
    if values.share(iso.to_numpy(dtype=bool)) >= NEARLY_ALL:
        read = _by(values, texts.where(iso), None)
        return (replace(read, pattern=_iso_pattern(values, iso)) if read else None), None
    if (epoch := _epoch(values)) is not None:
        return epoch, None
    best: Read | None = None
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
    for day in (*_DAYS, *(MONTHS if whole_days else ())):
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


def order_question(pattern: str, rival: str) -> str:
    """The text of a note that asks whether day and month are exchanged.

    Args:
        pattern: The strptime pattern by which the dates are read.
        rival: The pattern of the other order, which reads as many cells.
    """
    read = {"dmy": "day before month", "mdy": "month before day"}
    order, turned = _order_of(pattern), _order_of(rival)
    return (
        f"its dates are read with the {read.get(str(order), str(order))}, and nothing in the table "
        f"excludes the other order; if it is wrong, draft again with --date-order {turned}"
    )


def _by(values: Values, texts: pd.Series, pattern: str | None) -> Read | None:
    form = "ISO8601" if pattern is None else padded(pattern)
    try:
        stamps = pd.to_datetime(texts, format=form, errors="coerce", utc=True)
    except ValueError:
        return None
    return Read(pattern, stamps, values.share(stamps.notna().to_numpy()))


def _epoch(values: Values) -> Read | None:
    """Whole numbers that count seconds or milliseconds since 1970, under a heading that says so."""
    timely = words_of(values.name) & _TIMELY or re.search(r"(date|time)$", values.name.lower())
    low, high = values.extremes
    for form, (first, last) in _UNITS.items():
        if timely and first <= low <= high < last and all(t.isdigit() for t in values.texts):
            seconds = pd.Series(values.texts).astype("int64") / EPOCHS[form]
            return Read(form, pd.to_datetime(seconds, unit="s", utc=True), 1.0)
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
