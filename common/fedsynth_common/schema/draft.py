"""Drafts a first schema from a table. The draft is NOT private, and a person must review it.

Bounds, categories and the presence of missing cells are facts about the records, and no privacy
budget pays for them. A draft is safe to use as a schema in two cases only: the table is public, or
somebody has replaced what the data said by what is publicly known (code lists, physical limits).
Until then it carries `origin = "drafted from data"`.

Rules, per column (first that fits):

| looks like | becomes |
|---|---|
| nothing but missing cells | categorical with only `other` |
| the target, up to 20 values | categorical, without `other` if it has two |
| ISO 8601 dates or times | date or datetime, bounds rounded outwards to whole years |
| (nearly) a value of its own per row, or named like an id and mostly distinct | id |
| two values such as yes/no | boolean |
| up to two values, or numbers named like a code (`..._id`, `..._code`) | categorical |
| numbers, more than 20 distinct | integer or numeric, bounds rounded outwards |
| up to 20 distinct whole numbers that fill their range | integer with exact bounds |
| anything else | categorical: the most frequent values; the rest is `other` |

Numbers with leading zeros ("007") are codes, not numbers. Common marks such as "?" or "NA" among
numbers count as missing.
"""

import math
import re
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd
from pydantic import ValidationError

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema.columns import (
    MAX_ATOMS,
    MAX_TICKS,
    OTHER,
    BooleanColumn,
    CategoricalColumn,
    IdColumn,
    IntegerColumn,
    ModelledColumn,
    NumericColumn,
    Scale,
)
from fedsynth_common.schema.domain import leaf_ticks
from fedsynth_common.schema.draft_moments import draft_moment
from fedsynth_common.schema.schema import Schema
from fedsynth_common.tables import factorise, numbers_of
from fedsynth_common.validated import first_fault

FEW = 20  # up to so many distinct numbers may be codes rather than amounts
MAX_DECIMALS = 12
MAX_DISTINCT = 10**9  # more ticks than this are digits of a conversion, not of a measurement
MAX_NUMBER = MAX_TICKS // 2  # room for bounds rounded outwards; larger ones are codes
MOST_CODES = (
    256  # a column named like an id with more values names people or events, even if repeated
)
ATOM_SHARE, ATOM_COUNT = 0.01, 20  # of a value that many records share: 0, or a round number
MISSING_MARKS = frozenset({"?", "na", "n/a", "nan", "null", "none", "-", ".", "unknown"})
YES_NO = (("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"))
ID_NAME = re.compile(r"id|.*_id|id_.*|.*_nbr", re.IGNORECASE)
CODE_NAME = re.compile(r".*_id|id_.*|.*_code|code_.*", re.IGNORECASE)
LEADING_ZERO = re.compile(r"[+-]?0\d")


@dataclass(frozen=True, eq=False)
class _Values:
    """The distinct texts of a column, how often each occurs, and the number of missing cells."""

    name: str
    texts: list[str]
    counts: Int64Array
    missing: int

    @property
    def present(self) -> int:
        return int(self.counts.sum())

    @property
    def uniqueness(self) -> float:
        return len(self.texts) / max(1, self.present)


@dataclass(frozen=True, eq=False)
class _Numbers:
    """Distinct numbers, their exact texts and counts; `missing` includes marks such as "?"."""

    values: Float64Array
    texts: list[str]
    counts: Int64Array
    missing: int

    @property
    def whole(self) -> bool:
        return bool((self.values == np.rint(self.values)).all())


def draft_schema(
    frame: pd.DataFrame,
    name: str,
    target: str | None = None,
    max_categories: int = 64,
    *,
    person_key: str | None = None,
    order: str | None = None,
) -> Schema:
    """Propose a schema that encodes `frame` without errors.

    `person_key` becomes an id, and `order` a number or a moment, whatever they look like; what more
    histories need is for `encoding.draft_histories`.

    Raises:
        InputError: no rows, no such target, or column names that a schema cannot hold.
    """
    if frame.empty:
        raise InputError("cannot draft a schema from a table without rows")
    if max_categories < 1:
        raise InputError("max_categories must be at least 1")
    if target is not None and target not in frame.columns:
        raise InputError(f"the target {target!r} is not a column of the table")
    try:
        columns = tuple(
            IdColumn(name=person_key)
            if str(heading) == person_key
            else _draft_column(_values(frame, place), target, max_categories, str(heading) == order)
            for place, heading in enumerate(frame.columns)
        )
        return Schema(name=name, columns=columns, target=target, origin="drafted from data")
    except ValidationError as error:
        raise InputError(f"cannot draft a schema: {first_fault(error, Schema)}") from None


def _values(frame: pd.DataFrame, place: int) -> _Values:
    cells, texts = factorise(frame.iloc[:, place])
    counts = np.bincount(cells[cells >= 0], minlength=len(texts)).astype(np.int64)
    return _Values(str(frame.columns[place]), texts, counts, int((cells < 0).sum()))


