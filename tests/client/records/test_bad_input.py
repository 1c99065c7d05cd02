"""Bad input, one fault each: a defined repair, or a refusal in one line
that names the place and never a cell. Every cell that could be quoted holds a canary."""

import os
import stat

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_site import make_policy

from fedsynth_client.preflight.preflight import Inspection, preflight
from fedsynth_client.records.code_store import CodeStore, take
from fedsynth_client.records.guarded_reading import GuardedSource
from fedsynth_client.records.records import load_records
from fedsynth_client.records.sources import FileSource, WithoutColumns, open_source
from fedsynth_client.vault.measure import Axis, Marginal, contingency
from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
)
from fedsynth_common.tables import Dialect, read_table

CANARY = "ZZCANARY"
SCHEMA = Schema(
    name="clinic",
    columns=(
        CategoricalColumn(name="ward", categories=("a", "b"), nullable=True),
        IntegerColumn(name="age", minimum=0, maximum=99, nullable=True),
        NumericColumn(name="pulse", minimum=0.0, maximum=300.0, decimals=1, nullable=True),
    ),
)
HEAD = "ward,age,pulse\n"
GOOD = "a,50,70.5\n"


def written(folder, content, name="t.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def served(source, schema=SCHEMA, **policy):
    """What a vault would serve, or why not."""
    inspection = Inspection(schema, make_policy(**policy), keep=True)
    inspection.read(GuardedSource(source))
    inspection.result().require_fit()
    return inspection.records.finish(Randomness())


def refusal(source, schema=SCHEMA, **policy):
    with pytest.raises(FedsynthError) as refused:
        served(source, schema, **policy)
    said = str(refused.value)
    assert CANARY not in said
    assert refused.value.__context__ is None or refused.value.__suppress_context__
    return said


# bytes and rows; (content, what is said)
FAULTS = {
    "latin-1": (f"{HEAD}{GOOD}{CANARY}\xe9,1,2\n".encode("latin-1"), "byte 33 is not UTF-8 text"),
    "cut character": (f"{HEAD}{GOOD}{CANARY}ü".encode()[:-1], "byte 33 is not UTF-8 text"),
    "utf-16 with a mark": (f"{HEAD}{CANARY},1,2\n".encode("utf-16"), "UTF-16 text"),
    "utf-16 without": (
        f"{HEAD}{CANARY},1,2\n".encode("utf-16-le"),
        "line 1: column number 1: a NUL",
    ),
    "NUL": (f"{HEAD}{GOOD}{CANARY},1\0,2\n", "line 3: column number 2: a NUL byte"),
    "too short a row": (f"{HEAD}{GOOD}{CANARY},1\n", "line 3: 2 cells, the header has 3"),
    "too long a row": (f"{HEAD}{GOOD}\n{CANARY},1,2,3\n", "line 4: 4 cells, the header has 3"),
    "ragged behind lines in quotes": (
        f'{HEAD}"a\n\n",1,2\n{CANARY},1\n',
        "line 5: 2 cells, the header has 3",
    ),
    "a quote inside a cell": (f'{HEAD}{GOOD}a,{CANARY}",2\n', "line 3: column number 2: a quote"),
    "text behind a quote": (f'{HEAD}{GOOD}a,"1"{CANARY},2\n', "line 3: column number 2: a quote"),
    "a quote never closed": (f'{HEAD}{GOOD}"{CANARY},1,2\n{GOOD}', "line 3: a quote is opened"),
    "another delimiter": (
        f"ward;age;pulse\n{CANARY};1;2\n",
        "separated by commas; it looks like sem",
    ),
    "tabs": (f"ward\tage\tpulse\n{CANARY}\t1\t2\n", "it looks like tabs"),
    "decimal commas": (f"{HEAD}{CANARY},50,70,5\n", "line 2: 4 cells, the header has 3"),
    "nothing": ("", "the file is empty"),
    "blank lines only": ("\n\n", "first row must hold the column names"),
    "a heading and no rows": (HEAD, "no rows"),
    # headings
    "repeated heading": (f"ward,{CANARY},{CANARY}\na,1,2\n", "two columns have the same heading"),
    "missing heading": ("ward,age\na,1\n", "column 'pulse': of the schema, but not in the table"),
    "extra heading": (f"ward,age,pulse,{CANARY}\na,1,2,3\n", "(columns number 4)"),
    "empty heading": (f"ward,,pulse\n{CANARY},1,2\n", "not in the schema (columns number 2)"),
    "no heading": (f"{CANARY},1,2\n{GOOD}", "3 headings of the table are not in the schema"),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_faulty_files_are_refused_with_their_place(tmp_path, name):
    content, said = FAULTS[name]
    assert said in refusal(FileSource(written(tmp_path, content)))


ACCEPTED = {
    "byte order mark": f"\ufeff{HEAD}{GOOD}".encode(),
    "CRLF": f"{HEAD}{GOOD}".replace("\n", "\r\n").encode(),
    "CR": f"{HEAD}{GOOD}".replace("\n", "\r").encode(),
    "no line end": f"{HEAD}{GOOD}".strip().encode(),
    "blank lines": f"{HEAD}\n{GOOD}\n\n".encode(),
    "quotes": b'"ward","age",pulse\n"a","50","70.5"\n',
    "another order": b"pulse,ward,age\n70.5,a,50\n",
    "blanks": b" ward ,age,pulse\n a ,50 ,\t70.5\n",
    "other forms of the numbers": b"ward,age,pulse\na,+5e1,70.50\n",
}


@pytest.mark.parametrize("name", list(ACCEPTED))
def test_what_says_the_same_is_the_same(tmp_path, name):
    assert served(FileSource(written(tmp_path, ACCEPTED[name]))).codes.tolist() == [
        served(FileSource(written(tmp_path, HEAD + GOOD))).codes[0].tolist()
    ]


@pytest.mark.parametrize("block", [16, 17, 64])
def test_faults_are_placed_across_blocks_too(tmp_path, monkeypatch, block):
    monkeypatch.setattr("fedsynth_common.tables.csv_stream.BLOCK", block)
    for name, (content, said) in FAULTS.items():
        if name not in {"utf-16 without"}:
            assert said in refusal(FileSource(written(tmp_path, content)))
    for content in ACCEPTED.values():
        assert len(served(FileSource(written(tmp_path, content)))) == 1
    rows = "".join(f'"q""\n{n}",{n % 90},7\u00fc\n' for n in range(50))
    assert read_table(written(tmp_path, HEAD + rows))["ward"].tolist() == [
        f'q"\n{n}' for n in range(50)
    ]


def test_a_declared_encoding_is_held_to(tmp_path):
    content = f"{HEAD}{GOOD}{CANARY},1,2\n".encode("utf-16")
    assert "byte 52" in refusal(
        FileSource(written(tmp_path, content[:53]), Dialect(encoding="utf-16"))
    )
    bad = HEAD.encode() + b"\x81" + CANARY.encode()
    assert "byte 15 is not CP1252" in refusal(
        FileSource(written(tmp_path, bad), Dialect(encoding="cp1252"))
    )


def test_a_row_without_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("fedsynth_common.tables.csv_stream.LONGEST_ROW", 1 << 16)
    monkeypatch.setattr("fedsynth_common.tables.csv_stream.BLOCK", 1 << 12)
    content = HEAD + GOOD + '"' + CANARY * 100_000
    assert "line 3: a quote is never closed" in refusal(FileSource(written(tmp_path, content)))


# cells
def column(cells, name, **fields):
    kinds = {"age": IntegerColumn, "pulse": NumericColumn}
    schema = Schema(name="t", columns=(kinds[name](name=name, **fields),))
    encoded = load_records(
        pd.DataFrame({name: pd.Series(cells, dtype="str")}), schema, Randomness()
    )
    return encoded.codes[:, 0].tolist()


def test_numbers_that_are_none_are_missing_and_others_move_to_the_bounds():
    cells = ["1,5", "inf", "-inf", "nan", "1e999", "0x10", "1_0", "", " ", "٣", "1.000,5", "--1"]
    missing = 100
    assert column(cells, "age", minimum=0, maximum=99, nullable=True) == [missing] * len(cells)
    cells = ["-1", "100", "9007199254740993", "-1e300", "1e308", "98.6"]
    assert column(cells, "age", minimum=0, maximum=99) == [0, 99, 99, 0, 99, 99]


def test_whole_numbers_beyond_doubles_keep_their_digits(tmp_path):
    labels = ("9007199254740993", "9007199254740992", "18446744073709551615")
    schema = Schema(
        name="t", columns=(CategoricalColumn(name="k", categories=labels, nullable=True),)
    )
    cells = [int(text) for text in labels]
    for values in (pa.array(cells, pa.uint64()), pa.array([*cells, None], pa.uint64())):
        pq.write_table(pa.table({"k": values}), tmp_path / "k.parquet")
        found = load_records(tmp_path / "k.parquet", schema, Randomness()).codes[:, 0].tolist()
        assert found[:3] == [0, 1, 2]


BAD_CELLS = {
    "text for a number": ("age", CANARY),
    "a number out of bounds": ("age", "1000"),
    "a category not listed": ("ward", CANARY),
    "a locale's decimals": ("pulse", '"70,5"'),
    "infinite": ("pulse", "inf"),
}


@pytest.mark.parametrize("name", list(BAD_CELLS))
@pytest.mark.parametrize(("bad", "fit"), [(20, True), (21, False)])
def test_more_than_a_fifth_of_repaired_cells_is_refused(tmp_path, name, bad, fit):
    place, cell = BAD_CELLS[name]
    row = dict(zip(("ward", "age", "pulse"), GOOD.strip().split(","), strict=True))
    worse = ",".join((row | {place: cell}).values()) + "\n"
    source = FileSource(written(tmp_path, HEAD + worse * bad + GOOD * (100 - bad)))
    if fit:
        assert len(served(source)) == 100
    else:
        assert f"column '{place}': 21% of its cells do not fit" in refusal(source)
        preflight(source, SCHEMA, make_policy(), max_repaired=0.3).require_fit()


def test_finer_values_are_rounded_and_no_reason_to_refuse(tmp_path):
    source = FileSource(written(tmp_path, HEAD + "a,50,70.55\n" * 30))
    assert len(served(source)) == 30


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["5"] * 7 + [CANARY] + ["x"] * 2, "3 cells are not a number (first in record 8)"),
        (
            ["5"] * 9 + [None],
            "1 cell is missing; fill them or declare nullable = true (first in record 10)",
        ),
    ],
)
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_cells_that_cannot_be_repaired_are_told_by_record(cells, said, rows):
    from fedsynth_client.records.sources import FrameSource

    schema = Schema(name="t", columns=(IntegerColumn(name="age", minimum=0, maximum=99),))
    frame = pd.DataFrame({"age": pd.Series(cells, dtype="str")})
    told = refusal(FrameSource(frame, rows=rows), schema)
    assert said[said.index("(") :] in told
    assert rows < 100 or said in told


