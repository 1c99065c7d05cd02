"""One canonical text and one number for a cell, however a table stores it.

`as_text` makes equal values of different storage equal ("1" in a CSV, 1 and 1.0 in Parquet or a
database). What a text means is for the schema to say: nothing is guessed here, "NA" is a text and
"007" keeps its zeros.

A number in a text is written `[+-]digits[.digits][e[+-]digits]` in ASCII, blanks around it aside; it is
read as the nearest double, so that a number has the same bits whether it comes as text, as a double
or as an exact decimal. Locale forms ("1,5", "1.000,5"), "inf" and "nan" are no numbers.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


def factorise(series: pd.Series) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Each cell's index into the list of distinct canonical texts; -1 where missing."""
    if series.dtype == object:  # 1, True and "1" are equal to a hash table, not to us
        series = pd.Series([_text(value) for value in series], dtype="str")
    codes, values = pd.factorize(series)
    texts = [_text(value) for value in values.tolist()]
    known, uniques = pd.factorize(pd.Series(texts, dtype="str"))
    lookup = np.append(known, -1)  # code -1 (missing) picks the last entry
    return np.asarray(lookup[codes], dtype=np.int64), [str(text) for text in uniques]


def as_text(series: pd.Series) -> pd.Series:
    """Canonical text of every cell.

    No blanks around it, whole numbers without ".0", booleans "true" and "false", missing as
    missing; a cell of nothing but blanks is missing.

    >>> as_text(pd.Series([1.0, 2.5, None])).tolist()
    ['1', '2.5', nan]
    """
    codes, texts = factorise(series)
    values = np.array([*texts, None], dtype=object)[codes]
    return pd.Series(values, index=series.index, name=series.name, dtype="str")


def as_number(series: pd.Series) -> npt.NDArray[np.float64]:
    """Cells as numbers; NaN where missing, not a number, or not finite.

    Where the text is present and the number NaN, the cell could not be understood.

    >>> as_number(pd.Series(["1", " 2.5", "many", None])).tolist()
    [1.0, 2.5, nan, nan]
    """
    if pd.api.types.is_numeric_dtype(series.dtype):
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
    elif series.dtype == "str":
        numbers = _parsed(pa.array(series, type=pa.large_string(), from_pandas=True))
    else:
        codes, texts = factorise(series)
        numbers = np.append(numbers_of(texts), np.nan)[codes]
    return np.where(np.isfinite(numbers), numbers, np.nan)


def numbers_of(texts: list[str]) -> npt.NDArray[np.float64]:
    """Each text as a number, NaN where it is none."""
    return as_number(pd.Series(texts, dtype="str"))


def _parsed(texts: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Numbers of texts; whatever is not in our grammar is NaN."""
    try:
        # what Arrow reads beyond our grammar ("inf", "nan") is not finite: NaN in the end
        numbers = pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        bare = pc.ascii_trim_whitespace(texts)
        bare = pc.if_else(pc.match_substring_regex(bare, _NUMBER), bare, None)
        numbers = pc.cast(pc.ascii_ltrim(bare, "+"), pa.float64())
    return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        number = float(value)
        if number != number:
            return None
        return str(int(number)) if number.is_integer() else repr(number)
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, pd.Timestamp) and value.tz is None and value == value.normalize():
        return value.date().isoformat()  # as a CSV file has it
    return str(value)
