"""What a user may hand in as a table: a pandas DataFrame, or the path of a CSV or Parquet file."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from fedsynth.notices import ColumnWarning, notice
from fedsynth.options import wrong
from fedsynth_common.errors import InputError
from fedsynth_common.tables import read_table
from fedsynth_release.cli.csv_dialect import dialect_of

Table = pd.DataFrame | str | Path
"""A table in memory, or the path of one: .csv, .csv.gz or .parquet."""
Sites = Mapping[str, Table]
"""The table of each site, by the site's name."""
EXPECTED = "a pandas DataFrame or the path of a .csv, .csv.gz or .parquet file"


def table_of(data: object, what: str) -> pd.DataFrame:
    """The table, with texts as names of its columns and rows that are numbered anew.

    Args:
        data: the table or its path.
        what: the argument, for messages.

    Raises:
        WrongTypeError: it is neither.
        InputError: the file cannot be read, or the names of the columns cannot be used.
    """
    if isinstance(data, str | Path):
        return read_table(data, dialect_of(Path(data)))
    if not isinstance(data, pd.DataFrame):
        raise wrong(what, EXPECTED, data)
    if isinstance(data.columns, pd.MultiIndex):
        raise InputError(f"{what}: its columns have several levels; give each one name")
    names = [str(name) for name in data.columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{what}: two columns are called {twice!r}; rename one")
    if not len(data):
        raise InputError(f"{what}: the table has no rows")
    if data.index.name is not None:
        text = f"the index {data.index.name!r} is left out; call reset_index() to make it a column"
        notice(text, ColumnWarning)
    return data.set_axis(names, axis=1).reset_index(drop=True)


def sites_of(data: Table | Sites) -> pd.DataFrame | dict[str, pd.DataFrame]:
    """One table, or the table of each site.

    Raises:
        WrongTypeError: it is neither.
        InputError: there is no site, or a table cannot be used.
    """
    if not isinstance(data, Mapping):
        if not isinstance(data, str | Path | pd.DataFrame):
            raise wrong("data", f"{EXPECTED}, or a dict of one for each site", data)
        return table_of(data, "data")
    if not data:
        raise InputError("data: the dict names no site; expected {name: table}")
    for name in data:
        if not isinstance(name, str) or not name:
            raise wrong("data", "names of sites that are texts", name)
    return {name: table_of(table, f"data[{name!r}]") for name, table in data.items()}


def name_of(data: object) -> str:
    """A name for the schema: that of the file, else `table`."""
    if isinstance(data, str | Path):
        return Path(data).name.split(".")[0] or "table"
    return "table"
