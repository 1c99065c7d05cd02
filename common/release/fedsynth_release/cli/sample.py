"""`fedsynth sample` draws records from a finished generator and writes them to CSV or Parquet."""

from collections.abc import Iterable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track

from fedsynth_common.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from fedsynth_release.generator import Generator


class Format(StrEnum):
    """Formats of a table, as its name ends."""

    CSV = "csv"
    CSV_GZ = "csv.gz"
    PARQUET = "parquet"


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

RARE = 0.01
"""If a condition holds for less than this percentage of records, the command prints a warning."""

EPILOG = (
    "Examples:\n\n"
    "fedsynth sample out/generator --rows 10000 --out synthetic.parquet\n\n"
    "fedsynth sample out/generator --rows 10000 --out old.csv "
    "--where 'age>=65' --where 'region in north,south'\n\n"
    "fedsynth sample out/generator --rows 10000 --out balanced.csv --rebalance sex=F:0.5,M:0.5\n\n"
    "fedsynth sample out/generator --given partly.csv --out complete.csv\n\n"
    "Of persons with events:\n\n"
    "fedsynth sample out/generator --rows 1000 --persons persons.csv --out events.csv "
    "--where 'any(ward)=surgery'\n\n"
    "fedsynth sample out/generator --given events.csv --next 2 --out later.csv"
)


