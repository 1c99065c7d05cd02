"""The same table gives the same codes, bit for bit, from every source; databases are read read-only."""

import csv
import gzip
import resource
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import postgres
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mixed_table import NAMES, SCHEMA, csv_text, rows

from fedsynth_client.records.records import load_records
from fedsynth_client.records.sources import DatabaseSource, FileSource, FolderSource, open_source
from fedsynth_common.encoding import encode
from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_common.privacy.randomness import SeededRandomness
from fedsynth_common.tables import Dialect, as_text, read_table
from fedsynth_release.drafting.draft import draft_schema

sqlalchemy = pytest.importorskip("sqlalchemy", reason="the extra fedsynth-client[sql]")
types = sqlalchemy.types
ROWS = rows()
COLUMNS = ", ".join(NAMES)
DATA = Path(__file__).parents[5] / "shared" / "data"
TYPES = pa.schema(
    [
        ("patient", pa.string()),
        ("ward", pa.dictionary(pa.int32(), pa.string())),
        ("code", pa.int64()),
        ("smoker", pa.bool_()),
        ("age", pa.int16()),
        ("visits", pa.uint8()),
        ("price", pa.decimal128(10, 2)),
        ("pulse", pa.float64()),
        ("single", pa.float32()),
        ("admitted", pa.date32()),
        ("seen", pa.timestamp("us")),
    ]
)


def arrow(part=slice(None)):
    return pa.Table.from_pylist(ROWS[part], schema=TYPES)


def write_csv(path, delimiter=",", encoding="utf-8", line="\n"):
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=line)
        writer.writerow(NAMES)
        writer.writerows([csv_text(row[name]) for name in NAMES] for row in ROWS)
    return path


def records(source):
    found = load_records(source, SCHEMA, SeededRandomness(3))
    return found.codes, found.person, found.digest


def assert_same(source, expected):
    codes, person, digest = records(source)
    np.testing.assert_array_equal(codes, expected[0])
    np.testing.assert_array_equal(person, expected[1])
    assert digest == expected[2]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return records(write_csv(tmp_path_factory.mktemp("csv") / "t.csv"))


def test_the_table_has_everything_in_it(expected):
    codes = expected[0]
    assert len(codes) < len(ROWS)  # of each person with three rows, one is left out
    assert [len(np.unique(codes[:, k])) > 2 for k in range(codes.shape[1])] == [True] * 10


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize(
    ("encoding", "line"), [("cp1252", "\r\n"), ("utf-16", "\n"), ("latin-1", "\r")]
)
def test_csv_however_it_is_written(tmp_path, expected, delimiter, encoding, line):
    path = write_csv(tmp_path / "t.csv", delimiter, encoding, line)
    assert_same(FileSource(path, Dialect(delimiter=delimiter, encoding=encoding)), expected)


def test_gzipped_csv(tmp_path, expected):
    plain = write_csv(tmp_path / "t.csv").read_bytes()
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(plain))
    assert_same(tmp_path / "t.csv.gz", expected)


@pytest.mark.parametrize("version", ["1.0", "2.6"])
def test_typed_parquet(tmp_path, expected, version):
    pq.write_table(arrow(), tmp_path / "t.parquet", row_group_size=37, version=version)
    assert_same(tmp_path / "t.parquet", expected)


def test_parquet_of_pandas_with_an_index(tmp_path, expected):
    frame = arrow().to_pandas()
    frame.index = frame.index[::-1] + 5
    frame["code"] = pd.array([row["code"] for row in ROWS], dtype="Int64")
    frame.to_parquet(tmp_path / "t.parquet")
    assert_same(tmp_path / "t.parquet", expected)


def test_a_folder_of_parts(tmp_path, expected):
    folder = tmp_path / "parts"
    folder.mkdir()
    for number, start in enumerate(range(0, len(ROWS), 90)):
        table = arrow(slice(start, start + 90))
        order = NAMES if number % 2 else NAMES[::-1]  # parts are matched by name
        pq.write_table(table.select(order), folder / f"part-{number:04}.parquet")
    (folder / "_SUCCESS").write_text("")
    assert_same(open_source(folder), expected)
    assert isinstance(open_source(folder), FolderSource)


