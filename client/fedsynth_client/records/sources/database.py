"""Records in a database: one SELECT, streamed, in a transaction that cannot write.

PostgreSQL and SQLite, through SQLAlchemy (the extra `sql`, locks/sql.txt). PostgreSQL reads a
single snapshot (REPEATABLE READ, READ ONLY) through a server-side cursor, so that neither
the server nor the vault holds the whole answer; SQLite opens the file in mode `ro`. A whole table is
read in the order of its primary key: the same rows give the same codes each time.

Every cell is read by itself, as its column is declared (`database_cells`). Neither the driver nor
SQLAlchemy converts a cell to a Python type that it chooses.

A password never stands in a configuration: the address may come from a file that is closed to other
users or from a variable, or the driver finds the password itself (~/.pgpass). Errors tell what failed
and the SQLSTATE, never the driver's text, which quotes cells.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, repeat
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

import pandas as pd

from fedsynth_client.records.sources.database_cells import (
    Kind,
    held,
    kind_of_number,
    kind_of_type,
    printed,
)
from fedsynth_common.errors import InputError
from fedsynth_common.extras import how_to_install
from fedsynth_common.tables import check_names

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine, Select, TextClause

ROWS = 1 << 14  # fetched at once
DIALECTS = ("postgresql", "sqlite")
DRIVERS = ("postgresql+psycopg", "postgresql")  # of PostgreSQL; the second stands for the first
SETTINGS = {
    "client_encoding": "UTF8",
    "datestyle": "ISO",
    "intervalstyle": "iso_8601",
    "timezone": "UTC",
    "extra_float_digits": "1",  # the shortest digits that give a number back
}
INSTALL = (
    f"databases need SQLAlchemy and a driver: {how_to_install('sql')}, or with hashes "
    "pip install --require-hashes -r locks/sql.txt"
)


@dataclass(frozen=True, kw_only=True)
class DatabaseSource:
    """A table (`schema.name` if need be) or a query of a database."""

    url: str = field(repr=False)  # may hold a password
    table: str | None = None
    query: str | None = None

    @property
    def name(self) -> str:
        """The database's address without user, password and options."""
        url = _address(self.url)
        place = url.host or "" if url.get_backend_name() == "postgresql" else ""
        return f"{url.get_backend_name()} database {'/'.join(filter(None, (place, url.database)))}"

    def chunks(self) -> Iterator[pd.DataFrame]:
        """The rows of the answer.

        Raises:
            InputError: no driver, no connection, no such table, a faulty query, or no rows.
        """
        engine = self._engine()
        try:
            with engine.connect() as connection:
                yield from self._frames(_read_only(connection))
        except (InputError, MemoryError):
            raise
        except Exception as error:  # SQLAlchemy's own, or a cell that is not of its column's type
            self._refuse(error)
        finally:
            engine.dispose()

    def _engine(self) -> "Engine":
        url = _address(self.url)  # says so if SQLAlchemy is not there
        import sqlalchemy
        from sqlalchemy.exc import NoSuchModuleError

        if url.get_backend_name() not in DIALECTS:
            raise InputError(
                f"{url.get_backend_name()} databases: not supported; expected {' or '.join(DIALECTS)}, "
                "or an export to Parquet or CSV"
            )
        if url.drivername == "postgresql":
            url = url.set(drivername=DRIVERS[0])
        if url.get_backend_name() == "sqlite":
            read_only = {"mode": "ro", "uri": "true"}
            url = url.set(database=f"file:{quote(url.database or '')}", query=read_only)
        elif url.drivername not in DRIVERS:
            raise InputError(f"{url.drivername}: expected {DRIVERS[0]}; {INSTALL}")
        try:
            return sqlalchemy.create_engine(
                url, poolclass=sqlalchemy.NullPool, hide_parameters=True
            )
        except (ImportError, NoSuchModuleError):
            raise InputError(f"{url.drivername}: {INSTALL}") from None

    def _frames(self, connection: "Connection") -> Iterator[pd.DataFrame]:
        postgresql = connection.dialect.name == "postgresql"
        statement, kinds = self._statement(connection)
        if postgresql:
            _as_printed(connection)
        result = connection.execute(statement)
        names = [str(key).strip() for key in result.keys()]  # noqa: SIM118 - a result is no mapping
        check_names(names, self.name)
        if postgresql:
            described: Any = result.cursor.description if result.cursor else ()
            kinds = [kind_of_number(column.type_code) for column in described]
        kinds = kinds or list(repeat("text", len(names)))
        some = False
        for rows in result.partitions(ROWS):
            some = True
            columns = [
                printed(cells, kind, place, self.name) if postgresql else held(cells, kind)
                for place, cells, kind in zip(
                    count(1), zip(*rows, strict=True), kinds, strict=False
                )
            ]
            yield pd.concat(columns, axis=1, keys=names)
        if not some:
            raise InputError(f"{self.name}: the table or query has no rows")

    def _statement(
        self, connection: "Connection"
    ) -> "tuple[Select[Any] | TextClause, Sequence[Kind]]":
        """What is asked, and how a SQLite table's columns are declared; nothing for a query."""
        import sqlalchemy
        from sqlalchemy.exc import NoSuchTableError

        if self.query is not None:
            return sqlalchemy.text(self.query.replace(":", "\\:")), ()
        *schema, name = (self.table or "").split(".")
        try:
            table = sqlalchemy.Table(
                name,
                sqlalchemy.MetaData(),
                schema=".".join(schema) or None,
                autoload_with=connection,
                resolve_fks=False,
            )
        except NoSuchTableError:
            raise InputError(
                f"{self.name}: no table {self.table!r} that this user can see"
            ) from None
        # columns without a type, so that SQLAlchemy hands over what the database holds
        columns: list[Any] = [sqlalchemy.column(column.name) for column in table.columns]
        rows = sqlalchemy.select(*columns).select_from(table).order_by(*table.primary_key.columns)
        return rows, [kind_of_type(column.type) for column in table.columns]

    def _refuse(self, error: Exception) -> NoReturn:
        original = getattr(error, "orig", None)
        state = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
        told = f"{type(error).__name__}{f' ({state})' if state else ''}"
        raise InputError(
            f"{self.name}: {told}; check address, user, password and the query with the database's "
            "own client (its text is withheld, it could quote a cell)"
        ) from None