@app.command(epilog=EPILOG)
def sample(
    generator: Annotated[
        Path, typer.Argument(help="Folder of a finished generator, or of a release.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="File to write: .csv, .csv.gz or .parquet. With --format its name needs no ending."
        ),
    ],
    rows: Annotated[int | None, typer.Option(min=1, help="Number of records to draw.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Draw only records that meet this condition. Write the COLUMN, then =, !=, <, <=, "
            ">, >=, 'in' or 'not in' and a value, or write 'is missing'. Repeat the option for "
            "several conditions; every record then meets all of them. Of persons with events, "
            "any(COLUMN) in the place of a column of events asks for persons with such an event."
        ),
    ] = None,
    given: Annotated[
        Path | None,
        typer.Option(
            help="Complete the rows of this table instead of drawing --rows new records. Its cells "
            "stay as they are; its empty cells and absent columns are drawn to go with them. Of "
            "persons with events, continue the histories of this table; --out holds their next events."
        ),
    ] = None,
    following: Annotated[
        int | None,
        typer.Option(
            "--next", min=1, help="With --given, how many next events each person gets; default: 1."
        ),
    ] = None,
    persons: Annotated[
        Path | None,
        typer.Option(
            help="Of persons with events, write the persons to this file, one row each. The file "
            "--out then holds the events; the person key links the two."
        ),
    ] = None,
    rebalance: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN[=VALUE:SHARE,...]",
            help="Change the shares of a column's categories. With COLUMN alone all categories get "
            "equal shares. Shares that sum to less than 1 leave the rest to the other categories, as "
            "they are drawn.",
        ),
    ] = None,
    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="The format of the file, which is added to its name."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="The same seed draws the same records again.")
    ] = None,
    croissant: Annotated[
        bool,
        typer.Option(
            "--croissant",
            help="Also write croissant.json beside the table. It describes the table to catalogues.",
        ),
    ] = False,
    licence: Annotated[
        str | None,
        typer.Option(help="The licence that croissant.json states, as a URL or a text."),
    ] = None,
    escape_formulas: Annotated[
        bool,
        typer.Option(
            "--escape-formulas",
            help="Put an apostrophe before every CSV text that begins with = + - @, tab or CR, so "
            "that a spreadsheet program does not run it as a formula.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Draw records from a finished generator, or complete rows that are given.

    The records are written piece by piece, so any number of them fits into memory.
    """
    from fedsynth_release.generator import Generator  # here so that --help does not load torch
    from fedsynth_release.generator_files import generator_folder
    from fedsynth_release.statement.croissant import (
        CROISSANT,
        NO_LICENCE,
        record_sets,
        write_croissant,
    )
    from fedsynth_release.table_writer import TableWriter, inert

    out = _named(out, file_format, "--out")
    persons = persons and _named(persons, file_format, "--persons")
    if (rows is None) == (given is None):
        raise InputError("expected one of --rows and --given, and not both")
    if given is not None and (where or rebalance):
        option = "--where" if where else "--rebalance"
        raise InputError(
            f"{option}: cannot be used with --given; put the values into the given table instead"
        )
    if following is not None and given is None:
        raise InputError("--next: continues the histories of --given; pass that too")
    _check_persons(persons, out, given)
    for file in (out, persons):
        if file is not None and file.exists() and not force:
            raise InputError(f"{file}: exists; choose another name or pass --force")
    if licence and not croissant:
        raise InputError("--licence: is written into croissant.json only; pass --croissant too")
    if croissant and (out.parent / CROISSANT).exists() and not force:
        raise InputError(f"{out.parent / CROISSANT}: exists; pass --force to replace it")
    if escape_formulas and out.suffix == ".parquet":
        raise InputError(
            "--escape-formulas: is for .csv files only; leave it out, because no program runs "
            "formulas from a Parquet file"
        )
    # made first, so that a wrong file name is refused before the generator is read
    targets = [
        TableWriter(file, escape_formulas=escape_formulas) for file in (out, persons) if file
    ]
    source = Generator.load(generator_folder(generator))
    if persons is not None and source.schema.histories is None:
        raise InputError("--persons: this generator draws records without events; leave it out")
    console = Console(stderr=True)
    frames = (
        _drawn(source, rows, tuple(where or ()), rebalance, seed, console)
        if given is None
        else _completed(source, given, following, seed)
    )
    columns: list[list[str]] = []
    with ExitStack() as stack:
        writers = [stack.enter_context(target) for target in targets]
        for frame in frames:
            parts = _parts(frame, source, len(writers))
            for writer, part in zip(writers, parts, strict=True):
                writer.write(part)
            columns = [[str(name) for name in part.columns] for part in parts]
    if escape_formulas:
        columns = [[str(inert(name)) for name in names] for names in columns]
    if croissant:
        beside = None if persons is None else (persons, columns[1])
        described = record_sets(out, columns[0], source.schema, beside)
        write_croissant(described, source.schema, source.statement, licence or NO_LICENCE, force)
    for caveat in source.statement.caveats:
        console.print("[bold]note:[/bold]", caveat, soft_wrap=True, highlight=False)


def _named(file: Path, file_format: Format | None, option: str) -> Path:
    """The file with the ending of its format.

    Raises:
        InputError: its name ends as another format does.
    """
    if file_format is None or file.name.endswith(f".{file_format.value}"):
        return file
    if any(file.name.endswith(f".{other.value}") for other in Format):
        fault = f"does not end in .{file_format.value}"
        raise InputError(f"{option} {file}: {fault}, the --format; leave one of the two out")
    return file.with_name(f"{file.name}.{file_format.value}")


def _check_persons(persons: Path | None, out: Path, given: Path | None) -> None:
    if persons is None:
        return
    if given is not None:
        raise InputError("--persons: the persons of --given are there already; leave it out")
    if persons.resolve() == out.resolve() or persons.parent.resolve() != out.parent.resolve():
        fault = "expected another file than --out, in the same folder"
        raise InputError(f"--persons {persons}: {fault}")


def _parts(frame: "pd.DataFrame", source: "Generator", tables: int) -> "list[pd.DataFrame]":
    """The events and, if two tables are wanted, their persons."""
    from fedsynth_release.histories.history_tables import separated

    if tables == 1:
        return [frame]
    persons, events = separated(frame, source.schema)
    return [events, persons]


def _completed(
    source: "Generator", given: Path, following: int | None, seed: int | None
) -> "Iterable[pd.DataFrame]":
    from fedsynth_common.tables import read_table

    table = read_table(given)
    if source.schema.histories is not None or following is not None:
        return [source.continued(table, following or 1, seed)]
    return [source.complete(table, seed)]


def _drawn(
    source: "Generator",
    rows: int | None,
    where: tuple[str, ...],
    rebalance: str | None,
    seed: int | None,
    console: Console,
) -> "Iterable[pd.DataFrame]":
    if where:
        percent = float(f"{100 * source.probability(where):.2g}")
        subject = "condition holds" if len(where) == 1 else "conditions hold"
        console.print(f"{subject} for about {percent:g} % of records", highlight=False)
        if percent < RARE:
            console.print(
                "[bold]note:[/bold] the sites have too few such records to measure the group well, "
                "so these records mostly show what the generator learned from larger groups",
                soft_wrap=True,
                highlight=False,
            )
    return track(
        source.stream(rows or 0, seed, where, rebalance),
        "sampling",
        total=-(-(rows or 0) // 50_000),
        console=console,
        disable=not console.is_terminal,
    )
