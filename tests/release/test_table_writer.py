"""Tables in pieces: what was written reads back; an error leaves neither file nor rest."""

import os

import pandas as pd
import pytest

from fedsynth_common.errors import InputError
from fedsynth_common.tables import as_number, as_text, read_table
from fedsynth_release.table_writer import TableWriter

SUFFIXES = (".csv", ".csv.gz", ".parquet")


def pieces():
    first = pd.DataFrame(
        {
            "n": pd.array([1, None], dtype="Int64"),
            "x": [0.5, float("nan")],
            "t": pd.Series([None, None], dtype="str"),
        }
    )
    second = pd.DataFrame(
        {
            "n": pd.array([3, 4], dtype="Int64"),
            "x": [1.25, -2.0],
            "t": pd.Series(["a,b", 'quote " and\nline ü'], dtype="str"),
        }
    )
    return [first, second]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pieces_read_back_as_one_table(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    with TableWriter(path) as writer:
        for piece in pieces():
            writer.write(piece)
        assert not path.exists()  # only once it is complete
    found, whole = read_table(path), pd.concat(pieces(), ignore_index=True)
    assert list(found.columns) == ["n", "x", "t"]
    for name in ("n", "x"):
        assert as_number(found[name]) == pytest.approx(as_number(whole[name]), nan_ok=True)
    pd.testing.assert_series_equal(as_text(found["t"]), as_text(whole["t"]))
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_equal_tables_are_equal_bytes(tmp_path, suffix, monkeypatch):
    contents = set()
    for name, now in (("a", 1e9), ("b", 1.5e9)):
        monkeypatch.setattr("time.time", lambda now=now: now)
        with TableWriter(tmp_path / f"{name}{suffix}") as writer:
            writer.write(pieces()[0])
        contents.add((tmp_path / f"{name}{suffix}").read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="midway"), TableWriter(path) as writer:
        writer.write(pieces()[0])
        raise RuntimeError("midway")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]


def test_without_any_piece_nothing_is_written(tmp_path):
    with TableWriter(tmp_path / "t.csv"):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["t.txt", "t", "t.xlsx", "t.gz"])
def test_unknown_formats_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"\.csv, \.csv\.gz or \.parquet"):
        TableWriter(tmp_path / name)


def test_places_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        TableWriter(tmp_path / "none" / "t.csv")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        TableWriter(tmp_path / "d.csv")


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_full_disk_is_one_clear_error(tmp_path, suffix):
    """/dev/full takes the place of the disk."""
    writer = TableWriter(tmp_path / f"t{suffix}")
    writer._partial.symlink_to("/dev/full")
    with pytest.raises(InputError, match="cannot be written"), writer:
        for _ in range(200):
            writer.write(pd.DataFrame({"a": range(1000)}))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_cells_that_a_spreadsheet_would_run_are_escaped_on_demand(tmp_path, suffix):
    cells = ["=cmd|' /C calc'!A0", "@SUM(A1)", "+1+1", "-1", "- none", "\tx", "plain", None]
    frame = pd.DataFrame({"=h": pd.Series(cells, dtype="str"), "n": [-1.5] * 8})
    for escape in (False, True):
        with TableWriter(tmp_path / f"t{suffix}", escape_formulas=escape) as writer:
            writer.write(frame)
        read = read_table(tmp_path / f"t{suffix}")
        runs = escape and suffix != ".parquet"
        mark = "'" if runs else ""
        assert list(read.columns) == [f"{mark}=h", "n"]
        expected = [f"{mark}{c}" if c and c[0] in "=@+-\t" and c != "-1" else c for c in cells]
        assert (
            read.iloc[:, 0].astype(object).where(read.iloc[:, 0].notna(), None).tolist() == expected
        )
        assert as_number(read["n"]).tolist() == [-1.5] * 8
