"""Dates, times and durations: read as the table writes them, bounded, drawn back in the same form."""

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fedsynth_common.encoding import as_ordinal, encode
from fedsynth_common.errors import InputError
from fedsynth_common.schema import DateColumn, DatetimeColumn, DurationColumn, Schema, domain_of
from fedsynth_release.decoding import decode

COLUMNS = {
    "day": DateColumn(name="x", minimum="1900-01-01", maximum="2030-12-31", nullable=True),
    "german": DateColumn(name="x", minimum="2015-01-01", maximum="2016-12-31", format="%d.%m.%Y"),
    "month": DateColumn(name="x", minimum="1999-11", maximum="2003-02", granularity="month"),
    "year": DateColumn(name="x", minimum="1900", maximum="2020", granularity="year"),
    "sentinel": DateColumn(
        name="x", minimum="1900-01-01", maximum="2020-12-31", atoms=("1900-01-01",)
    ),
    "hour": DatetimeColumn(
        name="x", minimum="2020-01-01T00", maximum="2020-12-31T23", granularity="hour"
    ),
    "minute": DatetimeColumn(name="x", minimum="1969-12-31T22:00", maximum="1970-01-02T05:30"),
    "second": DatetimeColumn(
        name="x",
        minimum="2020-02-28T23:59:58",
        maximum="2020-03-01T00:00:01",
        granularity="second",
        format="%m/%d/%Y %I:%M:%S %p",
        nullable=True,
    ),
    "number": DurationColumn(name="x", maximum=5000, scale="log"),
    "iso": DurationColumn(name="x", maximum=90, unit="hour", format="iso8601", nullable=True),
    "weeks": DurationColumn(name="x", maximum=90, unit="week", format="iso8601"),
    "seconds": DurationColumn(name="x", maximum=90_000, unit="second", format="iso8601"),
}


def schema_of(column) -> Schema:
    return Schema(name="s", columns=(column,))


def codes_of(column, *cells):
    table = encode(pd.DataFrame({"x": pd.Series(list(cells), dtype="str")}), schema_of(column))
    return table.codes[:, 0].tolist(), table.repairs["x"]


@pytest.mark.parametrize("name", COLUMNS)
def test_what_is_drawn_encodes_to_the_same_cells_without_a_repair(name):
    column = COLUMNS[name]
    domain = domain_of(column)
    codes = np.tile(np.arange(domain.width, dtype=np.uint16), 20)[:, None]
    drawn = decode(codes, schema_of(column), np.random.default_rng(0))
    again = encode(drawn, schema_of(column))
    assert (again.codes == codes).all()
    assert again.repairs["x"].total == 0
    assert domain.width <= 256 + 64 + 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("day", "2020-02-29"),
        ("german", "29.02.2016"),
        ("month", "2001-07"),
        ("year", "1984"),
        ("hour", "2020-06-01T13:00"),
        ("minute", "1970-01-01T00:07"),
        ("second", "02/29/2020 11:59:07 PM"),
        ("iso", "PT36H"),
        ("weeks", "P12W"),
        ("seconds", "PT7S"),
    ],
)
def test_it_is_drawn_in_the_form_of_the_table(name, text):
    column = COLUMNS[name]
    (code,), repairs = codes_of(column, text)
    assert repairs.total == 0
    codes = np.full((3000, 1), code, dtype=np.uint16)
    drawn = decode(codes, schema_of(column), np.random.default_rng(0))["x"]
    assert text in set(drawn)


def test_the_same_moment_in_other_words_is_the_same_cell():
    column = COLUMNS["minute"]
    same = (
        "1970-01-01T01:07",
        "1970-01-01 01:07:00",
        "1970-01-01T01:07Z",
        "1970-01-01T03:07+02:00",
    )
    codes, repairs = codes_of(column, *same)
    assert len(set(codes)) == 1
    assert repairs.total == 0
    hours, _ = codes_of(COLUMNS["iso"], "PT26H", "P1DT2H", "P1DT120M")
    assert len(set(hours)) == 1


def test_out_of_bounds_is_clamped_and_too_fine_is_cut():
    codes, repairs = codes_of(COLUMNS["month"], "1980-01", "2010-06", "1999-11-30")
    assert codes == [0, domain_of(COLUMNS["month"]).width - 1, 0]
    assert (repairs.clamped, repairs.rounded) == (2, 1)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("day", "2020"),
        ("day", "2021-02-29"),
        ("day", "soon"),
        ("second", "2020-02-29T00:00:00"),
        ("iso", "P1M"),
        ("iso", "PT"),
        ("iso", "5"),
    ],
)
def test_what_cannot_be_read_is_missing_and_never_guessed(name, cell):
    column = COLUMNS[name]
    codes, repairs = codes_of(column, cell)
    assert codes == [domain_of(column).missing]
    assert repairs.unparsable == 1


