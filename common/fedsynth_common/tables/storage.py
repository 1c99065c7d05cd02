"""Names the few types of storage that are read all at once; all others are read cell by cell.

What a cell reads as must not depend on the cells beside it. Otherwise one record could move the codes
of all others, and the noise covers the codes of one. The storage of a column does depend on all its
cells, because libraries choose one type for many cells. Storage may therefore decide only how *fast*
a column is read. Each of the storages below gives what `text_of`, `as_number` and the readers of
moments give for its cells one by one (`tests/common/test_cells.py` compares them).
"""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fedsynth_common.tables.arrow import NULLABLE, doubles, series_of

_MASKED = {*NULLABLE.values(), pd.Float64Dtype()}


def stored(series: pd.Series) -> pd.Series:
    """The same cells as text (plain or a dictionary), as booleans, whole numbers, doubles, moments in
    UTC or lengths of time; as Python objects where they are none of these or of several kinds.
    """  # noqa: D205 - one sentence, of two lines
    kind = series.dtype
    if isinstance(kind, np.dtype) and (kind.kind in "biuMm" or kind == np.float64):
        return series
    if kind == "str" or kind in _MASKED:
        return series
    if isinstance(kind, pd.CategoricalDtype) and kind.categories.dtype == "str":
        return series
    if isinstance(kind, pd.StringDtype):
        return series.astype("str")
    if isinstance(kind, pd.DatetimeTZDtype):
        return pd.Series(series.dt.tz_convert("UTC").dt.tz_localize(None))
    if kind in (np.float16, np.float32, pd.Float32Dtype()):
        singles = series.to_numpy(dtype=np.float32, na_value=np.nan)
        return pd.Series(doubles(pa.array(singles)).to_numpy(zero_copy_only=False), series.index)
    if isinstance(kind, pd.ArrowDtype):
        plain = series_of(pa.chunked_array(pa.array(series)))
        if plain is not None:
            return plain.set_axis(series.index)
    return _alike(series.astype(object))


def _alike(series: pd.Series) -> pd.Series:
    """Python objects in the storage of their type, if it is exactly one and holds all of them."""
    kinds = set(map(type, series.to_numpy(dtype=object).tolist())) - {type(None)}
    storages: dict[type, Any] = {str: "str", bool: "boolean", int: "Int64", float: "float64"}
    if not kinds:
        return series.astype("str")
    if len(kinds) > 1 or (kind := kinds.pop()) not in storages:
        return series
    try:
        return series.astype(storages[kind])
    except (OverflowError, UnicodeError):  # beyond 64 bits; half of a surrogate pair
        return series
