"""`data` of a site's configuration: a table file, a folder of parts, or a description of a source.

A description is a small TOML file for what a path alone cannot say: how a CSV file is written, or
which database to ask. Exactly one of two forms:

    file = "export.csv"            # relative to the description's folder
    delimiter = ";"                # "," ";" "|" or a tab
    encoding = "cp1252"

    url = "postgresql+psycopg://vault@db.example.org/hospital"      # without a password; or
    url_file = "database.url"      # a file that is closed to others (chmod 600); or
    url_variable = "FEDSYNTH_DB"   # an environment variable; these two may hold a password
    table = "registry.patients"    # or: query = "SELECT ... "

Where rows are events of persons and the columns of persons are in a table of their own, either form may
also say

    persons = "persons.csv"        # a file, a folder of parts or another description
    person_key = "person"          # the column by which both tables are joined
"""

import os
import stat
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from fedsynth_client.records.sources.database import DatabaseSource, has_password
from fedsynth_client.records.sources.files import FileSource, FolderSource
from fedsynth_client.records.sources.joined import JoinedSource
from fedsynth_client.records.sources.source import Source
from fedsynth_common.errors import InputError
from fedsynth_common.tables import Delimiter, Dialect, Encoding
from fedsynth_common.validated import read_settings

WHAT = "description of a source"


class Description(BaseModel):
    """One source, as a person describes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    file: Path | None = None
    delimiter: Delimiter = ","
    encoding: Encoding = "utf-8"
    url: str | None = None
    url_file: Path | None = None
    url_variable: str | None = None
    table: str | None = None
    query: str | None = None
    persons: Path | None = None
    person_key: str | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        addresses = self.url, self.url_file, self.url_variable
        given = sum(place is not None for place in (self.file, *addresses))
        if given != 1:
            raise ValueError("expected one of file, url, url_file and url_variable")
        if self.file is None and {"delimiter", "encoding"} & self.model_fields_set:
            raise ValueError("delimiter and encoding belong to a file, not to a database")
        asked = (self.table is not None) + (self.query is not None)
        if asked != (self.file is None):
            raise ValueError("a database needs one of table and query, a file neither")
        if (self.persons is None) != (self.person_key is None):
            raise ValueError("persons and person_key: give both, or neither")
        return self

    def source(self, folder: Path) -> Source:
        """The source; relative places are relative to `folder`.

        Raises:
            InputError: no address, or one whose password is where others could read it.
        """
        source = self._table(folder)
        if self.persons is None or self.person_key is None:
            return source
        persons = open_source(folder / self.persons.expanduser(), one_table=True)
        return JoinedSource(source, persons, self.person_key)

    def _table(self, folder: Path) -> Source:
        if self.file is not None:
            dialect = Dialect(delimiter=self.delimiter, encoding=self.encoding)
            return FileSource(folder / self.file.expanduser(), dialect)
        return DatabaseSource(url=self._address(folder), table=self.table, query=self.query)

    def _address(self, folder: Path) -> str:
        if self.url is not None:
            if has_password(self.url):
                raise InputError(
                    "url: holds a password; put the address into url_file or url_variable"
                )
            return self.url
        if self.url_variable is not None:
            if not (address := os.environ.get(self.url_variable, "").strip()):
                raise InputError(f"url_variable: {self.url_variable} is not set")
            return address
        return _secret(folder / (self.url_file or Path()).expanduser())


def open_source(path: Path, *, one_table: bool = False) -> Source:
    """The source that a path names. Nothing is read but a description.

    Raises:
        InputError: a faulty description, or one of two tables where `one_table` is expected.
    """
    if path.suffix == ".toml":
        described = read_settings(path, Description, f"{WHAT} {path}")
        if one_table and described.persons is not None:
            raise InputError(f"{WHAT} {path}: persons: expected one table here, not two")
        try:
            return described.source(path.absolute().parent)
        except InputError as error:
            raise InputError(f"{WHAT} {path}: {error}") from None
    if path.is_dir():
        return FolderSource(path)
    return FileSource(path)


def _secret(path: Path) -> str:
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise InputError(f"url_file {path}: others may read it; close it with: chmod 600")
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise InputError(f"url_file {path}: cannot be read") from None
