"""Conditions as Python writes them, turned into the texts that the sampler reads."""

import csv
import datetime
import io
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from fedsynth.options import wrong
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    DateColumn,
    DatetimeColumn,
    DurationColumn,
    Schema,
)
from fedsynth_common.schema.temporal import NUMPY_UNIT, SECONDS
from fedsynth_common.tables import text_of
from fedsynth_release.decoding.values import text_of as text_of_tick

Where = str | Iterable[str] | Mapping[str, object]
"""`"age>=65"`, several such texts, or `{"sex": "F", "ward": ["a", "b"], "smoker": None}`."""


def conditions(where: Where | None, schema: Schema) -> tuple[str, ...]:
    """The conditions as texts.

    Args:
        where: what the user wrote.
        schema: says how a column writes moments, lengths of time and truth values.

    Raises:
        WrongTypeError: it is neither a text, nor several, nor a dict.
    """
    if where is None:
        return ()
    if isinstance(where, str):
        return (where,)
    if isinstance(where, Mapping):
        return tuple(_condition(str(name), value, schema) for name, value in where.items())
    if not isinstance(where, Iterable):
        raise wrong("where", "a condition such as 'age>=65', a list of them or a dict", where)
    texts = tuple(where)
    for text in texts:
        if not isinstance(text, str):
            raise wrong("where", "conditions that are texts, such as 'age>=65'", text)
    return texts


def _condition(name: str, value: object, schema: Schema) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        texts = [_text(one, name, schema) for one in value]
        listed = [text for text in texts if text is not None]
        if len(listed) < len(texts) or not listed:
            raise InputError(
                f"where: column {name!r}: expected a list of values, none of them empty"
            )
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(listed)
        return f"{name} in {line.getvalue()}"
    text = _text(value, name, schema)
    return f"{name} is missing" if text is None else f"{name}={text}"


def _text(value: object, name: str, schema: Schema) -> str | None:
    """A value as conditions on this column write it; None where it is missing."""
    asked = name.removeprefix("any(").removesuffix(")")
    column = next((c for c in schema.columns if c.name == asked), None)
    if isinstance(column, BooleanColumn) and isinstance(value, bool | np.bool_):
        return column.true if value else column.false
    if pd.api.types.is_scalar(value) and pd.isna(value):  # type: ignore[call-overload]
        return None
    if isinstance(column, DurationColumn) and isinstance(
        value, datetime.timedelta | np.timedelta64
    ):
        return text_of(pd.Timedelta(value) / pd.Timedelta(seconds=SECONDS[column.unit]))
    moment = isinstance(value, datetime.date | np.datetime64)
    if isinstance(column, DateColumn | DatetimeColumn) and moment:
        return text_of_tick(_tick(value, column), column)
    return text_of(value)


def _tick(value: object, column: DateColumn | DatetimeColumn) -> int:
    """A moment as the column counts it; one with a time zone in UTC."""
    stamp = pd.Timestamp(value)  # type: ignore[arg-type]
    if stamp.tzinfo is not None:
        stamp = stamp.tz_convert("UTC").tz_localize(None)
    unit = NUMPY_UNIT[column.granularity]
    return int(stamp.to_datetime64().astype(f"datetime64[{unit}]").astype(np.int64))
