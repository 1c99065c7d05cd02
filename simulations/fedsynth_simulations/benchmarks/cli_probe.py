"""`fedsynth benchmark probe` as a command: options, progress, a table or JSON."""

import json
from typing import Annotated

import typer

from fedsynth_simulations.benchmarks.options import DataFolder


def probe(
    tables: Annotated[
        list[str],
        typer.Argument(metavar="TABLE...", help="A table with a name, or a table file."),
    ],
    data: DataFolder = None,
    target: Annotated[
        str | None, typer.Option(help="The target. Tables with a name have one already.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a line a table.")] = False,
) -> None:
    """How much a table holds beyond pairs of columns, and so what discriminators could add.

    Boosted trees and a logistic regression predict every column from the bins of the others, without
    noise. What trees predict better is in no pair of columns. This is no figure of fedsynth, and the
    rows are used without privacy.

    For example:

      fedsynth benchmark probe adult krkopt artificial_characters --data DIR
    """
    from dataclasses import asdict

    from rich.progress import track
    from rich.table import Table

    from fedsynth_simulations.benchmarks.beyond_pairs import beyond_pairs
    from fedsynth_simulations.benchmarks.report import console
    from fedsynth_simulations.benchmarks.tables import find, load

    grid = Table("table", "column", "logistic", "boosting", "gap", "nats")
    screen = console()
    sources = [find(table, data, target, False) for table in tables]
    for source in track(sources, "probe", console=screen, transient=True, disable=as_json):
        columns = beyond_pairs(load(source))
        if as_json:
            typer.echo(json.dumps({"table": source.name, "columns": [asdict(c) for c in columns]}))
        means = [
            sum(getattr(c, name) for c in columns) / max(1, len(columns))
            for name in ("logistic", "boosting", "gap", "nats")
        ]
        rows = [(c.column, c.logistic, c.boosting, c.gap, c.nats) for c in columns]
        for name, *figures in [*rows, ("mean of the columns", *means)]:
            grid.add_row(source.name, name, *(f"{figure:.3f}" for figure in figures))
        grid.add_section()
    if not as_json:
        screen.print(grid)