def _draft_column(
    values: _Values, target: str | None, max_categories: int, is_order: bool
) -> ModelledColumn | IdColumn:
    numbers = _numbers(values)
    moments = None if numbers else draft_moment(values.name, values.texts, values.missing > 0)
    if is_order and numbers is not None:
        return _amount(values.name, numbers)
    if values.name == target:
        if numbers is None or len(numbers.values) <= FEW:
            # a third class of a two-valued target is a fault to be told, not one to be learned
            return _categorical(values, max_categories, other=len(values.texts) != 2)
    elif moments is not None:
        return moments
    elif _is_id(values, numbers):
        return IdColumn(name=values.name)
    if len(values.texts) <= 2:
        return _boolean(values) or _categorical(values, max_categories)
    if numbers is None or CODE_NAME.fullmatch(values.name):
        return _categorical(values, max_categories)
    if len(numbers.values) > FEW:
        return _amount(values.name, numbers)
    low, high = int(numbers.values.min()), int(numbers.values.max())
    if numbers.whole and high - low < 2 * len(numbers.values):
        nullable = numbers.missing > 0
        return IntegerColumn(name=values.name, minimum=low, maximum=high, nullable=nullable)
    return _categorical(values, max_categories)


def _numbers(values: _Values) -> _Numbers | None:
    """The column as numbers, or None where it is not one."""
    marks = np.array([text.lower() in MISSING_MARKS for text in values.texts], dtype=bool)
    texts = [text for text, mark in zip(values.texts, marks, strict=True) if not mark]
    if not texts or any(LEADING_ZERO.match(text) for text in texts):
        return None
    numbers = numbers_of(texts)
    if np.isnan(numbers).any() or np.abs(numbers).max() >= MAX_NUMBER:
        return None
    missing = values.missing + int(values.counts[marks].sum())
    return _Numbers(numbers, texts, values.counts[~marks], missing)


def _is_id(values: _Values, numbers: _Numbers | None) -> bool:
    if len(values.texts) <= FEW:
        return False
    if ID_NAME.fullmatch(values.name):
        return values.uniqueness > 0.5 or len(values.texts) > MOST_CODES
    if numbers is None:
        return values.uniqueness > 0.9
    # amounts in a small table are nearly distinct too: only a perfect key of whole numbers counts
    return numbers.whole and values.uniqueness == 1.0 and values.missing == 0


def _boolean(values: _Values) -> BooleanColumn | None:
    by_meaning = {text.lower(): text for text in values.texts}
    for yes, no in YES_NO:
        if len(values.texts) == 2 and set(by_meaning) == {yes, no}:
            true, false = by_meaning[yes], by_meaning[no]
            return BooleanColumn(
                name=values.name, true=true, false=false, nullable=values.missing > 0
            )
    return None


def _categorical(values: _Values, max_categories: int, other: bool = True) -> CategoricalColumn:
    order = sorted(range(len(values.texts)), key=lambda i: (-values.counts[i], values.texts[i]))
    kept = sorted(values.texts[i] for i in order[:max_categories])
    return CategoricalColumn(
        name=values.name,
        categories=tuple(kept or [OTHER]),
        other=other or len(kept) < len(values.texts),
        nullable=values.missing > 0,
    )


def _amount(name: str, numbers: _Numbers) -> IntegerColumn | NumericColumn:
    """An integer or numeric column with bounds rounded outwards."""
    decimals = 0 if numbers.whole else _decimals(numbers)
    unit = 10**decimals
    ticks = np.rint(numbers.values * unit).astype(np.int64)
    low, high = _outward(int(ticks.min()), int(ticks.max()))
    scale = _scale(ticks, numbers.counts, low, high)
    atoms = _atoms(ticks, numbers.counts, leaf_ticks(low, high, scale))
    nullable = numbers.missing > 0
    if numbers.whole:
        return IntegerColumn(
            name=name, minimum=low, maximum=high, atoms=atoms, scale=scale, nullable=nullable
        )
    return NumericColumn(
        name=name,
        minimum=low / unit,
        maximum=high / unit,
        decimals=decimals,
        atoms=tuple(atom / unit for atom in atoms),
        scale=scale,
        nullable=nullable,
    )


def _decimals(numbers: _Numbers) -> int:
    written = max(-int(Decimal(text).as_tuple().exponent) for text in numbers.texts)
    size = max(float(np.abs(numbers.values).max()), 1e-12)
    affordable = math.floor(math.log10(MAX_DISTINCT / size))
    return max(0, min(written, MAX_DECIMALS, affordable))


def _outward(low: int, high: int) -> tuple[int, int]:
    """Bounds moved outwards to multiples of a round step, a twentieth to a tenth of the range.

    >>> _outward(17, 90)
    (15, 90)
    """
    rough = max(1.0, (high - low) / 20)
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return low // step * step, -(-high // step) * step


def _scale(ticks: Int64Array, counts: Int64Array, low: int, high: int) -> Scale:
    """Logarithmic where a linear grid would hold the middle half of the records in a few leaves."""
    order = np.argsort(ticks)
    cumulative = np.cumsum(counts[order]) / counts.sum()
    first, last = (ticks[order][np.searchsorted(cumulative, share)] for share in (0.25, 0.75))
    crowded = (last - first) < (high - low) / 16
    return "log" if high - low >= 256 and crowded else "linear"


def _atoms(ticks: Int64Array, counts: Int64Array, edges: Int64Array) -> tuple[int, ...]:
    """The most frequent of the values with a share of their own that no leaf holds alone."""
    leaf = np.searchsorted(edges, ticks, side="right") - 1
    least = max(ATOM_SHARE * counts.sum(), ATOM_COUNT)
    heavy = np.flatnonzero((counts >= least) & (np.diff(edges)[leaf] > 1))
    kept = heavy[np.argsort(-counts[heavy], kind="stable")[:MAX_ATOMS]]
    return tuple(int(tick) for tick in np.sort(ticks[kept]))
