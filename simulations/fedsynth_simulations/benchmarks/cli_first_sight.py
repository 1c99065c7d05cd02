"""`fedsynth benchmark first-sight` as a command: options, progress, a table or JSON."""

import json
from pathlib import Path
from typing import Annotated

import typer


def first_sight(
    tables: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Tables to try.")],
    epsilon: Annotated[float, typer.Option(help="The privacy budget ε of each study.")] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a line a table.")] = False,
) -> None:
    """What the one-line command makes of tables about which nothing is said.

    Each table is drafted, simulated with three sites and pairs of columns, and compared with the rows
    that come out. A table that is refused is named, with the reason, and the next one is tried.

    For example:

      fedsynth benchmark first-sight admissions.csv loans.parquet
    """
    from dataclasses import asdict, astuple

    from rich.console import Console
    from rich.table import Table

    from fedsynth_common.errors import InputError
    from fedsynth_simulations.benchmarks.first_sight import HEADINGS, first_sight
    from fedsynth_simulations.benchmarks.report import console

    errors, grid = Console(stderr=True), Table(*HEADINGS)
    for file in tables:
        with errors.status(file.name):
            try:
                seen = first_sight(file, epsilon)
            except InputError as error:
                errors.print(f"{file.name}: {error}", markup=False, highlight=False)
                continue
        if as_json:
            typer.echo(json.dumps(asdict(seen)))
        grid.add_row(
            *(f"{one:.4g}" if isinstance(one, float) else str(one) for one in astuple(seen))
        )
    if not as_json:
        console().print(grid)