def test_what_cannot_be_read_is_refused_without_being_quoted_where_nothing_may_be_missing():
    with pytest.raises(InputError, match="1 cell is not a date") as caught:
        codes_of(COLUMNS["german"], "Mr Smith")
    assert "Smith" not in str(caught.value)


def test_typed_columns_of_parquet_are_read_as_they_are():
    days = pd.DataFrame({"x": [date(2019, 5, 4), None]})
    stamps = pd.DataFrame({"x": pd.to_datetime(["2019-05-04", None])})
    wanted = codes_of(COLUMNS["day"], "2019-05-04", "")[0]
    for frame in (days, stamps):
        assert encode(frame, schema_of(COLUMNS["day"])).codes[:, 0].tolist() == wanted
    spans = pd.DataFrame({"x": pd.to_timedelta([timedelta(hours=36), None])})
    wanted = codes_of(COLUMNS["iso"], "PT36H", "")[0]
    assert encode(spans, schema_of(COLUMNS["iso"])).codes[:, 0].tolist() == wanted


@settings(deadline=None, max_examples=50)
@given(st.datetimes(datetime(1900, 1, 1), datetime(2030, 12, 31, 23, 59)))
def test_a_date_is_its_number_of_days(moment):
    days = as_ordinal(pd.Series([moment.date().isoformat()]), COLUMNS["day"])
    assert days.tolist() == [(moment.date() - date(1970, 1, 1)).days]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(["2016-02-03", "", "x", "1850-01-01", "2020"]), min_size=1))
def test_a_cell_is_read_alike_in_any_company(cells):
    together, _ = codes_of(COLUMNS["day"], *cells)
    alone = [codes_of(COLUMNS["day"], cell)[0][0] for cell in cells]
    assert together == alone


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"minimum": "2020-13-01"}, "not a day of the calendar"),
        ({"minimum": "2020"}, "such as '2020-01-31'"),
        ({"minimum": "2031-01-01"}, "is after maximum"),
        ({"format": "%d.%m"}, "from the year to the day"),
        ({"format": "%d.%m.%y"}, "does not give back"),
        ({"format": "%Q"}, "does not give back"),
    ],
)
def test_a_faulty_declaration_is_refused(changes, fault):
    fields = {"name": "x", "minimum": "1900-01-01", "maximum": "2030-12-31"} | changes
    with pytest.raises(ValidationError, match=fault):
        DateColumn(**fields)


@pytest.mark.parametrize("pattern", [None, "%Y-%m-%dT%H:%M:%S.%f"])
@pytest.mark.parametrize(
    "neighbour",
    [
        "2020-01-01T00:00:00.123456789",
        "2020-01-01T00:00:00.1234567",
        "1600-01-01T00:00:00.123456789",
        "12000-01-01T00:00:00.5",
        "many",
    ],
)
def test_a_record_changes_no_other_records_cell(pattern, neighbour):
    column = DatetimeColumn(
        name="x",
        minimum="1500-01-01T00:00",
        maximum="9999-12-31T23:59",
        atoms=("9999-12-31T00:00",),
        format=pattern,
        nullable=True,
    )
    cells = ["9999-12-31T00:00:00.0", "1600-02-03T04:05:06.7", "2020-01-01T00:00:00.5"]
    alone = codes_of(column, *cells)[0]
    assert alone[0] == 0  # the atom
    assert domain_of(column).missing not in alone
    assert codes_of(column, *cells, neighbour)[0][:3] == alone
    assert codes_of(column, neighbour, *cells)[0][1:] == alone


@pytest.mark.parametrize("pattern", [None, "%Y", "%Y-%m-%d"])
@pytest.mark.parametrize("text", ["now", "today"])
def test_no_cell_is_read_off_the_clock(pattern, text):
    day = pattern == "%Y-%m-%d"
    column = DateColumn(
        name="x",
        minimum="2000-01-01" if day else "2000",
        maximum="2100-12-31" if day else "2100",
        granularity="day" if day else "year",
        format=pattern,
        nullable=True,
    )
    codes, repairs = codes_of(column, text)
    assert codes == [domain_of(column).missing]
    assert repairs.unparsable == 1
