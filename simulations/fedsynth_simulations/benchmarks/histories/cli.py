"""`fedsynth benchmark histories`: persons with histories, beside real persons and floors."""

from pathlib import Path
from typing import Annotated

import typer

from fedsynth_simulations.benchmarks.options import DataFolder, ExternalLimit, OutFile, Quick


def histories(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="RAND (comes with the software), diabetes130 or credit (read from --data).",
        ),
    ],
    data: DataFolder = None,
    epsilon: Annotated[
        list[float] | None,
        typer.Option(
            min=0.01,
            max=100,
            help="The privacy budget ε of a person with all events. Repeat the option for several. "
            "Default: 1 and 3.",
        ),
    ] = None,
    delta: Annotated[
        float, typer.Option(min=1e-12, max=0.1, help="The δ of the guarantee.")
    ] = 1e-5,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds of each study.")] = 3,
    rows: Annotated[
        str,
        typer.Option(
            help="The rows, separated by commas: real (held-out persons), dealt (real events dealt "
            "to persons at random), local (sites trust nobody), secure-sum, par (SDV PAR; not private)."
        ),
    ] = "real,dealt,local",
    out: OutFile = None,
    external_env: Annotated[
        Path,
        typer.Option(help="The environment of par, which `external-env --networks` builds."),
    ] = Path(".benchmark-env"),
    external_limit: ExternalLimit = 7200.0,
    par_epochs: Annotated[
        int, typer.Option(min=1, help="Passes of PAR over the table; fewer are faster and poorer.")
    ] = 40,
    quick: Quick = False,
) -> None:
    """Measure synthetic persons with histories: what follows what, and who predicts the next event.

    For example:

      fedsynth benchmark histories RAND --epsilon 1 --epsilon 3 --out rand.json
    """
    from fedsynth_simulations.benchmarks.external import External
    from fedsynth_simulations.benchmarks.histories import results
    from fedsynth_simulations.benchmarks.histories.figures import Options
    from fedsynth_simulations.benchmarks.histories.tables import load
    from fedsynth_simulations.benchmarks.report import console

    chosen = results.check_rows(rows)
    loaded = load(table, data)
    finished = results.HistoryResults.read(out)
    cells = results.cells_of(table, chosen, sorted(set(epsilon or [1.0, 3.0])), delta, seeds)
    options = Options(quick, External(str(external_env), external_limit), par_epochs)
    results.compute(loaded, cells, finished, options, lambda line: typer.echo(line, err=True))
    console().print(results.shown(table, cells, finished))
