"""Drawn columns take the types of a frame where they can, and never another value."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from fedsynth.frame_types import FrameTypes
from fedsynth_common.schema import CategoricalColumn, IntegerColumn, Schema

SCHEMA = Schema(
    name="t",
    columns=(
        IntegerColumn(name="n", minimum=0, maximum=9),
        CategoricalColumn(name="c", categories=("a", "b"), other=False),
    ),
)


def typed(cells, kind):
    """One column in another type."""
    return FrameTypes({"x": kind}).applied(pd.DataFrame({"x": cells}), SCHEMA)["x"]


@pytest.mark.parametrize(
    ("cells", "kind", "dtype", "values"),
    [
        (["true", "false"], "bool", "bool", [True, False]),
        (["true", None], "bool", "boolean", [True, pd.NA]),
        ([True, False], "boolean", "boolean", [True, False]),
        (["yes", "no"], "bool", "str", ["yes", "no"]),
        ([1, 2], "int8", "int8", [1, 2]),
        ([1, 300], "int8", "int64", [1, 300]),
        ([-1, 2], "uint8", "int64", [-1, 2]),
        (pd.array([1, None], dtype="Int64"), "int16", "Int16", [1, pd.NA]),
        (pd.array([1, None], dtype="Int64"), "uint16", "UInt16", [1, pd.NA]),
        (["1", "2"], "int64", "int64", [1, 2]),
        (["a", "2"], "int64", "str", ["a", "2"]),
        (["2020-01-31"], "datetime64[us]", "datetime64[us]", [pd.Timestamp("2020-01-31")]),
        (["2020-01"], "period[M]", "period[M]", [pd.Period("2020-01")]),
        ([1.5], "no such type", "float64", [1.5]),
    ],
)
def test_a_column_takes_a_type_or_stays_as_it_is(cells, kind, dtype, values):
    found = typed(cells, kind)
    assert found.dtype == dtype
    assert found.astype(object).tolist() == values


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        ([1.25, None], "object of Decimal", [Decimal("1.25"), None]),
        (["2020-01-31"], "object of date", [datetime.date(2020, 1, 31)]),
        (["08:15:00"], "object of time", [datetime.time(8, 15)]),
        (["true", "false"], "object of bool", [True, False]),
        (["a", None], "object of str", ["a", None]),
        (["a"], "object of Thing", ["a"]),
    ],
)
def test_objects_of_one_type(cells, kind, values):
    found = typed(cells, kind)
    assert found.dtype == object
    assert found.tolist() == values
    assert [type(cell) for cell in found] == [type(value) for value in values]


def test_categories_are_those_of_the_schema():
    frame = pd.DataFrame({"c": ["b", "b"]})
    kind = FrameTypes.of(pd.DataFrame({"c": pd.Categorical(["z"], ordered=True)})).types
    assert kind == {"c": "ordered category"}
    found = FrameTypes(kind).applied(frame, SCHEMA)["c"]
    assert list(found.cat.categories) == ["a", "b"]
    assert found.cat.ordered


def test_types_of_a_frame_are_names_alone():
    frame = pd.DataFrame(
        {
            "x": [Decimal(1), None],
            "y": np.array([1, 2], dtype="int8"),
            0: pd.array([True, None], dtype="boolean"),
            "mixed": [1, "a"],
        }
    )
    types = FrameTypes.of(frame)
    assert types.types == {
        "x": "object of Decimal",
        "y": "int8",
        "0": "boolean",
        "mixed": "object",
    }
    assert types.labels == {"0": 0}
