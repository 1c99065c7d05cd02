"""Reading is strict and guesses nothing; faults name the place and never the content."""

import datetime
import gzip

import numpy as np
import pandas as pd
import pytest

from fedsynth_common.errors import InputError
from fedsynth_common.tables import as_number, as_text, read_table
from fedsynth_release.table_writer import write_table

SECRET = "S3CRET"


def written(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_csv_cells_are_text_and_empty_is_missing(tmp_path):
    frame = read_table(written(tmp_path, 'a,b\n007,NA\n,"x, y"\n" 1 ",None\n'))
    assert frame["a"].tolist() == ["007", np.nan, " 1 "]
    assert frame["b"].tolist() == ["NA", "x, y", "None"]


def test_byte_order_mark_blank_names_and_crlf(tmp_path):
    frame = read_table(written(tmp_path, b"\xef\xbb\xbfa, b\r\n1,2\r\n"))
    assert list(frame.columns) == ["a", "b"]
    assert frame.iloc[0].tolist() == ["1", "2"]


def test_quoted_newlines_and_non_latin_text(tmp_path):
    frame = read_table(written(tmp_path, 'a,b\n"one\ntwo",日本\n'))
    assert frame.iloc[0].tolist() == ["one\ntwo", "日本"]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_write_then_read(tmp_path, suffix):
    frame = pd.DataFrame({"a": ["x", None, 'ü,"q"'], "b": ["1", "2", None]}, dtype="str")
    path = tmp_path / f"t{suffix}"
    write_table(frame, path)
    pd.testing.assert_frame_equal(read_table(path), frame)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_equal_tables_give_equal_bytes(tmp_path, suffix):
    frame = pd.DataFrame({"a": [1.5, 2.0], "b": ["x", "y"]})
    for name in ("one", "two"):
        write_table(frame, tmp_path / (name + suffix))
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_gzip_holds_neither_time_nor_name(tmp_path):
    write_table(pd.DataFrame({"a": ["x"]}), tmp_path / "t.csv.gz")
    header = (tmp_path / "t.csv.gz").read_bytes()[:10]
    assert header[3:8] == bytes(5)  # flags, then the time (RFC 1952)


def test_parquet_keeps_types(tmp_path):
    frame = pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [0.5, 1.0]})
    write_table(frame, tmp_path / "t.parquet")
    read = read_table(tmp_path / "t.parquet")
    assert as_number(read["a"]).tolist()[0] == 1.0
    assert read["b"].dtype == np.float64


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "empty"),
        ("a,b\n", "no rows"),
        ("\n1,2\n", "first row must hold the column names"),
        ("a,b,a\n1,2,3\n", "'a' occurs more than once"),
        ("a;b\n1;2\n", "separated by commas"),
        (f"a,b\n1,2\n{SECRET}\n", "line 3: 1 cells, the header has 2"),
        (f"a,b\n1,2\n3,4\n5,6,{SECRET}\n", "line 4: 3 cells, the header has 2"),
        (f"a,b\n1,{SECRET}\xe9\n".encode("latin-1"), "byte 12 is not UTF-8"),
    ],
)
def test_faulty_csv_files(tmp_path, content, fault):
    with pytest.raises(InputError, match=fault) as caught:
        read_table(written(tmp_path, content))
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "fault"),
    [("t.csv.gz", "not a gzip file"), ("t.parquet", "not a Parquet"), ("t.xlsx", "unknown kind")],
)
def test_damaged_and_unknown_files(tmp_path, name, fault):
    with pytest.raises(InputError, match=fault):
        read_table(written(tmp_path, f"{SECRET} and more", name))


def test_truncated_gzip(tmp_path):
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 500)
    with pytest.raises(InputError, match="damaged"):
        read_table(written(tmp_path, whole[:-9], "t.csv.gz"))


def test_missing_file_and_unwritable_place(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="no such folder"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "none" / "t.csv")


def test_canonical_text_is_the_same_for_every_storage():
    one = pd.Series(["1", " 2 ", None], dtype="str")
    for other in (
        pd.Series([1.0, 2.0, np.nan]),
        pd.Series(pd.array([1, 2, None], dtype="Int64")),
        pd.Series([1, 2.0, None], dtype=object),
        pd.Series(["1", "2", " "], dtype=object),
        pd.Series(["1", "2", None], dtype="category"),
    ):
        assert as_text(other).tolist()[:2] == as_text(one).tolist()[:2] == ["1", "2"]
        assert as_text(other).isna().tolist() == [False, False, True]


def test_text_of_booleans_dates_and_mixtures():
    assert as_text(pd.Series([True, False])).tolist() == ["true", "false"]
    assert as_text(pd.Series([True, 1, "1", 0.5], dtype=object)).tolist() == [
        "true",
        "1",
        "1",
        "0.5",
    ]
    day = pd.Series([datetime.datetime(2026, 1, 2), pd.NaT])
    assert as_text(day).tolist()[0].startswith("2026-01-02")
    assert as_text(day).isna().tolist() == [False, True]


def test_text_keeps_index_and_name():
    series = pd.Series(["a", None], index=[7, 9], name="x")
    assert as_text(series).index.tolist() == [7, 9]
    assert as_text(series).name == "x"


def test_numbers():
    texts = pd.Series(["1", " 2.5 ", "1e3", "inf", "1,000", "", None, "-0"], dtype="str")
    expected = [1.0, 2.5, 1000.0, np.nan, np.nan, np.nan, np.nan, 0.0]
    np.testing.assert_array_equal(as_number(texts), expected)
    np.testing.assert_array_equal(as_number(pd.Series([1.0, np.inf, None])), [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(as_number(pd.Series([True, False])), [1.0, 0.0])
    np.testing.assert_array_equal(
        as_number(pd.Series(["3", 4, None], dtype=object)), [3, 4, np.nan]
    )


def test_dates_are_not_numbers():
    assert np.isnan(as_number(pd.Series(pd.to_datetime(["2026-01-02"])))).all()