def columns_of(dialect):
    number = types.Numeric(10, 2) if dialect == "postgresql" else types.Text()
    kinds = {
        "code": types.BigInteger(),
        "smoker": types.Boolean(),
        "age": types.SmallInteger(),
        "visits": types.Integer(),
        "price": number,
        "pulse": types.Double(),
        "single": types.Float(24),
        "admitted": types.Date(),
        "seen": types.DateTime(),
    }
    return [
        sqlalchemy.Column("nr", types.Integer(), primary_key=True),
        *(sqlalchemy.Column(name, kinds.get(name, types.Text())) for name in NAMES),
    ]


def fill(url):
    engine = sqlalchemy.create_engine(url)
    meta = sqlalchemy.MetaData()
    table = sqlalchemy.Table("visits", meta, *columns_of(engine.dialect.name))
    meta.create_all(engine)
    values = [{"nr": number, **row} for number, row in enumerate(ROWS)]
    if engine.dialect.name == "sqlite":
        for row in values:
            row["price"] = None if row["price"] is None else str(row["price"])
    with engine.begin() as connection:
        # not in the order of the key: the source must put them into it
        connection.execute(table.insert(), values[::-1])
    engine.dispose()


@pytest.fixture(scope="module")
def sqlite_url(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'records.db'}"
    fill(url)
    return url


@pytest.fixture(scope="module")
def postgres_url():
    pytest.importorskip("psycopg", reason="the extra fedsynth-client[sql]")
    with postgres.server() as url:
        fill(url)
        yield url


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def database(request):
    return request.getfixturevalue(request.param)


class Without:
    """A source less one column."""

    def __init__(self, source):
        self.source, self.name = source, source.name

    def chunks(self):
        return (chunk.drop(columns="nr") for chunk in self.source.chunks())


def test_a_table_of_a_database(database, expected):
    assert_same(Without(DatabaseSource(url=database, table="visits")), expected)


def test_a_query_of_postgresql(postgres_url, expected):
    query = f"SELECT {COLUMNS} FROM visits WHERE ward IS NULL OR ward <> ':x %s' ORDER BY nr"  # noqa: S608
    assert_same(DatabaseSource(url=postgres_url, query=query), expected)


@pytest.mark.parametrize("statement", ["DELETE FROM visits RETURNING nr", "DROP TABLE visits"])
def test_a_database_is_never_written_to(database, statement):
    with pytest.raises(InputError, match=r"SQLITE_READONLY|42601"):
        list(DatabaseSource(url=database, query=statement).chunks())
    source = DatabaseSource(url=database, query="SELECT count(*) AS n FROM visits")
    assert int(next(source.chunks())["n"].iloc[0]) == len(ROWS)


def test_postgresql_itself_keeps_the_transaction_read_only(postgres_url):
    settings = ("transaction_read_only", "transaction_isolation")
    query = "SELECT " + ", ".join(f"current_setting('{name}') AS {name}" for name in settings)
    row = next(DatabaseSource(url=postgres_url, query=query).chunks()).iloc[0]
    assert row.tolist() == ["on", "repeatable read"]
    writing = "SELECT pg_notify('x', 'y')::text, nextval('visits_nr_seq') AS n"
    with pytest.raises(InputError, match="25006|42P01"):
        list(DatabaseSource(url=postgres_url, query=writing).chunks())


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("SELECT CAST('S3CRET' AS integer) AS n", "22P02"),
        ("SELECT S3CRET FROM visits", "42703"),
        ("SELECT nr, nr FROM visits", "more than once"),
        ("SELECT nr FROM visits WHERE nr < 0", "no rows"),
        ("SELECT 'S3CRET'::bytea AS a", "column number 1"),
    ],
)
def test_faults_of_a_query_quote_nothing(postgres_url, query, fault):
    with pytest.raises(InputError, match=fault) as refused:
        list(DatabaseSource(url=postgres_url, query=query).chunks())
    assert "S3CRET" not in str(refused.value)
    assert postgres.PASSWORD not in str(refused.value)


