"""One odd cell, in any source and at any place, changes the codes of no other record (claim 9)."""

import csv
import datetime
import decimal
import gzip
import sqlite3

import numpy as np
import pandas as pd
import postgres
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from odd_cells import COLUMNS, TEXTS, codes_of
from small_site import make_policy

from fedsynth_client.preflight.preflight import Inspection
from fedsynth_client.records.records import load_records
from fedsynth_client.records.sources import DatabaseSource, FolderSource, FrameSource, open_source
from fedsynth_client.records.sources.database_cells import printed
from fedsynth_common.errors import InputError
from fedsynth_common.privacy.randomness import Randomness, SeededRandomness
from fedsynth_common.schema import CategoricalColumn, IdColumn, Schema

USUAL = ["1", "a", None, "2020-01-31", "true", "P1D"]
PLACES = (0, 3, len(USUAL))


def cells_of(source):
    """The column `x` of a source."""
    return pd.concat([chunk["x"] for chunk in source.chunks()], ignore_index=True)


def assert_others_unchanged(usual, beside, place):
    for name, column in COLUMNS.items():
        expected, found = codes_of(usual, column), codes_of(beside, column)
        assert found[:place] + found[place + 1 :] == expected, name


def write_texts(path, cells):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["nr", "x"])
        writer.writerows([n, "" if cell is None else cell] for n, cell in enumerate(cells))
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    return open_source(path)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_texts_of_a_file(tmp_path, suffix):
    usual = cells_of(write_texts(tmp_path / f"t{suffix}", USUAL))
    for number, odd in enumerate(text for text in TEXTS[::3] if "\0" not in text):
        place = PLACES[number % 3]
        cells = [*USUAL[:place], odd, *USUAL[place:]]
        beside = cells_of(write_texts(tmp_path / f"t{suffix}", cells))
        assert_others_unchanged(usual, beside, place)


PARTS = {
    "whole": pa.array([1, None, 7, 2020]),
    "double": pa.array([1.0, None, 0.5, 2020.0]),
    "texts": pa.array(["1", None, "a", "2020-01-31"]),
    "boolean": pa.array([True, None, False]),
    "decimal": pa.array([decimal.Decimal("1.00"), None, decimal.Decimal("2.50")]),
    "date": pa.array([datetime.date(2020, 1, 31), None]),
    "moment": pa.array([datetime.datetime(2020, 1, 31, 8, 15), None], pa.timestamp("ms", "UTC")),
    "length": pa.array([datetime.timedelta(days=1), None]),
    "single": pa.array([0.1, None], pa.float32()),
    "nothing": pa.nulls(2),
}
SAME = {
    "whole": pa.array([1.0, None, 7.0, 2020.0]),
    "boolean": pa.array([True, None, False]).dictionary_encode(),
    "texts": pa.array(["1", None, "a", "2020-01-31"]).dictionary_encode(),
    "double": pa.array([1, None, decimal.Decimal("0.5"), 2020], pa.decimal128(9, 3)),
    "date": pa.array([datetime.datetime(2020, 1, 31), None], pa.timestamp("ns")),
    "length": pa.array([datetime.timedelta(days=1), None], pa.duration("s")),
}


def write_parts(folder, *parts):
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*"):
        old.unlink()
    for number, cells in enumerate(parts):
        pq.write_table(pa.table({"x": cells}), folder / f"{number}.parquet")
    return FolderSource(folder)


def test_parts_of_every_type_in_a_folder(tmp_path):
    chunks = [c["x"] for c in write_parts(tmp_path / "parts", *PARTS.values()).chunks()]
    joined = pd.concat(chunks, ignore_index=True)
    for name, column in COLUMNS.items():
        expected = [
            codes_of(cells_of(write_parts(tmp_path / "parts", cells)), column)
            for cells in PARTS.values()
        ]
        assert [codes_of(chunk, column) for chunk in chunks] == expected, name
        assert codes_of(joined, column) == [code for codes in expected for code in codes], name


@pytest.mark.parametrize("kind", SAME)
def test_a_part_that_declares_another_type_for_equal_cells(tmp_path, kind):
    alone = cells_of(write_parts(tmp_path / "parts", PARTS[kind]))
    again = cells_of(write_parts(tmp_path / "parts", SAME[kind]))
    for name, column in COLUMNS.items():
        if (name, kind) != (
            "limits",
            "double",
        ):  # exact decimals are texts, which a format is about
            assert codes_of(again, column) == codes_of(alone, column), name


def test_a_file_without_a_missing_cell_has_another_type_and_the_same_codes(tmp_path):
    """What pandas writes as whole numbers it writes as doubles once a cell is missing."""
    for cells in ([1, 0, 7, 2020], [True, False]):
        pd.DataFrame({"x": cells}).to_parquet(tmp_path / "a.parquet")
        pd.DataFrame({"x": pd.Series([*cells, None])}).to_parquet(tmp_path / "b.parquet")
        pd.DataFrame({"x": pd.Series([*cells, None])}).to_csv(tmp_path / "b.csv", index=False)
        for name, column in COLUMNS.items():
            expected = codes_of(cells_of(open_source(tmp_path / "a.parquet")), column)
            found = codes_of(cells_of(open_source(tmp_path / "b.parquet")), column)
            assert found[:-1] == expected, name
        for name in ("categorical", "integer", "numeric"):
            found = codes_of(cells_of(open_source(tmp_path / "b.csv")), COLUMNS[name])
            if cells[0] is not True:
                expected = codes_of(cells_of(open_source(tmp_path / "a.parquet")), COLUMNS[name])
                assert found[: len(cells)] == expected, name


