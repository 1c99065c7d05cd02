"""Odd cells, columns of every kind, and what a column makes of a cell: for tests of claim 9."""

import datetime
import decimal
import uuid

import numpy as np
import pandas as pd

from fedsynth_common.encoding.encoder import encode_column
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    DateColumn,
    DatetimeColumn,
    DurationColumn,
    IntegerColumn,
    NumericColumn,
)
from fedsynth_common.schema.number_format import NumberFormat

LABELS = ("1", "0", "2.50", "true", "a", "007", "3.0", "2020-01-31", "P1D")
COLUMNS = {
    "categorical": CategoricalColumn(name="x", categories=LABELS, nullable=True),
    "boolean": BooleanColumn(name="x", nullable=True),
    "yes and no": BooleanColumn(name="x", true="yes", false="no", nullable=True),
    "one and nought": BooleanColumn(name="x", true="1", false="0", nullable=True),
    "integer": IntegerColumn(name="x", minimum=-5, maximum=200, nullable=True),
    "numeric": NumericColumn(name="x", minimum=-5.0, maximum=100.0, decimals=2, nullable=True),
    "date": DateColumn(name="x", minimum="1900-01-01", maximum="2030-12-31", nullable=True),
    "german date": DateColumn(
        name="x", minimum="1900-01-01", maximum="2030-12-31", format="%d.%m.%Y", nullable=True
    ),
    "swapped date": DateColumn(
        name="x", minimum="1900-01-01", maximum="2030-12-31", format="%Y-%d-%m", nullable=True
    ),
    "year": DateColumn(name="x", minimum="1900", maximum="2030", granularity="year", nullable=True),
    "datetime": DatetimeColumn(
        name="x", minimum="1600-01-01T00:00", maximum="9999-12-31T23:59", nullable=True
    ),
    "duration": DurationColumn(name="x", minimum=-10, maximum=5000, unit="hour", nullable=True),
    "iso duration": DurationColumn(name="x", maximum=90, format="iso8601", nullable=True),
    "clock": DurationColumn(name="x", maximum=86_399, unit="second", format="clock", nullable=True),
    "epoch": DatetimeColumn(
        name="x",
        minimum="1900-01-01T00:00",
        maximum="2030-12-31T23:59",
        format="epoch_s",
        nullable=True,
    ),
    "marks": CategoricalColumn(
        name="x", categories=("a", "NA", "1"), missing_marks=("007", "no"), nullable=True
    ),
    "dollars": NumericColumn(
        name="x",
        minimum=-5.0,
        maximum=5000.0,
        decimals=2,
        nullable=True,
        missing_marks=("999", "no"),
        format=NumberFormat(thousands=",", prefix="$"),
    ),
    "limits": NumericColumn(
        name="x",
        minimum=0.0,
        maximum=100.0,
        decimals=1,
        atoms=(4.9, 90.0),
        nullable=True,
        format=NumberFormat(decimal=",", thousands=".", limits=("<5", "90+")),
    ),
    "fives": IntegerColumn(name="x", minimum=0, maximum=500, step=5, atoms=(7,), nullable=True),
}
TEXTS = [
    *("1", "1.0", "1.00", "+1", "-0", " 1 ", "1e0", "1e999", "1e-999", "9" * 400, "0x10", "1,5"),
    *(
        "007",
        "true",
        "True",
        "yes",
        "no",
        "a",
        " a ",
        "A",
        "inf",
        "nan",
        "NaN",
        "NaT",
        "None",
        "null",
    ),
    *("2020-01-31", "2020-01-31 00:00:00", "2020-01-31T08:15:00.123456789", "20200131", "2020"),
    *("31.01.2020", "2020-13-01", "9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"),
    *("infinity", "0044-03-15 BC", "12020-01-01", "now", "today", "1600-01-01T00:00:00.1234567"),
    *("NA", "n/a", "-", "999", "999.0", "<5", "90+", "$1,234.50", "1.234,5", "(12)", "-$5", "1,23"),
    *("1 234", "5 %", "$", "<", "8:15", "08:15:30", "25:00", "1580515200", "1580515200.5", "-1"),
    *("P1D", "PT36H", "P-1D", "PT0.5S", "P1M", "P300000Y", "P" + "9" * 30 + "D", "1 day"),
    *(
        "",
        "   ",
        "\u00a01\u00a0",
        "\u0661",
        "Stra\u00dfe",
        "x\0y",
        "\U0001f600",
        "[1, 2]",
        '{"a": 1}',
    ),
]
OBJECTS = [
    *(True, False, 0, 1, -3, 2, 2020, 20200131, 2**53 + 1, 2**63, -(2**70), 10**400),
    *(1.0, 0.5, -0.0, 1e-8, 1e300, float("inf"), float("-inf"), float("nan")),
    *(np.int8(1), np.uint64(2**64 - 1), np.float32(0.1), np.float16(0.1), np.bool_(True)),
    *(decimal.Decimal(text) for text in ("1", "1.00", "2.50", "1E+3", "NaN", "Infinity", "-0.00")),
    *(decimal.Decimal("1e-9999"), decimal.Decimal("1e9999"), decimal.Decimal("9" * 60)),
    *(datetime.date(2020, 1, 31), datetime.datetime(2020, 1, 31), datetime.date(1, 1, 1)),
    datetime.datetime(2020, 1, 31, 8, 15, 30, 5, tzinfo=datetime.UTC),
    datetime.datetime(1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=5))),
    datetime.datetime(
        9999, 12, 31, 23, 59, 59, tzinfo=datetime.timezone(-datetime.timedelta(hours=5))
    ),
    *(
        pd.Timestamp("1960-05-05 00:00:00.123456789"),
        pd.Timestamp("2020-01-31", tz="Europe/Berlin"),
    ),
    *(np.datetime64("2020-01-31"), np.datetime64("2020", "Y"), np.datetime64(10**13, "s")),
    *(np.datetime64("NaT"), np.timedelta64("NaT"), np.timedelta64(90, "m"), np.timedelta64(1, "Y")),
    *(datetime.timedelta(days=1), datetime.timedelta(hours=-2, microseconds=1)),
    *(datetime.timedelta.max, pd.Timedelta(1, "ns"), pd.Timedelta(36, "h")),
    *(datetime.time(8, 15), datetime.time(8, 15, 0, 500_000), uuid.UUID(int=7), b"a", b"\xff\x00"),
    *([1, 2], {"a": 1}, (1,), {1}, 1 + 2j, None, pd.NA, pd.NaT, "\ud800", np.str_("a"), object),
]
ODD = [*TEXTS, *OBJECTS]
_READ: dict[tuple[object, ...], int] = {}
REFUSED = -1
"""The code of a cell that the schema has no place for: preflight then refuses the table."""


def code_alone(cell: object, column) -> int:
    """What one cell reads as where there is no other."""
    return codes_of(pd.Series([cell], dtype=object), column)[0]


def codes_of(series: pd.Series, column) -> list[int]:
    """The codes of a column's cells; those that are refused are left out of the table."""
    try:
        return encode_column(series, column)[0].tolist()
    except InputError:
        if len(series) == 1:
            return [REFUSED]
    alone = [_alone(series[k : k + 1], column) for k in range(len(series))]
    kept = [code != REFUSED for code in alone]
    together = iter(codes_of(series[kept], column))
    return [next(together) if keep else REFUSED for keep in kept]


def _alone(series: pd.Series, column) -> int:
    cell = series.iloc[0]
    key = str(series.dtype), type(cell), repr(cell), column
    if key not in _READ:
        _READ[key] = codes_of(series, column)[0]
    return _READ[key]