def test_a_wrong_password_and_a_server_that_is_not_there(postgres_url):
    for url in (
        postgres_url.replace("correct", "S3CRET"),
        postgres_url.replace("127.0.0.1", "127.0.0.9"),
    ):
        with pytest.raises(InputError, match="OperationalError") as refused:
            list(DatabaseSource(url=url, table="visits").chunks())
        assert "S3CRET" not in str(refused.value)
        assert refused.value.__suppress_context__


def test_an_answer_is_streamed(postgres_url):
    """Half a million rows of 100 bytes pass through less than 100 MB."""
    query = "SELECT n, repeat('x', 100) AS text FROM generate_series(1, 500000) AS n"
    before, count = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    for chunk in DatabaseSource(url=postgres_url, query=query).chunks():
        count += len(chunk)
        if count > 200_000:
            break  # the server goes on only as far as it is read
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_tables_that_are_not_there(database):
    with pytest.raises(InputError, match="no table 'none'"):
        list(DatabaseSource(url=database, table="none").chunks())


def test_a_missing_sqlite_file_is_not_made(tmp_path):
    source = DatabaseSource(url=f"sqlite:///{tmp_path / 'none.db'}", table="visits")
    with pytest.raises(InputError, match="OperationalError"):
        list(source.chunks())
    assert not list(tmp_path.iterdir())


def test_sqlite_files_of_odd_names(tmp_path):
    path = tmp_path / "a?b#c %41.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES ('x')")
    connection.close()
    url = sqlalchemy.URL.create("sqlite", database=str(path)).render_as_string()
    assert next(DatabaseSource(url=url, table="t").chunks())["a"].tolist() == ["x"]


@pytest.mark.skipif(not DATA.is_dir(), reason="the public tables are not here")
def test_adult_from_csv_parquet_and_sqlite(tmp_path):
    frame = read_table(DATA / "adult.csv.gz")
    schema = draft_schema(frame, "adult", target=frame.columns[-1])
    codes = encode(frame, schema).codes
    typed = frame.copy()
    for name in ("age", "hours-per-week"):
        typed[name] = typed[name].astype("int64")
    typed.to_parquet(tmp_path / "adult.parquet", row_group_size=5000)
    with sqlite3.connect(tmp_path / "adult.db") as connection:
        typed.astype(object).where(typed.notna(), None).to_sql("adult", connection, index=False)
    connection.close()
    database = DatabaseSource(url=f"sqlite:///{tmp_path / 'adult.db'}", query="SELECT * FROM adult")
    for source in (DATA / "adult.csv.gz", tmp_path / "adult.parquet", database):
        np.testing.assert_array_equal(
            load_records(source, schema, SeededRandomness(0)).codes, codes
        )


def described(folder, text):
    (folder / "source.toml").write_text(text)
    return open_source(folder / "source.toml")


