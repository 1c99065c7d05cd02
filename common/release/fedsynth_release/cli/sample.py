"""`fedsynth sample`: records from a finished generator, streamed to CSV or Parquet."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track

from fedsynth_common.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from fedsynth_release.generator import Generator

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

RARE = 0.01
"""Percent of records below which a condition gets a warning."""

EPILOG = (
    "Example:  fedsynth sample out/generator --rows 10000 --out synthetic.parquet "
    "--where 'age>=65' --where 'region in north,south'"
)


@app.command(epilog=EPILOG)
def sample(
    generator: Annotated[Path, typer.Argument(help="Folder of a finished generator.")],
    out: Annotated[Path, typer.Option(help="File to write: .csv, .csv.gz or .parquet.")],
    rows: Annotated[int | None, typer.Option(min=1, help="Number of records to draw.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Only records for which this holds: COLUMN, then =, !=, <, <=, >, >=, 'in', "
            "'not in' and a value, or 'is missing'. Several: all must hold."
        ),
    ] = None,
    given: Annotated[
        Path | None,
        typer.Option(
            help="Instead of --rows: a table whose absent columns and empty cells to draw."
        ),
    ] = None,
    rebalance: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN[=VALUE:SHARE,...]",
            help="Other shares of a column's categories: equal ones, or as listed.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="For the same records again.")] = None,
    croissant: Annotated[
        bool,
        typer.Option("--croissant", help="Also write croissant.json (metadata) beside the table."),
    ] = False,
    licence: Annotated[
        str | None, typer.Option(help="Licence that croissant.json states: a URL or a text.")
    ] = None,
    escape_formulas: Annotated[
        bool,
        typer.Option(
            "--escape-formulas",
            help="For spreadsheets: an apostrophe before CSV texts that begin with = + - @, tab or CR.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Draw records from a finished generator, or complete given rows.

    Memory does not grow with the number of records drawn.
    """
    from fedsynth_release.generator import Generator  # loads torch: not for --help
    from fedsynth_release.statement.croissant import CROISSANT, NO_LICENCE, write_croissant
    from fedsynth_release.table_writer import TableWriter, inert

    if (rows is None) == (given is None):
        raise InputError("expected either --rows or --given")
    if given is not None and (where or rebalance):
        option = "--where" if where else "--rebalance"
        raise InputError(f"{option}: not together with --given; put the values into its table")
    if out.exists() and not force:
        raise InputError(f"{out}: exists; choose another name or pass --force")
    if licence and not croissant:
        raise InputError("--licence: is for croissant.json; pass --croissant too")
    if croissant and (out.parent / CROISSANT).exists() and not force:
        raise InputError(f"{out.parent / CROISSANT}: exists; pass --force to replace it")
    if escape_formulas and out.suffix == ".parquet":
        raise InputError("--escape-formulas: is for .csv; a Parquet file holds no formulas")
    target = TableWriter(
        out, escape_formulas=escape_formulas
    )  # a wrong name is refused before the generator is read
    source = Generator.load(generator)
    console = Console(stderr=True)
    frames = (
        _drawn(source, rows, tuple(where or ()), rebalance, seed, console)
        if given is None
        else _completed(source, given, seed)
    )
    columns: list[str] = []
    with target as writer:
        for frame in frames:
            writer.write(frame)
            columns = [str(name) for name in frame.columns]
    if escape_formulas:
        columns = [str(inert(name)) for name in columns]
    if croissant:
        write_croissant(out, source.schema, source.statement, columns, licence or NO_LICENCE, force)
    for caveat in source.statement.caveats:
        console.print("[bold]note:[/bold]", caveat, soft_wrap=True, highlight=False)


def _completed(source: "Generator", given: Path, seed: int | None) -> "Iterable[pd.DataFrame]":
    from fedsynth_common.tables import read_table

    return [source.complete(read_table(given), seed)]


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
                "[bold]note:[/bold] so rare a group was hardly measured; what these records say of "
                "it is mostly what the generator says of larger ones",
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
