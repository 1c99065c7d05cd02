"""Counts what stands in a column, chunk by chunk, in bounded memory.

Up to `KEPT` distinct texts are counted exactly. Of a column with more, those with the smallest hashes
are kept, which is a uniform sample of the distinct texts (K minimum values: Bar-Yossef et al., RANDOM
2002), and besides these all that are frequent in a chunk. So a frequent value is never lost, the
number of distinct texts is known to a percent or two, and the lowest and the highest number, and the
first and the last text, are exact.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fedsynth_common.array_types import BoolArray, Float64Array, UInt64Array
from fedsynth_common.tables import as_number, stored, text_of

KEPT = 1 << 13
HEAVY = 0.004  # of a chunk's cells
Stored = Literal[
    "text", "boolean", "integer", "number", "category", "datetime", "timedelta", "mixed"
]


@dataclass(frozen=True, eq=False)
class Values:
    """What stands in a column.

    Attributes:
        name: Its heading.
        texts: Distinct canonical texts; a sample of them if there are more than `KEPT`.
        counts: How many cells each stands for; of a sample, an estimate of all cells together.
        missing: Cells that hold nothing.
        present: Cells that hold something.
        distinct: How many distinct texts there are, as far as is known.
        extremes: Lowest and highest of the plain numbers among all cells; NaN where there are none.
        ends: First and last text in the order of characters; two empty texts where there are none.
        stored: The type in which the table holds the column.
        zone: The zone of a column of moments that has one.
    """

    name: str
    texts: list[str]
    counts: Float64Array
    missing: int
    present: int
    distinct: int
    extremes: tuple[float, float]
    ends: tuple[str, str]
    stored: Stored = "text"
    zone: str | None = None

    @property
    def rows(self) -> int:
        """All cells."""
        return self.missing + self.present

    @property
    def uniqueness(self) -> float:
        """Distinct texts per cell that holds something."""
        return self.distinct / max(1, self.present)

    @property
    def sampled(self) -> bool:
        """Whether `texts` are not all there are."""
        return self.distinct > len(self.texts)

    def share(self, which: BoolArray) -> float:
        """The share of present cells that hold one of the marked texts."""
        return float(self.counts[which].sum() / max(1.0, self.counts.sum()))

    def without(self, which: BoolArray) -> "Values":
        """The same column with the cells of the marked texts missing."""
        if not which.any():
            return self
        gone = round(float(self.counts[which].sum()))
        texts = [text for text, left_out in zip(self.texts, which, strict=True) if not left_out]
        return Values(
            name=self.name,
            texts=texts,
            counts=self.counts[~which],
            missing=self.missing + gone,
            present=max(0, self.present - gone),
            distinct=self.distinct - int(which.sum()),
            extremes=self.extremes,
            ends=self.ends,
            stored=self.stored,
            zone=self.zone,
        )


@dataclass(eq=False)
class Tally:
    """Counts the cells of one column."""

    name: str
    missing: int = 0
    present: int = 0
    _threshold: int = (1 << 64) - 1
    _counts: dict[str, int] = field(default_factory=dict)
    _hashes: dict[str, int] = field(default_factory=dict)
    _low: float = float("nan")
    _high: float = float("nan")
    _first: str = ""
    _last: str = ""
    _stored: Stored = "text"
    _zone: str | None = None

    def add(self, series: pd.Series) -> None:
        """Count the next cells."""
        if not self.present and not self.missing:
            self._stored, self._zone = stored_type(series)
        series = stored(series)
        if series.dtype == object:
            series = pd.Series([text_of(cell) for cell in series], dtype="str")
        codes, distinct = pd.factorize(series)
        counts = np.bincount(codes[codes >= 0], minlength=len(distinct))
        self.present += int(counts.sum())
        self.missing += len(series) - int(counts.sum())
        if not len(distinct):
            return
        self._widen(pd.Series(distinct))
        hashes = _hashes(distinct)
        heavy = counts >= max(2.0, HEAVY * len(series))
        for place in np.flatnonzero((hashes <= self._threshold) | heavy).tolist():
            self._count(distinct[place], int(counts[place]), int(hashes[place]))
        if len(self._counts) > 2 * KEPT:
            self._thin()

    def _count(self, cell: object, count: int, hashed: int) -> None:
        text = text_of(cell)
        if text is None:  # nothing but blanks
            self.present -= count
            self.missing += count
            return
        self._counts[text] = self._counts.get(text, 0) + count
        self._hashes[text] = hashed

    def _widen(self, distinct: pd.Series) -> None:
        """Take the extremes of the chunk into account."""
        if distinct.dtype == "str":
            ends = pc.min_max(pa.array(distinct, from_pandas=True)).as_py()
            first, last = str(ends["min"]).strip(), str(ends["max"]).strip()
        elif distinct.dtype.kind in "mM":
            first, last = str(text_of(distinct.min())), str(text_of(distinct.max()))
        else:
            first = last = ""
        if first and (not self._first or first < self._first):
            self._first = first
        if last > self._last:
            self._last = last
        if distinct.dtype.kind in "mM":
            return
        numbers = as_number(distinct)
        if not np.isnan(numbers).all():
            self._low = float(np.fmin(self._low, np.nanmin(numbers)))
            self._high = float(np.fmax(self._high, np.nanmax(numbers)))

    def _thin(self) -> None:
        """Keep the texts with the smallest hashes, and the frequent ones."""
        hashes = np.array(list(self._hashes.values()), dtype=np.uint64)
        self._threshold = int(np.partition(hashes, KEPT)[KEPT])
        least = HEAVY * self.present
        kept = {
            text: count
            for text, count in self._counts.items()
            if self._hashes[text] <= self._threshold or count >= least
        }
        self._counts = kept
        self._hashes = {text: self._hashes[text] for text in kept}

    def values(self) -> Values:
        """What was counted."""
        texts = list(self._counts)
        counts = np.array(list(self._counts.values()), dtype=np.float64)
        hashes = np.array(list(self._hashes.values()), dtype=np.uint64)
        distinct = len(texts)
        share = (self._threshold + 1) / 2.0**64
        if share < 1.0:
            light = counts < HEAVY * self.present
            kept = ~light | (hashes <= np.uint64(self._threshold))
            distinct = int((hashes <= np.uint64(self._threshold)).sum() / share)
            texts = [text for text, here in zip(texts, kept, strict=True) if here]
            counts, light = counts[kept], light[kept]
            rest = max(0.0, self.present - counts[~light].sum())
            counts[light] *= rest / max(1.0, counts[light].sum())
        return Values(
            name=self.name,
            texts=texts,
            counts=counts,
            missing=self.missing,
            present=self.present,
            distinct=max(distinct, len(texts)),
            extremes=(self._low, self._high),
            ends=(self._first, self._last),
            stored=self._stored,
            zone=self._zone,
        )


def stored_type(series: pd.Series) -> tuple[Stored, str | None]:
    """How a frame holds a column, and the zone of its moments."""
    kind = series.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return "category", None
    if isinstance(kind, pd.DatetimeTZDtype):
        return "datetime", str(kind.tz)
    if pd.api.types.is_bool_dtype(kind):
        return "boolean", None
    if pd.api.types.is_integer_dtype(kind):
        return "integer", None
    if pd.api.types.is_float_dtype(kind):
        return "number", None
    families: dict[str, Stored] = {"M": "datetime", "m": "timedelta"}
    if kind.kind in families:
        return families[kind.kind], None
    return ("mixed" if kind.kind == "O" and kind != "str" else "text"), None


def _hashes(distinct: object) -> UInt64Array:
    values = pd.Series(distinct)
    if values.dtype == "str":
        values = values.astype(object)
    return np.asarray(pd.util.hash_array(values.to_numpy(), categorize=False), dtype=np.uint64)
