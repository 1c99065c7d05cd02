"""Records in a database: one SELECT, streamed, in a transaction that cannot write.

PostgreSQL and SQLite, through SQLAlchemy (the extra `sql`, locks/sql.txt). PostgreSQL reads a
single snapshot (REPEATABLE READ, READ ONLY) through a server-side cursor, so neither side holds the
whole answer; SQLite opens the file in mode `ro`. A whole table is read in the order of its primary
key: the same rows give the same codes each time.

A password never stands in a configuration: the address may come from a closed file or a variable, or
the driver finds the password itself (~/.pgpass). Errors tell what failed and the SQLSTATE, never
the driver's text, which quotes cells.
"""

import decimal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

import pandas as pd
import pyarrow as pa

from fedsynth_common.errors import InputError
from fedsynth_common.tables import as_text, check_names, frame_of

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine, Select, TextClause

ROWS = 1 << 14  # fetched at once
DIALECTS = ("postgresql", "sqlite")
INSTALL = "databases need SQLAlchemy and a driver: pip install --require-hashes -r locks/sql.txt"


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
        if url.get_backend_name() == "sqlite":
            read_only = {"mode": "ro", "uri": "true"}
            url = url.set(database=f"file:{quote(url.database or '')}", query=read_only)
        try:
            return sqlalchemy.create_engine(
                url, poolclass=sqlalchemy.NullPool, hide_parameters=True
            )
        except (ImportError, NoSuchModuleError):
            raise InputError(f"{url.drivername}: {INSTALL}") from None

    def _frames(self, connection: "Connection") -> Iterator[pd.DataFrame]:
        result = connection.execute(self._statement(connection))
        names = [str(key).strip() for key in result.keys()]  # noqa: SIM118 - a result is no mapping
        check_names(names, self.name)
        some = False
        for rows in result.partitions(ROWS):
            some = True
            columns = [_stored(cells) for cells in zip(*rows, strict=True)]
            yield frame_of(pa.table(columns, names=names), self.name)
        if not some:
            raise InputError(f"{self.name}: the table or query has no rows")

    def _statement(self, connection: "Connection") -> "Select[Any] | TextClause":
        import sqlalchemy
        from sqlalchemy.exc import NoSuchTableError

        if self.query is not None:
            return sqlalchemy.text(self.query.replace(":", "\\:"))
        *schema, name = (self.table or "").split(".")
        try:
            found = sqlalchemy.Table(
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
        return sqlalchemy.select(found).order_by(*found.primary_key.columns)

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


def _stored(cells: Sequence[object]) -> pa.Array:
    """A column of Python objects as the type they have in common; as their texts if none.

    The texts are those that each cell has by itself: one odd cell must not turn another's 1 into 1.0.
    """
    if any(isinstance(cell, decimal.Decimal) for cell in cells):
        # all digits that the database has: a common scale would add zeros to some
        cells = [format(c, "f") if isinstance(c, decimal.Decimal) else c for c in cells]
    try:
        return pa.array(cells, from_pandas=False)
    except (pa.ArrowException, OverflowError):
        texts = as_text(pd.Series(list(cells), dtype=object))
        return pa.array(texts, pa.string(), from_pandas=True)