def _address(text: str) -> "URL":
    try:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError:
        raise InputError(INSTALL) from None
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise InputError(
            "the database's address is none; expected postgresql+psycopg://USER@HOST/DATABASE "
            "or sqlite:////FILE"
        ) from None
    if url.get_backend_name() != "sqlite" and "@" in f"{url.host}{url.database}":
        raise InputError(  # else the rest of the password would pass for a host, and be printed
            "the database's address has a second @; write the one of a password as %40"
        )
    return url


def has_password(url: str) -> bool:
    """Whether an address holds a password.

    Raises:
        InputError: it is no address.
    """
    address = _address(url)
    return address.password is not None or any("password" in name for name in address.query)


def _read_only(connection: "Connection") -> "Connection":
    if connection.dialect.name == "postgresql":
        return connection.execution_options(
            isolation_level="REPEATABLE READ",
            postgresql_readonly=True,
            stream_results=True,
            max_row_buffer=ROWS,
        )
    connection.exec_driver_sql("PRAGMA query_only = ON")  # beside mode=ro
    return connection.execution_options(stream_results=True, max_row_buffer=ROWS)


def _as_printed(connection: "Connection") -> None:
    """Make the server print cells in one way whatever its settings are; the driver converts none."""
    from psycopg.types.string import TextLoader

    driver: Any = connection.connection.driver_connection
    for name, value in SETTINGS.items():
        driver.execute(f"SET LOCAL {name} = '{value}'")
    for known in driver.adapters.types:
        for number in filter(None, (known.oid, known.array_oid)):
            driver.adapters.register_loader(number, TextLoader)
