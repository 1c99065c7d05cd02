"""Typed columns (Parquet, databases) as a frame whose cells mean what they mean in a CSV file.

The same table must get the same codes from every source, bit for bit. So no value passes through a
type that cannot hold it (integers with missing cells stay integers, beyond 2^53 too), and values whose
text is their exact form (decimals, single precision) are handled as that text.

| stored as | becomes |
|---|---|
| text, dictionary of text | text |
| integer, boolean | the same, nullable where cells are missing |
| double | double |
| half, single precision | the double of its shortest text: 0.1, not 0.10000000149 |
| decimal | its text, all declared digits |
| time of day | its text |
| date, timestamp, duration | pandas' datetime64 and timedelta64, in the stored resolution |
| nothing but nulls | missing |
| lists, structs, bytes, anything else | refused |
"""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from fedsynth_common.errors import InputError

_NULLABLE = {
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


def _column(values: pa.ChunkedArray, number: int, source: str) -> pd.Series:
    if kinds.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    kind = values.type
    if kinds.is_floating(kind) and kind != pa.float64():
        values = pc.cast(pc.cast(pc.cast(values, pa.float32()), pa.string()), pa.float64())
    elif kinds.is_decimal(kind) or kinds.is_time(kind) or kinds.is_null(kind):
        values = pc.cast(values, pa.string())
    elif kinds.is_date(kind):
        values = pc.cast(values, pa.timestamp("s"), safe=False)
    elif not _is_plain(kind):
        raise InputError(
            f"{source}: column number {number} is stored as {_family(kind)}; expected texts, numbers, "
            "booleans or dates: leave the column out or export it as text"
        )
    if not values.null_count and values.type in _NULLABLE:
        return pd.Series(values.to_numpy())
    return pd.Series(values.to_pandas(types_mapper=_NULLABLE.get))


def _is_plain(kind: pa.DataType) -> bool:
    text = kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind)
    moment = kinds.is_timestamp(kind) or kinds.is_duration(kind)
    return bool(text or moment or kind in _NULLABLE or kind == pa.float64())


def _family(kind: pa.DataType) -> str:
    """A type's name without what stands inside it: names of fields could be a person's."""
    return str(kind).split("<")[0].split("[")[0]
