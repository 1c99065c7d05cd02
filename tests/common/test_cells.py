"""A cell is read by itself: no cell beside it and no storage of its column changes its code."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_cells import COLUMNS, ODD, TEXTS, code_alone, codes_of

from fedsynth_common.tables import as_text, frame_of, stored, text_of, whole_number

BERLIN = datetime.timezone(datetime.timedelta(hours=1))
NUMBERS = [0, 1, 2, 100, None, 7]
MOMENTS = ["2020-01-31", "1960-05-05T08:15:30.123456", None, "2021-07-01T00:00:00"]


@pytest.mark.parametrize("name", COLUMNS)
def test_an_odd_cell_in_any_place_changes_no_other_cell(name):
    column = COLUMNS[name]
    usual = {
        "text": ["1", "a", "2020-01-31", None, "P1D", "9999-12-31T00:00"],
        "integer": [1, 0, 2020, None, 20200131],
        "double": [1.0, 0.5, None, 2020.0],
        "boolean": [True, False, None],
        "moment": [datetime.datetime(2020, 1, 31), None, datetime.datetime(2021, 5, 5, 8, 15)],
        "length": [datetime.timedelta(days=1), None, datetime.timedelta(hours=5)],
        "decimal": [decimal.Decimal("1.00"), None, decimal.Decimal("2.50")],
    }
    own = [code_alone(odd, column) for odd in ODD]
    for turn, cells in enumerate(usual.values()):
        expected = [code_alone(cell, column) for cell in cells]
        assert codes_of(pd.Series(cells), column) == expected
        for number, odd in enumerate(ODD):
            place = (0, 1, len(cells))[(turn + number) % 3]
            beside = pd.Series([*cells[:place], odd, *cells[place:]], dtype=object)
            wanted = [*expected[:place], own[number], *expected[place:]]
            assert codes_of(beside, column) == wanted, (cells, place)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(COLUMNS)), st.lists(st.sampled_from(range(len(ODD))), max_size=12))
def test_any_mixture_reads_as_its_cells_do(name, places):
    cells = [ODD[place] for place in places]
    expected = [code_alone(cell, COLUMNS[name]) for cell in cells]
    series = pd.Series(cells, dtype=object)
    assert codes_of(series, COLUMNS[name]) == expected
    texts = as_text(series)
    assert [None if pd.isna(text) else text for text in texts] == [text_of(cell) for cell in cells]


texts = st.text("0123456789-+.:TZPDHMS eE,atrue", max_size=24)
anything = st.one_of(
    texts,
    st.floats(),
    st.integers(),
    st.booleans(),
    st.decimals(),
    st.datetimes(),
    st.dates(),
    st.timedeltas(),
    st.none(),
    st.text(max_size=5),
)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(sorted(COLUMNS)), st.lists(anything, max_size=6))
def test_drawn_cells_read_as_they_do_alone(name, cells):
    expected = [code_alone(cell, COLUMNS[name]) for cell in cells]
    assert codes_of(pd.Series(cells, dtype=object), COLUMNS[name]) == expected


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(sorted(COLUMNS)), st.lists(st.one_of(texts, st.sampled_from(TEXTS))))
def test_texts_read_as_they_do_alone(name, cells):
    expected = [code_alone(cell, COLUMNS[name]) for cell in cells]
    assert codes_of(pd.Series(cells, dtype="str"), COLUMNS[name]) == expected


def storages():
    """Columns of each storage, with the cells that are in them."""
    whole = pd.Series(NUMBERS, dtype="Int64")
    for kind in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"):
        yield f"{kind} without missing", whole.dropna().astype(kind)
        yield f"{kind} of Arrow", whole.astype(pd.ArrowDtype(pa.from_numpy_dtype(kind)))
        yield f"{kind} nullable", whole.astype(kind.replace("int", "Int").replace("uI", "UI"))
    doubles = pd.Series([0.0, 1.0, 0.5, 0.1, np.nan, -0.0, 1e-8, 1e300, np.inf, 2020.0])
    for kind in ("float16", "float32", "float64", "Float32", "Float64", "double[pyarrow]"):
        with np.errstate(over="ignore"):
            yield kind, doubles.astype(kind)
    flags = pd.Series([True, False, None], dtype="boolean")
    yield "bool", flags.dropna().astype(bool)
    yield "boolean", flags
    yield "boolean of Arrow", flags.astype("bool[pyarrow]")
    written = pd.Series(["1", " 1 ", "a", "true", "", None, "2020-01-31", "P1D"], dtype="str")
    for kind in ("str", "string[python]", "string[pyarrow]", "category", "object"):
        yield f"texts as {kind}", written.astype(kind)
    yield "whole numbers as category", whole.astype("category")
    yield "doubles as category", doubles.astype("category")
    yield "sparse", pd.Series(pd.arrays.SparseArray([0.0, 1.0, np.nan]))
    yield "complex", pd.Series([1 + 2j])
    yield "period", pd.Series(pd.period_range("2020-01", periods=2, freq="M"))
    for unit in ("s", "ms", "us", "ns"):
        moments = pd.Series(np.array(MOMENTS, dtype=f"datetime64[{unit}]"))
        yield f"moments in {unit}", moments
        yield f"moments in {unit} of Berlin", moments.dt.tz_localize("Europe/Berlin")
        yield f"moments in {unit} as category", moments.astype("category")
        lengths = pd.Series(np.array([86_400, -3600, 0, 90], dtype="timedelta64[s]"))
        yield f"lengths in {unit}", lengths.astype(f"timedelta64[{unit}]")
    yield "moments beyond the calendar", pd.Series(np.array([10**13, -(10**12)], "datetime64[s]"))


STORAGES = dict(storages())


@pytest.mark.parametrize("storage", STORAGES)
def test_storage_decides_how_fast_a_column_is_read_and_nothing_else(storage):
    series = STORAGES[storage]
    single = stored(series).dtype != object and "float" in storage.lower()
    cells = stored(series).tolist() if single else series.astype(object).tolist()
    for name, column in COLUMNS.items():
        expected = [code_alone(cell, column) for cell in cells]
        assert codes_of(series, column) == expected, name
        if not single:
            mixed = pd.concat([series.astype(object), pd.Series([b"odd"], dtype=object)])
            assert codes_of(mixed, column)[:-1] == expected, name


def equal_cells():
    """Lists of cells that say the same in different types."""
    utc = datetime.UTC
    yield ["1", 1, 1.0, np.int8(1), np.float32(1), decimal.Decimal("1.00"), "1.0", " 1 "]
    yield ["0", 0, -0.0, decimal.Decimal("-0.00"), decimal.Decimal("0E-8"), "0.0"]
    yield [0.00000001, decimal.Decimal("0.00000001"), decimal.Decimal("1E-8"), "0.00000001"]
    yield [2**70, float(2**70), str(2**70), decimal.Decimal(2**70)]
    yield [
        None,
        pd.NA,
        pd.NaT,
        "",
        "  ",
        float("nan"),
        decimal.Decimal("NaN"),
        np.datetime64("NaT"),
    ]
    moment = datetime.datetime(2020, 1, 31, 8, 15)
    yield [
        *(moment, pd.Timestamp(moment), np.datetime64(moment), moment.replace(tzinfo=utc)),
        *(moment.replace(hour=9, tzinfo=BERLIN), pd.Timestamp(moment, tz="UTC")),
    ]
    day = datetime.date(2020, 1, 31)
    yield [day, datetime.datetime(2020, 1, 31), pd.Timestamp(day), np.datetime64(day)]
    length = datetime.timedelta(hours=36)
    yield [length, pd.Timedelta(length), np.timedelta64(36, "h"), np.timedelta64(length)]


@pytest.mark.parametrize("cells", list(equal_cells()), ids=lambda cells: str(cells[0]))
@pytest.mark.parametrize("name", COLUMNS)
def test_equal_cells_of_different_types_have_one_code(name, cells):
    column = COLUMNS[name]
    if name in ("year", "german date", "swapped date") and cells[0] == "0":
        cells = cells[:-1]  # a text of a date is its format's, digit for digit
    if name == "limits":  # a format is about texts, and so about the digits of exact decimals
        cells = [cell for cell in cells if not isinstance(cell, decimal.Decimal | str)]
    assert len({code_alone(cell, column) for cell in cells}) == 1


@pytest.mark.parametrize("name", ["boolean", "yes and no", "one and nought", "integer", "numeric"])
def test_a_boolean_says_the_same_wherever_it_is_declared(name):
    column = COLUMNS[name]
    said = {"boolean": "true", "yes and no": "yes"}.get(name, "1")
    assert (
        code_alone(True, column) == code_alone(np.bool_(True), column) == code_alone(said, column)
    )
    assert code_alone(True, column) != code_alone(False, column)


@pytest.mark.parametrize("name", ["integer", "numeric", "duration"])
def test_a_boolean_is_a_number_in_any_company(name):
    alone = [code_alone(flag, COLUMNS[name]) for flag in (True, False)]
    assert codes_of(pd.Series([True, "x", False], dtype=object), COLUMNS[name])[::2] == alone


def test_a_declared_text_means_itself():
    code = [code_alone(text, COLUMNS["categorical"]) for text in ("3", "3.0", 3, "1", "007", "7")]
    assert code[0] == code[1] == code[2]
    assert len({code[0], code[3], code[4], code[5]}) == 4  # 7 is not 007
    assert whole_number("-0.0") == "0"


def test_blanks_around_a_number_are_the_same_in_any_company():
    for blank in filter(str.isspace, map(chr, range(0x3001))):
        cell = f"{blank}1{blank}"
        assert code_alone(cell, COLUMNS["integer"]) == code_alone("1", COLUMNS["integer"])


def test_types_of_arrow_read_as_the_cells_in_them():
    zone = pa.timestamp("ms", tz="Europe/Berlin")
    moments = [datetime.datetime(2020, 1, 31, 7, 15, tzinfo=datetime.UTC), None]
    digits = [decimal.Decimal("1.00"), decimal.Decimal("2.50"), None, decimal.Decimal("100.00")]
    small = [decimal.Decimal("0.00000001"), decimal.Decimal("2.50000000"), None]
    times = [datetime.time(8, 15), datetime.time(8, 15, 0, 500_000), None]
    typed = {
        "decimal": (pa.array(digits, pa.decimal128(10, 2)), digits),
        "small": (pa.array(small, pa.decimal128(12, 8)), small),
        "time in us": (pa.array(times, pa.time64("us")), times),
        "time in ns": (pa.array(times, pa.time64("ns")), times),
        "time in s": (pa.array(times[:1], pa.time32("s")), times[:1]),
        "moment": (pa.array(moments, zone), moments),
        "dictionary": (pa.array(["1", None, "a"]).dictionary_encode(), ["1", None, "a"]),
        "uuid": (pa.array([b"\x00" * 15 + b"\x07", None], pa.uuid()), [str(ODD_UUID), None]),
        "null": (pa.nulls(2), [None, None]),
    }
    for name, (array, cells) in typed.items():
        series = frame_of(pa.table({"x": array}), "t")["x"]
        wanted = [text_of(cell) for cell in cells]
        assert [None if pd.isna(t) else t for t in as_text(series)] == wanted, name
        for kind, column in COLUMNS.items():
            if kind == "limits" and name in ("decimal", "small"):  # read as the texts that they are
                cells = wanted
            expected = [code_alone(cell, column) for cell in cells]
            assert codes_of(series, column) == expected, (name, kind)


ODD_UUID = "00000000-0000-0000-0000-000000000007"