def test_descriptions(tmp_path, expected, sqlite_url, monkeypatch):
    write_csv(tmp_path / "t.csv", ";", "latin-1")
    assert_same(
        described(tmp_path, 'file = "t.csv"\ndelimiter = ";"\nencoding = "latin-1"'), expected
    )
    query = f'query = "SELECT {COLUMNS} FROM visits ORDER BY nr"'  # noqa: S608
    monkeypatch.setenv("FEDSYNTH_TEST_URL", sqlite_url)
    (tmp_path / "u").write_text(sqlite_url + "\n")
    (tmp_path / "u").chmod(0o600)
    for address in (
        f'url = "{sqlite_url}"',
        'url_variable = "FEDSYNTH_TEST_URL"',
        'url_file = "u"',
    ):
        assert described(tmp_path, f"{address}\n{query}") == DatabaseSource(
            url=sqlite_url, query=query[9:-1]
        )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "expected one of file"),
        ('file = "t.csv"\nurl = "sqlite:///x"\ntable = "t"', "expected one of file"),
        ('file = "t.csv"\ntable = "t"', "a database needs"),
        ('url = "sqlite:///x"', "a database needs"),
        ('url = "sqlite:///x"\ntable = "t"\ndelimiter = ";"', "belong to a file"),
        ('file = "t.csv"\ndelimiter = "x"', "delimiter"),
        ('file = "t.csv"\nencoding = "rot13"', "encoding"),
        ('url = "postgresql://u:S3CRET@h/d"\ntable = "t"', "holds a password"),
        ('url = "postgresql://u@h/d?password=S3CRET"\ntable = "t"', "holds a password"),
        ('url = "postgresql://u@h/d?sslpassword=S3CRET"\ntable = "t"', "holds a password"),
        ('url = "S3CRET"\ntable = "t"', "address is none"),
        ('url_variable = "FEDSYNTH_NO_SUCH"\ntable = "t"', "is not set"),
        ('url_file = "none"\ntable = "t"', "cannot be read"),
        ('url_file = "open"\ntable = "t"', "chmod 600"),
    ],
)
def test_faulty_descriptions(tmp_path, text, fault):
    (tmp_path / "open").write_text("sqlite:///S3CRET")
    (tmp_path / "open").chmod(0o644)
    with pytest.raises(InputError, match=fault) as refused:
        described(tmp_path, text)
    assert "S3CRET" not in str(refused.value)


@pytest.mark.parametrize(
    ("module", "url"),
    [
        ("sqlalchemy.engine", "sqlite:///x.db"),
        ("psycopg", "postgresql+psycopg://u@h/d"),
        (None, "postgresql+nodriver://u@h/d"),
    ],
)
def test_a_missing_library_is_named(monkeypatch, module, url):
    if module:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match="locks/sql.txt"):
        list(DatabaseSource(url=url, table="t").chunks())


def test_other_databases_are_refused_by_name():
    with pytest.raises(FedsynthError, match="mysql databases: not supported"):
        list(DatabaseSource(url="mysql://u@h/d", table="t").chunks())


def test_names_show_no_password():
    name = DatabaseSource(url="postgresql+psycopg://u:S3CRET@h:1/d", table="t").name
    assert name == "postgresql database h/d"


@pytest.mark.parametrize("password", ["pa@S3CRET", "pa@s/S3CRET"])
def test_a_second_at_sign_is_refused_before_anything_is_printed(password):
    source = DatabaseSource(url=f"postgresql+psycopg://u:{password}@h/d", table="t")
    with pytest.raises(InputError, match="%40") as refused:
        list(source.chunks())
    assert "S3CRET" not in str(refused.value) + repr(source)
    with pytest.raises(InputError, match="%40"):
        _ = source.name


def test_a_cell_of_another_type_than_its_column_is_a_text(tmp_path):
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute("CREATE TABLE t (day DATE)")
        connection.executemany("INSERT INTO t VALUES (?)", [("odd",), ("2020-01-31",)])
    connection.close()
    (chunk,) = DatabaseSource(url=f"sqlite:///{tmp_path}/t.db", table="t").chunks()
    assert as_text(chunk["day"]).tolist() == ["odd", "2020-01-31"]


def test_an_odd_cell_does_not_change_the_text_of_others(tmp_path):
    """Else one record could move the cells of all, and the noise covers one."""
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute("CREATE TABLE t (x REAL)")
        connection.executemany("INSERT INTO t VALUES (?)", [(1.0,), (0.5,), (None,)])
        connection.commit()
        source = DatabaseSource(url=f"sqlite:///{tmp_path}/t.db", query="SELECT x FROM t")
        alone = as_text(next(source.chunks())["x"]).tolist()
        connection.execute("INSERT INTO t VALUES ('odd')")
        connection.commit()
        beside = as_text(next(source.chunks())["x"]).tolist()
    connection.close()
    assert beside[:2] == alone[:2] == ["1", "0.5"]
    assert beside[3] == "odd"
