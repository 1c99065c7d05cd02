"""Typed columns (Parquet, databases) as a frame whose cells mean what they mean in a CSV file.

The same table must get the same codes from every source, bit for bit. So no value passes through a
type that cannot hold it (integers with missing cells stay integers, beyond 2^53 too), and values whose
text is their exact form (decimals, single precision) are handled as that text. A type comes from the
file's declaration and never from its cells, and equal cells of different types read alike (`storage`).

| stored as | becomes |
|---|---|
| text, dictionary of text | text |
| integer, boolean | the same, nullable where cells are missing |
| double | double |
| half, single precision | the double of its shortest text: 0.1, not 0.10000000149 |
| decimal | its digits as a text, without zeros at the end |
| time of day | its text |
| date, timestamp, duration | pandas' datetime64 (in UTC) and timedelta64, in the stored resolution |
| UUID | its text |
| nothing but nulls | missing |
| lists, structs, bytes, anything else | refused |
"""

from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from fedsynth_common.errors import InputError
from fedsynth_common.tables.cell_text import text_of

NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def frame_of(table: pa.Table, source: str) -> pd.DataFrame:
    """The table as a frame, columns in order, names unchanged.

    Args:
        table: Columns of any of the types above.
        source: How messages call the table.

    Raises:
        InputError: a column of a type that has no place in a table; told by its number.
    """
    columns = [_column(table.column(k), k + 1, source) for k in range(table.num_columns)]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame()
    frame.columns = pd.Index(table.column_names)
    return frame


def series_of(values: pa.ChunkedArray) -> pd.Series | None:
    """One column; None if its type has no place in a table."""
    if kinds.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    kind = values.type
    if kinds.is_floating(kind) and kind != pa.float64():
        values = doubles(values)
    elif kinds.is_decimal(kind):
        values = plain_digits(pc.cast(values, pa.string()))
    elif kinds.is_time(kind):
        values = _without_last_zeros(pc.cast(values, pa.string()))
    elif kinds.is_null(kind):
        values = pc.cast(values, pa.string())
    elif kinds.is_date(kind):
        values = pc.cast(values, pa.timestamp("s"), safe=False)
    elif kinds.is_timestamp(kind) and kind.tz is not None:
        values = pc.cast(values, pa.timestamp(kind.unit))  # the same moment, in UTC
    elif kind == pa.uuid():
        return pd.Series([cell and str(cell) for cell in values.to_pylist()], dtype="str")
    elif not _is_plain(kind):
        return None
    if not values.null_count and values.type in NULLABLE:
        return pd.Series(values.to_numpy())
    return pd.Series(values.to_pandas(types_mapper=NULLABLE.get))


def doubles(singles: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Numbers of half or single precision as the doubles of their shortest texts."""
    return pc.cast(pc.cast(pc.cast(singles, pa.float32()), pa.string()), pa.float64())


def plain_digits(decimals: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Texts of exact decimals as `text_of` writes a decimal."""
    if pc.any(pc.match_substring_regex(decimals, "[^0-9.-]")).as_py():  # exponents, NaN, infinity
        texts = [None if text is None else text_of(Decimal(text)) for text in decimals.to_pylist()]
        return pa.array(texts, pa.string())
    return _without_last_zeros(decimals)


def _without_last_zeros(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Without the zeros at the end of a fraction, and without its point if nothing is left."""
    return pc.replace_substring_regex(texts, r"\.0+$|(\.[0-9]*[1-9])0+$", r"\1")


def _column(values: pa.ChunkedArray, number: int, source: str) -> pd.Series:
    series = series_of(values)
    if series is None:
        raise InputError(
            f"{source}: column number {number} is stored as {_family(values.type)}; expected texts, "
            "numbers, booleans or dates: leave the column out or export it as text"
        )
    return series


def _is_plain(kind: pa.DataType) -> bool:
    text = kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind)
    moment = kinds.is_timestamp(kind) or kinds.is_duration(kind)
    return bool(text or moment or kind in NULLABLE or kind == pa.float64())


def _family(kind: pa.DataType) -> str:
    """A type's name without what stands inside it: names of fields could be a person's."""
    return str(kind).split("<")[0].split("[")[0]
