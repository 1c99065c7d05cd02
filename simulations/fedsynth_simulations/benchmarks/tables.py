"""The tables of the benchmark: their targets, their sites, and which rows are held out.

Eight openly licensed tables have names and are read from the data folder. The table `exclusive_ors`
is built by the program (`exclusive_ors.py`). Any other table can be given as a file. A fifth of the
rows is the test set and never given to a site (`holdout.split_table`). The schema is drafted from
the **train rows** alone, so that no test row influences a bound, a category or a bin. Drafting
reads records without noise, which a real study must not do. Every method gets the same schema, so
the comparison is fair, but none of its results is private as a whole.

All columns are modelled, including those of `support2` from which its target follows (death,
surv2m, ...), because marginals should represent them too. The target AUC of its real rows is
therefore near 1; look at the mean over ten targets for this table.

The privacy unit of every row is one record and not one person (`diabetes130` and `oulad_clean` have
several rows of some people).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_common.tables import SUFFIXES, as_number, read_table
from fedsynth_release.drafting.draft import draft_schema
from fedsynth_simulations.benchmarks.exclusive_ors import ROWS, exclusive_ors
from fedsynth_simulations.benchmarks.options import DATA
from fedsynth_simulations.holdout import split_table


@dataclass(frozen=True, kw_only=True)
class Known:
    """Public facts of a named table.

    Attributes:
        target: the declared target.
        site_column: names each record's real site, if the table has one.
        natural: whether the real sites are used unless told otherwise.
        positive: the target is read as "above 0": its values mean different things per site.
        reviewed: whether a reviewed schema of it is shipped.
    """

    target: str
    site_column: str | None = None
    natural: bool = False
    positive: bool = False
    reviewed: bool = True


KNOWN = {
    "adult": Known(target="income"),
    "support2": Known(target="hospdead"),
    "diabetes130": Known(target="readmitted"),
    "heart_disease": Known(target="num", site_column="hospital", natural=True, positive=True),
    "credit_default_taiwan": Known(target="default payment next month"),
    "oulad_clean": Known(target="final_result", site_column="region"),
    "krkopt": Known(target="depth"),
    "artificial_characters": Known(target="Class", reviewed=False),
}
BUILT = "exclusive_ors"
"""The table that the program builds; see `exclusive_ors.py`."""


@dataclass(frozen=True)
class Source:
    """Where a table comes from, before anything is read.

    Attributes:
        name: how it is called in results.
        path: its file; empty for the built table.
        target: its target column.
        site_column: the column of the sites if they are the real ones, else None.
        positive: see `Known`.
        digest: of the file's bytes.
    """

    name: str
    path: str
    target: str | None
    site_column: str | None = None
    positive: bool = False
    digest: str = ""


@dataclass(frozen=True)
class BenchmarkTable:
    """Train rows, test rows and the schema they share.

    `train` and `test` hold modelled columns (and ids) only; `sites` the site of each train row, or
    None where sites are made up.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    schema: Schema
    sites: pd.Series | None


def find(text: str, data: Path | None, target: str | None, natural: bool) -> Source:
    """A known table in the folder `data`, or the file that `text` names.

    Raises:
        InputError: neither, the file is missing, or `natural` for a table without real sites.
    """
    if text == BUILT:
        return Source(name=BUILT, path="", target=target or "c0", digest=f"{ROWS} rows")
    known = KNOWN.get(text)
    if known is not None and data is None:
        raise InputError(
            f"{text}: is read from DIR/{text}.csv.gz; name the folder with --data DIR or {DATA}=DIR. "
            "Where to get the tables: simulations/README.md, Tables of the benchmark"
        )
    path = Path(text) if known is None or data is None else data / f"{text}.csv.gz"
    if not any(path.name.lower().endswith(suffix) for suffix in SUFFIXES):
        raise InputError(f"{text}: expected one of {', '.join(KNOWN)}, {BUILT}, or a table file")
    sites = known.site_column if known and (known.natural or natural) else None
    if natural and sites is None:
        raise InputError(f"--natural: {text} has no column of real sites")
    if not path.is_file():
        raise InputError(f"{path}: no such file; say where the tables are with --data or {DATA}")
    usual = known.target if known else None
    chosen = target or usual
    # without its site column, or with another target, a table is another table to every row
    extra = [f"sites: {sites}"] if sites else []
    extra += [f"target: {chosen}"] if chosen != usual else []
    stem = path.name.split(".")[0]
    return Source(
        name=f"{stem} ({', '.join(extra)})" if extra else stem,
        path=str(path),
        target=chosen,
        site_column=sites,
        positive=bool(known and known.positive and chosen == usual),
        digest=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
    )


def load(source: Source) -> BenchmarkTable:
    """Read, split, and draft the schema from the train rows."""
    frame = read_table(source.path) if source.path else exclusive_ors()
    if source.positive and source.target is not None:
        values = as_number(frame[source.target])
        frame[source.target] = pd.Series(values > 0).map({True: "yes", False: "no"})
    train, test = split_table(frame)
    sites = None
    if source.site_column is not None:
        sites = train[source.site_column]
        train = train.drop(columns=source.site_column)
        test = test.drop(columns=source.site_column)
    name = Path(source.path).name.split(".")[0] or BUILT
    return BenchmarkTable(train, test, draft_schema(train, name, source.target), sites)
