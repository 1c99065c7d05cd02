"""Reads cells as a column declares them: marks of missing cells, and formats of numbers.

Each function reads a cell by the public declaration and that cell alone, so one record cannot change
the codes of another. A cell that holds a number by its type is that number; a format is about texts.
"""

import re
from collections.abc import Collection

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Float64Array
from fedsynth_common.schema.column_base import PROGRAM_MARKS
from fedsynth_common.schema.columns import (
    BooleanColumn,
    CategoricalColumn,
    IntegerColumn,
    ModelledColumn,
    NumericColumn,
)
from fedsynth_common.schema.number_format import NumberFormat
from fedsynth_common.schema.ticks import decimals_of
from fedsynth_common.tables import as_number, factorise, numbers_of, whole_number

_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2212": "-", "’": "'"})


def without_marks(series: pd.Series, column: ModelledColumn) -> pd.Series:
    """The cells with the column's marks of missing cells replaced by missing cells.

    A declared mark is one in every case. What programs write for a missing cell is one in a column that
    may be missing, unless the column declares that text as a value.

    >>> column = IntegerColumn(name="n", minimum=0, maximum=9, nullable=True, missing_marks=("none",))
    >>> without_marks(pd.Series(["1", "none", "NA"]), column).tolist()
    ['1', nan, nan]
    """
    if not column.nullable:
        return series
    marks, values = set(column.missing_marks), _declared_texts(column)
    cells, texts = factorise(series)
    absent = np.array(
        [
            text in marks
            or whole_number(text) in marks
            or (text.lower() in PROGRAM_MARKS and text not in values)
            for text in texts
        ]
        + [False]
    )
    return series.mask(absent[cells]) if absent.any() else series


def _declared_texts(column: ModelledColumn) -> Collection[str]:
    """The texts that a column declares as values of its own."""
    if isinstance(column, CategoricalColumn):
        return frozenset(column.categories)
    if isinstance(column, BooleanColumn):
        return (column.true, column.false)
    form = column.format if isinstance(column, NumericColumn | IntegerColumn) else None
    return form.limits if form else ()


def written_ticks(series: pd.Series, column: NumericColumn | IntegerColumn) -> Float64Array:
    """Every cell of a column of numbers in (fractional) ticks; NaN where it is none."""
    decimals = decimals_of(column)
    form = column.format
    if form is None:
        return as_number(series) * 10.0**decimals
    limits = form.limit_ticks(decimals)
    typed = np.array([not isinstance(cell, str) for cell in series.to_numpy(dtype=object)])
    ticks = np.where(typed, as_number(series) * 10.0**decimals, np.nan)
    cells, texts = factorise(series)
    read = numbers_of([plain_number(text, form) or "" for text in texts]) * 10.0**decimals
    for place, text in enumerate(texts):
        if (tick := limits.get(text)) is not None:
            read[place] = tick
    return np.where(np.isnan(ticks), np.append(read, np.nan)[cells], ticks)


def plain_number(text: str, form: NumberFormat) -> str | None:
    """A number written in a format as programs write it; None where it is not written so.

    >>> dollars = NumberFormat(thousands=",", prefix="$")
    >>> [plain_number(t, dollars) for t in ("$1,234.50", "(12)", "-$5", "1234", "1,23")]
    ['1234.50', '-12', '-5', '1234', None]
    >>> plain_number("1.234,5 €", NumberFormat(decimal=",", thousands=".", suffix="€"))
    '1234.5'
    """
    body, sign = text.translate(_SPACES).strip(), ""
    if body.startswith("(") and body.endswith(")"):  # as accountants write what is owed
        body, sign = body[1:-1].strip(), "-"
    prefix, suffix = form.prefix.strip(), form.suffix.strip()
    for _ in range(2):  # the sign may stand before the prefix or behind it
        if body[:1] in ("+", "-") and not sign:
            body, sign = body[1:].strip(), body[0]
        body = body.removeprefix(prefix).strip()
    body = body.removesuffix(suffix).strip()
    mark = form.thousands
    if mark and re.fullmatch(rf"[0-9]{{1,3}}({re.escape(mark)}[0-9]{{3}})+([^0-9].*)?", body):
        whole, point, rest = body.partition(form.decimal)
        body = whole.replace(mark, "") + point + rest
    if mark and mark in body:
        return None
    if form.decimal == ",":
        if "." in body:
            return None
        body = body.replace(",", ".")
    return None if body[:1] in ("+", "-") else sign.replace("+", "") + body