# columns and tables with nothing in them
def test_columns_that_say_nothing_are_served(tmp_path):
    source = FileSource(written(tmp_path, HEAD + ",,70.5\n" * 1000))
    result = preflight(source, SCHEMA, make_policy())
    assert (result.problems, result.notes) == ((), ())
    codes = served(source).codes
    assert len(np.unique(codes, axis=0)) == 1
    assert contingency(codes, [], [Marginal((Axis(0, 4),), 1)])[0].tolist() == [0, 0, 0, 1000]


@pytest.mark.parametrize("rows", [1, 999])
def test_tables_below_the_minimum_are_refused(tmp_path, rows):
    said = refusal(FileSource(written(tmp_path, HEAD + GOOD * rows)), min_records=1000)
    assert "the policy's min_records wants at least 1000" in said


# files that change
def test_a_file_that_is_replaced_meanwhile_changes_nothing(tmp_path):
    path = written(tmp_path, HEAD + GOOD * 5)
    records = served(FileSource(path))
    before, digest = records.codes.copy(), records.digest
    os.replace(written(tmp_path, HEAD + "b,1,1\n" * 9, "u.csv"), path)
    np.testing.assert_array_equal(records.codes, before)
    assert len(digest) == 64
    assert served(FileSource(path)).digest != digest


