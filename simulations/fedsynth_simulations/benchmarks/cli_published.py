"""`fedsynth benchmark published` as a command: options, progress, a table or JSON."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fedsynth_common.errors import InputError
from fedsynth_server.cli.options import TRUST_HELP, TrustName, VariantName
from fedsynth_simulations.benchmarks.options import DATA, DataFolder, Quick, StudyVariant


class Benchmark(StrEnum):
    """Which published benchmark."""

    NIST = "nist"
    HETEROFEDSYN = "heterofedsyn"


def published(
    benchmark: Annotated[
        Benchmark,
        typer.Argument(
            help="nist: k-marginal score of the Massachusetts extract. heterofedsyn: federated Adult."
        ),
    ],
    data: DataFolder = None,
    epsilon: Annotated[
        list[float] | None,
        typer.Option(help="The privacy budget ε; repeatable. Default: 1 and 10, or 1 for Adult."),
    ] = None,
    sites: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Sites; repeatable. Default: 1 and 5, or 5, 10 and 25 for Adult."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds for each row.")] = 1,
    variant: StudyVariant = VariantName.MARGINALS,
    trust: Annotated[TrustName, typer.Option(help=TRUST_HELP)] = TrustName.LOCAL,
    quick: Quick = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a line a row.")] = False,
) -> None:
    """Compute figures that others have published of their methods, with their metric.

    For example:

      fedsynth benchmark published nist --epsilon 1 --sites 5 --seeds 3 --data DIR

      fedsynth benchmark published heterofedsyn --sites 5 --sites 25
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from fedsynth_simulations.benchmarks import published as rows
    from fedsynth_simulations.benchmarks.report import console
    from fedsynth_simulations.simulate import Simulation
    from fedsynth_simulations.simulate import quick as quickly

    name: rows.Name = "nist" if benchmark == Benchmark.NIST else "heterofedsyn"
    table = rows.NIST if benchmark == Benchmark.NIST else "adult"
    if data is None or not (data / f"{table}.csv.gz").is_file():
        raise InputError(
            f"{table}: is read from DIR/{table}.csv.gz; name the folder with --data DIR or {DATA}=DIR"
        )
    simulation = Simulation(variant=variant.value)
    asked = rows.Asked(
        name,
        Path(data),
        tuple(epsilon or rows.EPSILONS[name]),
        tuple(sites or rows.SITES[name]),
        seeds,
        trust.value,
        quickly(simulation) if quick else simulation,
    )
    grid = Table("row", "ε", "sites", "seed", "figures", "s")
    screen = console()
    with Console(stderr=True).status(f"{name}: a study takes from seconds to minutes"):
        for row in rows.published(asked):
            if as_json:
                typer.echo(json.dumps(asdict(row)))
            figures = ", ".join(f"{key} {value:.4g}" for key, value in row.figures.items())
            private = f"{row.epsilon:g}" if row.epsilon else "-"
            took = f"{row.seconds:.0f}" if row.epsilon else "-"
            grid.add_row(row.row, private, str(row.sites), str(row.seed), figures, took)
    if not as_json:
        screen.print(grid)
