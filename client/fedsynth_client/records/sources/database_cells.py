"""Turns a database's cells into cells that mean the same as those of every other source.

PostgreSQL gives each cell as it prints it, and the column's declared type says how to read the text. So
no cell is too large for a Python type, none can make the driver fail, and none changes how another is
read. In SQLite every cell has a type of its own, whatever type the column declares.

| PostgreSQL | becomes |
|---|---|
| boolean, integers, double precision, real | the same (a real: the double that prints so) |
| numeric | its digits as a text |
| date, timestamp | moments in UTC; `infinity`, years before Christ and beyond 9999 stay texts |
| interval | a text in ISO 8601 (`P3DT4H`); months and years have no fixed length |
| json, jsonb | a text, number or boolean that it consists of; lists and objects are texts |
| uuid, arrays, enumerations, ranges, money, everything else | a text as PostgreSQL prints it |
| bytea | refused: bytes have no place in a table |
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fedsynth_common.errors import InputError
from fedsynth_common.tables import frame_of, stored
from fedsynth_common.tables.arrow import plain_digits

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

Kind = Literal["text", "boolean", "integer", "double", "decimal", "moment", "json", "bytes"]

# PostgreSQL's numbers of its own types (pg_type.dat): they never change
_KINDS: dict[int, Kind] = {
    16: "boolean",
    17: "bytes",
    **dict.fromkeys((20, 21, 23), "integer"),
    **dict.fromkeys((700, 701), "double"),
    **dict.fromkeys((114, 3802), "json"),
    **dict.fromkeys((1082, 1114, 1184), "moment"),
    1700: "decimal",
}
_MOMENT = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)?)(?:\+00)?$"
)


def kind_of_number(number: int) -> Kind:
    """How cells of a PostgreSQL type (its oid) are read."""
    return _KINDS.get(number, "text")


def kind_of_type(declared: "TypeEngine[Any]") -> Kind:
    """How texts and numbers are read in a column that SQLite declares so."""
    from sqlalchemy import types

    if isinstance(declared, types.Date | types.DateTime):
        return "moment"
    return "boolean" if isinstance(declared, types.Boolean) else "text"


def printed(cells: Sequence[str | None], kind: Kind, number: int, source: str) -> pd.Series:
    """A PostgreSQL column from the texts that the server prints.

    Args:
        cells: one text for each row; None is missing.
        kind: how the column's declared type is read.
        number: the column's place from 1, for messages.
        source: how messages call the database.

    Raises:
        InputError: the column holds bytes.
    """
    if kind == "bytes":
        raise InputError(
            f"{source}: column number {number} holds bytes (bytea); leave it out of the query, or "
            "select it as a text"
        )
    texts = pa.array(cells, pa.string())
    if kind == "json":
        return stored(pd.Series(_scalars(cells), dtype=object))
    if kind == "moment":
        return _moments(pd.Series(texts.to_pandas()))
    if kind == "boolean":
        texts = pc.equal(texts, "t")
    elif kind == "decimal":
        texts = plain_digits(texts)
    elif kind in ("integer", "double"):
        texts = pc.cast(texts, pa.int64() if kind == "integer" else pa.float64())
    return frame_of(pa.table({"x": texts}), source)["x"]


def held(cells: Sequence[object], kind: Kind) -> pd.Series:
    """A SQLite column from its cells: whole numbers, doubles, texts and bytes in any mixture."""
    if kind == "boolean":
        cells = [bool(c) if c in (0, 1) and isinstance(c, int) else c for c in cells]
    series = stored(pd.Series(list(cells), dtype=object))
    return _moments(series) if kind == "moment" else series


def _moments(series: pd.Series) -> pd.Series:
    """Texts that are moments as moments; all other cells as they are."""
    if series.dtype == object:  # of several types: one by one, each as it would be read among texts
        cells = [
            _moments(pd.Series([c], dtype="str"))[0] if isinstance(c, str) else c for c in series
        ]
        return pd.Series(cells, dtype=object)
    if series.dtype != "str":
        return series
    texts = pa.array(series, type=pa.string(), from_pandas=True)
    plain = pc.match_substring_regex(texts, _MOMENT)
    texts = pc.replace_substring_regex(texts, _MOMENT, r"\1")
    try:
        moments = pc.cast(pc.if_else(plain, texts, None), pa.timestamp("us")).to_numpy(
            zero_copy_only=False
        )
    except pa.ArrowInvalid:  # the 31st of a June in SQLite, which checks no date
        if len(series) == 1:
            return series
        alone = [_moments(series[k : k + 1]).astype(object) for k in range(len(series))]
        return pd.concat(alone, ignore_index=True)
    dates = pd.Series(moments)
    odd = series.notna().to_numpy() & np.isnat(moments)
    if not odd.any():
        return dates
    mixed = dates.astype(object)
    mixed[odd] = series.to_numpy(dtype=object)[odd]
    return mixed


def _scalars(cells: Sequence[str | None]) -> list[object]:
    read = {cell: None if cell is None else _scalar(cell.strip()) for cell in set(cells)}
    return [read[cell] for cell in cells]


def _scalar(text: str) -> object:
    """The text, number or boolean that a JSON value is; lists and objects as they are written."""
    if text.startswith(("{", "[")):
        return text
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)
