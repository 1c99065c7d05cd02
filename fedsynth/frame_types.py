"""Gives drawn rows the types that the user's own frame has.

The types of a frame can depend on its cells: whole numbers become `float64` as soon as one cell is
missing. So they are applied, and saved, only where the result is not private anyway, or where a user
names a frame to be like (`Result.sample(like=...)`). Otherwise drawn rows have the types of the public
schema (`stored_as`). No value of a cell is kept, and so no category either.
"""

import datetime
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from fedsynth_common.schema import CategoricalColumn, Schema, domain_of

OBJECTS = "object of "


@dataclass(frozen=True)
class FrameTypes:
    """The type of each column, in pandas' words, and names of columns that are no texts.

    Attributes:
        types: by column, such as `int32`, `category`, `datetime64[us, UTC]` or `object of Decimal`.
        labels: by column, its name in the user's frame where that is no text, such as 0.
    """

    types: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Hashable] = field(default_factory=dict)

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "FrameTypes":
        """The types of a frame."""
        types = {str(name): _type_of(cells) for name, cells in frame.items()}
        return cls(types, cls.labels_of(frame))

    @staticmethod
    def labels_of(frame: pd.DataFrame) -> dict[str, Hashable]:
        """The names of columns that are no texts."""
        return {str(name): name for name in frame.columns if not isinstance(name, str)}

    def applied(self, frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
        """The same rows in these types; a column whose cells a type cannot hold stays as it is."""
        changed = {
            name: _as_type(frame[name], kind, schema, name)
            for name, kind in self.types.items()
            if name in frame
        }
        typed = frame.assign(**changed) if changed else frame
        return typed.rename(columns=dict(self.labels)) if self.labels else typed


def _type_of(cells: pd.Series) -> str:
    if isinstance(cells.dtype, pd.CategoricalDtype):
        return "ordered category" if cells.dtype.ordered else "category"
    if cells.dtype == object:
        kinds = {type(cell).__name__ for cell in cells[cells.notna()]}
        return OBJECTS + kinds.pop() if len(kinds) == 1 else "object"
    return str(cells.dtype)


def _as_type(cells: pd.Series, kind: str, schema: Schema, name: str) -> pd.Series:
    try:
        if kind.endswith("category"):
            return _categories(cells, schema, name, kind.startswith("ordered"))
        if kind.startswith(OBJECTS):
            return _objects(cells, kind.removeprefix(OBJECTS))
        if kind in ("bool", "boolean"):
            return _booleans(cells, kind)
        dtype = pd.api.types.pandas_dtype(kind)
        if isinstance(dtype, np.dtype) and dtype.kind in "iu":
            return _whole(cells, dtype)
        return cells.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        return cells


def _categories(cells: pd.Series, schema: Schema, name: str, ordered: bool) -> pd.Series:
    """Categories of the schema in its order; of a column that it does not list, those drawn."""
    column = next((c for c in schema.columns if c.name == name), None)
    if isinstance(cells.dtype, pd.CategoricalDtype):
        return cells.cat.as_ordered() if ordered else cells
    listed = list(domain_of(column).labels) if isinstance(column, CategoricalColumn) else None
    return cells.astype(pd.CategoricalDtype(listed, ordered=ordered))


_FLAGS = {"true": True, "false": False}


def _booleans(cells: pd.Series, kind: Any) -> pd.Series:
    """Yes and no, also where the schema has them as the texts `true` and `false`.

    Raises:
        ValueError: another text.
    """
    if pd.api.types.is_bool_dtype(cells.dtype):
        return cells.astype("boolean") if cells.hasnans else cells.astype(kind)
    flags = cells.map(lambda cell: _FLAGS.get(str(cell).lower()), na_action="ignore")
    if (flags.isna() & cells.notna()).any():
        raise ValueError("neither true nor false")
    return flags.astype("boolean" if flags.hasnans else kind)


def _whole(cells: pd.Series, dtype: np.dtype[Any]) -> pd.Series:
    """Whole numbers as small as asked where they fit, and nullable where one is missing."""
    limits = np.iinfo(dtype)
    numbers = cells if pd.api.types.is_numeric_dtype(cells.dtype) else pd.to_numeric(cells)
    present = numbers[numbers.notna()]
    if len(present) and not (limits.min <= present.min() and present.max() <= limits.max):
        return cells
    name: Any = dtype.name
    if len(present) < len(numbers):
        name = name.replace("uint", "UInt") if dtype.kind == "u" else name.replace("int", "Int")
    return numbers.astype(name)


_MAKERS: dict[str, Callable[[Any], object]] = {
    "str": str,
    "bool": lambda value: _FLAGS[str(value).lower()],
    "int": int,
    "float": float,
    "Decimal": lambda value: Decimal(str(value)),
    "date": lambda value: pd.Timestamp(value).date(),
    "datetime": lambda value: pd.Timestamp(value).to_pydatetime(),
    "time": lambda value: datetime.time.fromisoformat(str(value)),
    "timedelta": lambda value: pd.Timedelta(value).to_pytimedelta(),
}


def _objects(cells: pd.Series, kind: str) -> pd.Series:
    make = _MAKERS.get(kind)
    present = cells.notna().to_numpy()
    values = np.full(len(cells), None, dtype=object)
    for place, cell in enumerate(cells):
        if present[place]:
            values[place] = cell if make is None else make(cell)
    return pd.Series(values, index=cells.index, name=cells.name, dtype=object)