DYNAMIC = ["1", 1, 1.5, None, "a", b"a", 2**62, "2020-01-31", "2020-06-31", 20200131, 1e300, ""]


@pytest.mark.parametrize("declared", ["", "REAL", "INTEGER", "TEXT", "DATE", "DATETIME", "BOOLEAN"])
@pytest.mark.parametrize("usual", [[1, 0, None], ["1", "2020-01-31", None], [1.0, 0.5, None]])
def test_any_type_of_cell_in_sqlite(tmp_path, declared, usual):
    pytest.importorskip("sqlalchemy", reason="the extra fedsynth-client[sql]")
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute(f"CREATE TABLE t (nr REAL PRIMARY KEY, x {declared})")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [*enumerate(usual)])
        connection.commit()
        source = DatabaseSource(url=f"sqlite:///{tmp_path}/t.db", table="t")
        alone = cells_of(source)
        for number, odd in enumerate(DYNAMIC):
            nr, place = ((-1, 0), (0.5, 1), (99, len(usual)))[number % 3]
            connection.execute("INSERT INTO t VALUES (?, ?)", (nr, odd))
            connection.commit()
            assert_others_unchanged(alone, cells_of(source), place)
            connection.execute("DELETE FROM t WHERE nr = ?", (nr,))
            connection.commit()
    connection.close()


POSTGRESQL = {
    "smallint": (["1", "0", None], ["32767"]),
    "bigint": (["1", "2020", None], ["9223372036854775807", "-1"]),
    "real": (["0.1", "1", None], ["NaN", "Infinity", "1e-30"]),
    "double precision": (["0.1", "1", None], ["NaN", "-Infinity", "1e300", "-0.0"]),
    "numeric": (["1.00", "2.50", None], ["NaN", "Infinity", "1e1000", "1e-1000", "9" * 60]),
    "boolean": (["true", "false", None], ["true"]),
    "text": (["1", "a", None], [text for text in TEXTS[::5] if "\0" not in text]),
    "char(3)": (["1", "a", None], ["", "xyz"]),
    "date": (["2020-01-31", "1960-05-05", None], ["infinity", "0044-03-15 BC", "5874897-12-31"]),
    "timestamp": (
        ["2020-01-31", "2020-01-31 08:15:00.5", None],
        ["-infinity", "0044-03-15 BC", "294276-12-31", "0001-01-01"],
    ),
    "timestamptz": (["2020-01-31", "2020-01-31 08:15+05", None], ["infinity", "0001-01-01+05"]),
    "time": (["08:15", "08:15:00.5", None], ["24:00"]),
    "interval": (["1 day", "36 hours", "-2 hours", None], ["300000 years", "1 mon", "0.000001 s"]),
    "json": (
        ["true", "false", "1", '"a"', None],
        ["null", "[1]", '{"a": 1}', "1e999999999", '"\\ud800"', "[" * 3000 + "]" * 3000, '""'],
    ),
    "jsonb": (["true", "false", '"1"', None], ["1", "null", "[true]", '"2020-01-31"', "1.0"]),
    "uuid": (["00000000-0000-0000-0000-000000000007", None], ["f" * 32]),
    "integer[]": (["{1,2}", None], ["{}", "{{1},{NULL}}"]),
    "money": (["1", None], ["-1000"]),
    "int4range": (["[1,3)", None], ["empty"]),
}


@pytest.mark.parametrize(
    ("kind", "usual", "odds"),
    [
        ("json", ["true", "false", None], ["1", "null", "[true]", '"true"']),
        ("moment", ["2020-01-31", "2020-01-31 08:15:00.5", None], ["infinity", "0044-03-15 BC"]),
        ("decimal", ["1.00", "2.50", None], ["NaN", "Infinity"]),
    ],
)
def test_one_odd_cell_of_postgresql_changes_no_other(kind, usual, odds):
    """The same without a server, from the texts that it prints."""
    alone = printed(usual, kind, 1, "t")
    for odd in odds:
        assert_others_unchanged(alone, printed([*usual, odd], kind, 1, "t"), len(usual))
        assert_others_unchanged(alone, printed([odd, *usual], kind, 1, "t"), 0)


@pytest.fixture(scope="module")
def server():
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="the extra fedsynth-client[sql]")
    pytest.importorskip("psycopg", reason="the extra fedsynth-client[sql]")
    with postgres.server() as url:
        yield url, sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")


