"""Reads the canonical text and the number of every cell of a column, however a table stores it.

Equal values are equal in every type of storage ("1" in a CSV file, 1 and 1.0 in Parquet or in a
database), and what a cell reads as depends on that cell alone (`cell_text`, `storage`). This module
does not guess what a text means, because that is for the schema to say: "NA" is a text, and "007"
keeps its zeros.

A number in a text is written `[+-]digits[.digits][e[+-]digits]` in ASCII, with or without blanks
around it. It is read as the nearest double, so that a number has the same bits whether it comes as a
text, as a double or as an exact decimal. Local forms ("1,5", "1.000,5"), "inf" and "nan" are not
numbers.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.tables.cell_text import text_of
from fedsynth_common.tables.storage import stored

_BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001))))  # those that `str.strip` removes
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


def factorise(series: pd.Series) -> tuple[Int64Array, list[str]]:
    """Each cell's index into the list of distinct canonical texts; -1 where missing."""
    series = stored(series)
    if series.dtype == object:  # 1, True and "1" are equal to a hash table, not to us
        series = pd.Series([text_of(value) for value in series], dtype="str")
    codes, values = pd.factorize(series)
    texts = [text_of(value) for value in values.tolist()]
    known, uniques = pd.factorize(pd.Series(texts, dtype="str"))
    lookup = np.append(known, -1)  # code -1 (missing) picks the last entry
    return np.asarray(lookup[codes], dtype=np.int64), [str(text) for text in uniques]


def as_text(series: pd.Series) -> pd.Series:
    """Canonical text of every cell.

    What the text of a cell is says `cell_text`; missing cells are missing.

    >>> as_text(pd.Series([1.0, 2.5, None])).tolist()
    ['1', '2.5', nan]
    """
    codes, texts = factorise(series)
    values = np.array([*texts, None], dtype=object)[codes]
    return pd.Series(values, index=series.index, name=series.name, dtype="str")


def as_number(series: pd.Series) -> Float64Array:
    """Cells as numbers, booleans as 1 and 0; NaN where missing, not a number, or not finite.

    Where the text is present and the number NaN, the cell could not be understood.

    >>> as_number(pd.Series(["1", " 2.5", "many", None])).tolist()
    [1.0, 2.5, nan, nan]
    """
    series = stored(series)
    if pd.api.types.is_numeric_dtype(series.dtype):
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
    elif series.dtype == "str":
        numbers = _parsed(pa.array(series, type=pa.large_string(), from_pandas=True))
    else:
        codes, texts = factorise(series)
        numbers = np.append(numbers_of(texts), np.nan)[codes]
    if series.dtype == object:
        for place, cell in enumerate(series):
            if isinstance(cell, bool | np.bool_):
                numbers[place] = float(cell)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def numbers_of(texts: list[str]) -> Float64Array:
    """Each text as a number, NaN where it is none."""
    return as_number(pd.Series(texts, dtype="str"))


def _parsed(texts: pa.Array | pa.ChunkedArray) -> Float64Array:
    """Numbers of texts; whatever is not in our grammar is NaN."""
    try:
        # what Arrow reads beyond our grammar ("inf", "nan") is not finite: NaN in the end
        numbers = pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        bare = pc.utf8_trim(texts, _BLANKS)
        bare = pc.if_else(pc.match_substring_regex(bare, _NUMBER), bare, None)
        numbers = pc.cast(pc.ascii_ltrim(bare, "+"), pa.float64())
    return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)