def test_a_file_that_is_replaced_while_it_is_read_is_read_as_it_was_opened(tmp_path, monkeypatch):
    monkeypatch.setattr("fedsynth_common.tables.csv_stream.BLOCK", 64)
    path = written(tmp_path, HEAD + GOOD * 50)
    chunks = FileSource(path).chunks()
    first = next(chunks)
    os.replace(written(tmp_path, "nonsense", "u.csv"), path)
    assert len(pd.concat([first, *chunks])) == 50


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("fedsynth_common.tables.csv_stream.BLOCK", 64)
    path = written(tmp_path, HEAD + GOOD * 50)
    chunks = FileSource(path).chunks()
    next(chunks)
    with path.open("a") as file:
        file.write(GOOD)
    with pytest.raises(InputError, match="changed while it was read"):
        list(chunks)


# people
def test_people_with_many_rows_are_bounded_wherever_their_rows_are(tmp_path, monkeypatch):
    monkeypatch.setattr("fedsynth_common.tables.csv_stream.BLOCK", 64)
    people = [f"{CANARY}{n % 7}" for n in range(100)]
    schema = Schema(
        name="t",
        columns=(IdColumn(name="who"), CategoricalColumn(name="ward", categories=("a", "b"))),
        person_key="who",
        rows_per_person=3,
    )
    content = "who,ward\n" + "".join(f"{who},{'ab'[n % 2]}\n" for n, who in enumerate(people))
    records = served(FileSource(written(tmp_path, content)), schema)
    assert np.bincount(records.person).tolist() == [3] * 7
    holes = content.replace(f"{CANARY}3,b", ",b", 1)
    said = refusal(FileSource(written(tmp_path, holes)), schema)
    assert "rows have no person key" in said