@pytest.mark.parametrize("kind", POSTGRESQL)
def test_every_type_of_postgresql(server, kind):
    url, engine = server
    usual, odds = POSTGRESQL[kind]
    with engine.connect() as connection:

        def run(statement, *values):
            connection.exec_driver_sql(statement, values or None)

        run("DROP TABLE IF EXISTS t")
        run(f"CREATE TABLE t (nr float PRIMARY KEY, x {kind})")
        for nr, cell in enumerate(usual):
            run(f"INSERT INTO t VALUES (%s, CAST(%s::text AS {kind}))", nr, cell)  # noqa: S608
        table = DatabaseSource(url=url, table="t")
        query = DatabaseSource(url=url, query="SELECT * FROM t ORDER BY nr")
        alone = cells_of(table)
        for number, odd in enumerate([*odds, None]):
            nr, place = ((-1, 0), (0.5, 1), (99, len(usual)))[number % 3]
            run(f"INSERT INTO t VALUES (%s, CAST(%s::text AS {kind}))", nr, odd)  # noqa: S608
            beside = cells_of(table if place else query)
            assert_others_unchanged(alone, beside, place)
            run("DELETE FROM t WHERE nr = %s", nr)


@pytest.mark.parametrize(
    ("x", "same"),
    [
        ("1::int", "1.00::numeric"),
        ("1::bigint", "1::float4"),
        ("true", "'true'::jsonb"),
        ("1::int", "'1.0'::jsonb"),
        ("'a'::text", "'\"a\"'::json"),
        ("0.1::float8", "0.1::float4"),
        ("'2020-01-31'::date", "'2020-01-31'::timestamp"),
        ("'2020-01-31'::date", "'2020-01-31 05:00+05'::timestamptz"),
        ("'f0000000-0000-0000-0000-000000000007'::uuid", "'f0000000-0000-0000-0000-000000000007'"),
    ],
)
def test_equal_cells_of_different_types_of_postgresql(server, x, same):
    first, second = (
        cells_of(DatabaseSource(url=server[0], query=f"SELECT {cell} AS x")) for cell in (x, same)
    )
    for name, column in COLUMNS.items():
        assert codes_of(first, column) == codes_of(second, column), name


def test_the_servers_own_settings_change_nothing(server):
    url, engine = server
    cells = (
        "'1 day 2 hours'::interval AS x, '2020-01-31 12:00+00'::timestamptz AS y, 0.1::float8 AS z"
    )
    query = f"SELECT {cells}"
    expected = next(DatabaseSource(url=url, query=query).chunks())
    with engine.connect() as connection:
        for name, value in {
            "datestyle": "German",
            "timezone": "Asia/Tokyo",
            "intervalstyle": "sql_standard",
            "extra_float_digits": "-10",
        }.items():
            connection.exec_driver_sql(f"ALTER ROLE {postgres.USER} SET {name} = '{value}'")
        try:
            found = next(DatabaseSource(url=url, query=query).chunks())
        finally:
            connection.exec_driver_sql(f"ALTER ROLE {postgres.USER} RESET ALL")
    pd.testing.assert_frame_equal(found, expected)


def test_bytes_are_refused_by_the_columns_type_before_anything_is_served(server):
    for cell in ("NULL", "'S3CRET'"):
        query = f"SELECT 1 AS nr, {cell}::bytea AS x"
        with pytest.raises(InputError, match="column number 2 holds bytes") as refused:
            list(DatabaseSource(url=server[0], query=query).chunks())
        assert "S3CRET" not in str(refused.value)


WARD = CategoricalColumn(name="x", categories=("a", "b"), nullable=True)
PERSONS = Schema(name="p", columns=(IdColumn(name="who"), WARD), person_key="who")
KEYS = ["1", 1, 1.0, np.float32(1), decimal.Decimal("1.00"), "1.0", " 1"]


def test_a_person_is_one_whatever_type_holds_the_key(tmp_path):
    frame = pd.DataFrame({"who": pd.Series(KEYS, dtype=object), "x": "a"})
    assert len(load_records(frame, PERSONS, SeededRandomness(0))) == 1
    for number, key in enumerate(KEYS):
        cell = pa.array([key]) if not isinstance(key, str) else pa.array([key], pa.large_string())
        pq.write_table(pa.table({"who": cell, "x": ["a"]}), tmp_path / f"{number}.parquet")
    assert len(load_records(tmp_path, PERSONS, SeededRandomness(0))) == 1


def test_serving_and_simulations_read_a_table_alike(tmp_path):
    cells = pd.Series(["a", 1, True, None, b"x", "b"] * 3, dtype=object)
    frame = pd.DataFrame({"who": range(len(cells)), "x": cells})
    inspection = Inspection(PERSONS, make_policy(), max_repaired=1.0, keep=True)
    inspection.read(FrameSource(frame, rows=5))
    served = inspection.records.finish(Randomness())
    simulated = load_records(frame, PERSONS, Randomness())
    assert served.digest == simulated.digest


def test_a_uuid_names_a_person(server):
    query = "SELECT md5((n / 2)::text)::uuid AS who, 'a' AS x FROM generate_series(0, 9) AS n"
    assert (
        load_records(DatabaseSource(url=server[0], query=query), PERSONS, Randomness()).units == 5
    )
