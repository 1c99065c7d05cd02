"""`fedsynth benchmark stream` as a command: options, progress, a table or JSON."""

import json
from typing import Annotated

import typer

from fedsynth_server.cli.options import VariantName
from fedsynth_simulations.benchmarks.options import (
    DataFolder,
    JsonLines,
    Quick,
    Seeds,
    Sites,
    StudyVariant,
)


def stream(
    table: Annotated[str, typer.Argument(help="A table with a name, or a table file.")],
    data: DataFolder = None,
    order: Annotated[
        str | None,
        typer.Option(help="Column of numbers that orders the records. Default: the file."),
    ] = None,
    cohorts: Annotated[int, typer.Option(min=2, help="Number of cohorts of equal size.")] = 8,
    epsilon: Annotated[float, typer.Option(help="The ε of each cohort.")] = 0.5,
    pooled_epsilon: Annotated[
        float, typer.Option(help="The ε of one study of all records together.")
    ] = 2.0,
    half_life: Annotated[
        float, typer.Option(help="Cohorts after which what was measured counts half.")
    ] = 8.0,
    seed: Seeds = None,
    sites: Sites = 5,
    variant: StudyVariant = VariantName.MARGINALS,
    quick: Quick = False,
    as_json: JsonLines = False,
) -> None:
    """Compare refreshes of a growing table with one study of all of it and of its newest part.

    All figures are about the newest cohort, of which a fifth is held out.

    For example:

      fedsynth benchmark stream diabetes130 --order encounter_id --seed 0 --seed 1 --seed 2
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from fedsynth_simulations.benchmarks.report import console
    from fedsynth_simulations.benchmarks.stream import Wanted, compare
    from fedsynth_simulations.benchmarks.tables import find

    source, errors = find(table, data, None, False), Console(stderr=True)
    grid = Table("row", "ε", "seed", "2-way TVD", "mean AUC", "drift (columns + pairs)")
    for number in seed or [0]:
        wanted = Wanted(
            source,
            order,
            cohorts,
            epsilon,
            pooled_epsilon,
            sites,
            half_life,
            variant.value,
            number,
            quick,
        )
        with errors.status(f"seed {number}") as status:

            def say(what: str, status: object = status, number: int = number) -> None:
                status.update(f"seed {number}: {what}")  # type: ignore[attr-defined]

            for row in compare(wanted, say):
                if as_json:
                    typer.echo(json.dumps(asdict(row)))
                spent = "-" if row.epsilon is None else f"{row.epsilon:g}"
                figures = f"{row.tvd_2:.4f}", f"{row.mean_auc:.4f}", "; ".join(row.drifts)
                grid.add_row(row.row, spent, str(row.seed), *figures)
    if not as_json:
        console().print(grid)
