"""Finds columns that look as if they name a person, before a vault serves them.

Three things are looked at in each column that would be modelled: its heading, its categories in the
public schema (which every site and the coordinator read), and its texts in the site's own table. An id
column is not looked at, because it is never modelled and never leaves the site.

These checks prevent accidents and prove nothing. A person must remove a column that they find, declare
it an id, or waive it by name. A column in which they find nothing may still identify somebody. No
finding holds a value.

A table may come in chunks, and every text of it is looked at. The number of distinct texts is exact up
to 65,536 and estimated to half a percent beyond (`distinct_texts`), so memory does not grow with the
table.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fedsynth_common.identifiers.check_digits import REGISTERS
from fedsynth_common.identifiers.distinct_texts import DistinctTexts
from fedsynth_common.identifiers.given_names import holds_given_name
from fedsynth_common.identifiers.headings import names_a_person
from fedsynth_common.identifiers.patterns import HAS_DIGITS, PATTERNS
from fedsynth_common.schema.columns import BooleanColumn, CategoricalColumn, ModelledColumn
from fedsynth_common.tables import factorise

FEW = 20  # with so few distinct texts, it means nothing that all of them are distinct
NEARLY_ALL = 0.9
LONG_TEXT = 30  # characters, of the median distinct text
REGISTER_DIGITS = 9
MIN_NAMES, NAMES_SHARE = 5, 0.2  # a few names may be ordinary words, such as "Rose"
_NAMES = "names"
Place = Literal["heading", "schema", "table"]


@dataclass(frozen=True)
class Finding:
    """Why a column looks like a direct identifier. Holds no value.

    Attributes:
        kind: What it looks like.
        place: Where: the column's heading, the public schema's categories, or the site's table.
        count: In how many distinct texts; 0 where that means nothing.
    """

    kind: str
    place: Place
    count: int = 0

    def __str__(self) -> str:
        """One phrase for a person."""
        often = f" ({self.count} distinct)" if self.count else ""
        where = {"heading": "its name", "schema": "categories of the schema", "table": "the table"}
        return f"{self.kind} in {where[self.place]}{often}"


def findings(column: ModelledColumn, series: pd.Series) -> tuple[Finding, ...]:
    """Everything about a column that looks like a direct identifier."""
    watch = Watch(column)
    watch.add(series)
    return watch.findings()


class Watch:
    """Looks at a column chunk by chunk."""

    def __init__(self, column: ModelledColumn) -> None:
        self._column = column
        self._texts = DistinctTexts()
        self._looks: Counter[str] = Counter()
        self._examined = self._present = 0

    def add(self, series: pd.Series) -> None:
        """Look at the next cells."""
        if isinstance(self._column, CategoricalColumn | BooleanColumn):
            cells, texts = factorise(series)
            self._present += int((cells >= 0).sum())
            new = self._texts.add(texts)
            self._looks.update(_matches(new))
            self._examined += len(new)
            return
        self._present += int(series.notna().sum())
        if _may_be_register(series):
            _, texts = factorise(series)
            long = [text for text in texts if text.isdigit() and len(text) >= REGISTER_DIGITS]
            new = self._texts.add(long)
            self._examined += len(new)
            self._looks.update(_register_matches(new))

    def findings(self) -> tuple[Finding, ...]:
        """What was found so far."""
        personal = heading_names_a_person(self._column)
        findings = [Finding("a personal detail", "heading")] if personal else []
        if not isinstance(self._column, CategoricalColumn | BooleanColumn):
            return (*findings, *self._registers())
        labels = _labels(self._column)
        declared = _beyond_chance(_matches(labels), len(labels))
        findings += [Finding(kind, "schema", n) for kind, n in declared.items()]
        seen = _beyond_chance(self._looks, self._examined)
        findings += [Finding(kind, "table", min(n, self._texts.count)) for kind, n in seen.items()]
        return (*findings, *_wordy(self._texts.count, self._texts.median_length, self._present))

    def _registers(self) -> list[Finding]:
        return _long_numbers(self._looks, self._examined, self._texts.count, self._present)


def heading_names_a_person(column: ModelledColumn) -> bool:
    """Whether the heading announces a name or a person's number, and the schema has place for one.

    A column of two or three listed values has none: `phone_service` holds yes or no.
    """
    few = isinstance(column, BooleanColumn) or (
        isinstance(column, CategoricalColumn) and not column.other and len(column.categories) <= 3
    )
    return not few and names_a_person(column.name)


def texts_look_like(texts: Sequence[str], count: int, present: int) -> list[Finding]:
    """The findings of distinct texts (or a sample of them), of which there are `count`."""
    seen = _beyond_chance(_matches(texts), len(texts))
    found = [Finding(kind, "table", n) for kind, n in seen.items()]
    lengths = [len(text) for text in texts]
    return found + _wordy(count, float(np.median(lengths)) if lengths else 0.0, present)


def numbers_look_like(texts: Sequence[str], count: int, present: int) -> list[Finding]:
    """The findings of a column of numbers, of which only those of nine digits or more are looked at."""
    long = [text for text in texts if text.isdigit() and len(text) >= REGISTER_DIGITS]
    if 2 * len(long) < len(texts):
        return []
    return _long_numbers(_register_matches(long), len(long), count, present)


def _wordy(count: int, median_length: float, present: int) -> list[Finding]:
    """Free text, or a text of its own for nearly every record."""
    if count <= FEW:
        return []
    if median_length >= LONG_TEXT and count > present / 10:
        return [Finding("free text", "table", count)]
    if count > NEARLY_ALL * present:
        return [Finding("a text of its own for nearly every record", "table", count)]
    return []


def _long_numbers(looks: Counter[str], examined: int, count: int, present: int) -> list[Finding]:
    """Whole numbers of nine digits or more, nearly all distinct or with valid check digits."""
    if count <= FEW:
        return []
    kinds = [kind for kind, n in looks.items() if n > NEARLY_ALL * examined]
    if kinds:
        return [Finding(kind, "table", count) for kind in kinds]
    if count > NEARLY_ALL**2 * present:
        return [Finding("long numbers, nearly all distinct,", "table", count)]
    return []


def _labels(column: CategoricalColumn | BooleanColumn) -> Sequence[str]:
    if isinstance(column, CategoricalColumn):
        return column.categories
    return (column.true, column.false)


def _matches(texts: Sequence[str]) -> Counter[str]:
    """How many texts match each pattern, by its place in `PATTERNS`, or hold a given name."""
    counts: Counter[str] = Counter()
    for text in texts:
        if holds_given_name(text):
            counts[_NAMES] += 1
        if HAS_DIGITS.search(text):
            counts.update(str(n) for n, pattern in enumerate(PATTERNS) if pattern.matches(text))
    return counts


def _beyond_chance(counts: Counter[str], texts: int) -> dict[str, int]:
    """How many texts look like each kind, for the kinds that chance alone does not explain."""
    kinds: dict[str, int] = {}
    if counts[_NAMES] >= MIN_NAMES and counts[_NAMES] > NAMES_SHARE * texts:
        kinds["personal names"] = counts[_NAMES]
    for number, pattern in enumerate(PATTERNS):
        count = counts[str(number)]
        if count > pattern.share * texts:
            kinds[pattern.kind] = max(count, kinds.get(pattern.kind, 0))
    return kinds


def _register_matches(texts: Sequence[str]) -> Counter[str]:
    return Counter(
        kind
        for text in texts
        for kind, lengths, valid in REGISTERS
        if len(text) in lengths and valid(text)
    )


def _may_be_register(series: pd.Series) -> bool:
    """Whether at least half of the cells could be whole numbers of nine digits; computed fast."""
    if pd.api.types.is_bool_dtype(series.dtype):
        return False
    if pd.api.types.is_numeric_dtype(series.dtype):
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
        long = int((np.abs(numbers) >= 10.0 ** (REGISTER_DIGITS - 1)).sum())
    elif series.dtype == "str":
        lengths = pc.utf8_length(pa.array(series, type=pa.large_string(), from_pandas=True))
        long = pc.sum(pc.greater_equal(lengths, REGISTER_DIGITS)).as_py() or 0
    else:
        return series.dtype == object
    return bool(2 * long >= series.notna().sum())