# what is no file, and places outside
def test_only_regular_files_are_read(tmp_path):
    path = written(tmp_path, HEAD + GOOD)
    (tmp_path / "link.csv").symlink_to(path)
    (tmp_path / "dead.csv").symlink_to(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name, said in {
        "link.csv": "symbolic link",
        "dead.csv": "symbolic link",
        "pipe.csv": "a pipe, socket or device",
        "folder.csv": "a folder",
        "none.csv": "no such file",
    }.items():
        assert said in refusal(FileSource(tmp_path / name))
    with pytest.raises(InputError, match="a pipe"):
        read_table(tmp_path / "pipe.csv")  # and does not wait for ever


@pytest.mark.skipif(not stat.S_ISCHR(os.stat("/dev/zero").st_mode), reason="no /dev/zero")
def test_devices_are_not_read(tmp_path):
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="device"):
        read_table(tmp_path / "zero.csv")


def test_a_folder_of_parts_cannot_lead_elsewhere(tmp_path):
    outside = tmp_path / "outside.parquet"
    pq.write_table(pa.table({"ward": ["a"], "age": [1], "pulse": [1.0]}), outside)
    folder = tmp_path / "parts"
    folder.mkdir()
    assert "no .parquet file" in refusal(open_source(folder))
    (folder / "part-0.parquet").symlink_to(outside)
    assert "symbolic link" in refusal(open_source(folder))
    (folder / "part-0.parquet").unlink()
    os.link(outside, folder / "part-0.parquet")
    pq.write_table(
        pa.table({"ward": ["a"], CANARY: [1], "pulse": [1.0]}), folder / "part-1.parquet"
    )
    assert "part-1.parquet: has other columns than part-0.parquet" in refusal(open_source(folder))


def test_unusual_columns_of_parquet_are_told_by_number(tmp_path):
    for values in ([[CANARY]], [{CANARY: 1}], [CANARY.encode()]):
        table = pa.table({"ward": ["a"], CANARY: values})
        pq.write_table(table, tmp_path / "t.parquet")
        assert "column number 2 is stored as" in refusal(FileSource(tmp_path / "t.parquet"))


def test_columns_can_be_ignored_by_the_site(tmp_path):
    path = written(tmp_path, f"note,ward,age,pulse\n{CANARY},a,50,70.5\n")
    assert len(served(WithoutColumns(FileSource(path), ["note"]))) == 1
    said = refusal(WithoutColumns(FileSource(path), ["nott"]))
    assert "ignored 'nott': no column" in said


def test_booleans_other_than_the_declared_are_refused(tmp_path):
    schema = Schema(name="t", columns=(BooleanColumn(name="b", true="yes", false="no"),))
    said = refusal(FileSource(written(tmp_path, f"b\nyes\nno\n{CANARY}\n")), schema)
    assert "1 cell is not listed" in said
    assert "first in record 3" in said


# the encoded copy
def test_codes_on_disk_are_the_codes_in_memory_and_have_no_name(tmp_path, monkeypatch):
    codes = np.random.default_rng(0).integers(0, 9, (1000, 3)).astype(np.uint16)
    kept = np.sort(np.random.default_rng(1).choice(1000, 400, replace=False))
    matrices = []
    for limit in (1 << 20, 100):
        monkeypatch.setattr("fedsynth_client.records.code_store.IN_MEMORY", limit)
        monkeypatch.setattr("fedsynth_client.records.code_store.CHUNK", 64)
        store = CodeStore(3, tmp_path)
        for start in range(0, 1000, 130):
            store.append(codes[start : start + 130])
        assert not list(tmp_path.iterdir())
        store.keep_rows(kept)
        matrices.append(store.finish())
        assert not matrices[-1].flags.writeable
    on_disk = matrices[1]
    assert isinstance(on_disk.base if on_disk.base is not None else on_disk, np.memmap)
    for matrix in matrices:
        np.testing.assert_array_equal(matrix, codes[kept])
        np.testing.assert_array_equal(take(matrix, np.array([7, 3, 7])), codes[kept][[7, 3, 7]])
        counts = contingency(matrix, [], [Marginal((Axis(0, 9), Axis(2, 9)), 1)])[0]
        assert counts.sum() == 400


def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr("fedsynth_client.records.code_store.IN_MEMORY", 100)
    store = CodeStore(3, tmp_path)
    store._move_to_disk()
    store._file.close()
    store._file = open("/dev/full", "wb")  # noqa: SIM115
    with pytest.raises(InputError, match="cannot be kept on disk"):
        for _ in range(100):
            store.append(np.zeros((1000, 3), np.uint16))
    store.close()
