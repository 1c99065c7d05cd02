"""`fedsynth benchmark speed` and `secure-sum` as commands: options, progress, a table or JSON."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fedsynth_simulations.benchmarks.timing import Timing


def speed(
    columns: Annotated[
        list[int] | None,
        typer.Option(min=2, max=500, help="Width of the tables; repeatable. Default: 15, 50, 200."),
    ] = None,
    rows: Annotated[
        list[int] | None,
        typer.Option(min=100, help="Records; repeatable. Default: 10,000 to 1,000,000."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each part; medians count.")] = 5,
    quick: Annotated[
        bool, typer.Option("--quick", help="15 columns, 10,000 records, 3 runs: a minute.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Seconds of every part of a study, beside a yardstick timed in the same run.

    Tables of more than 50 million cells are left out.

    For example:

      fedsynth benchmark speed --quick

      OMP_NUM_THREADS=1 fedsynth benchmark speed --columns 50 --rows 100000
    """
    from rich.console import Console

    from fedsynth_simulations.benchmarks.speed import ROWS, WIDTHS, timings

    widths, counts = columns or list(WIDTHS), rows or list(ROWS)
    if quick:
        widths, counts, repeats = columns or [15], rows or [10_000], min(repeats, 3)
    found, errors = [], Console(stderr=True)
    with errors.status("starting commands") as status:
        for timing in timings(widths, counts, repeats):
            found.append(timing)
            status.update(f"{len(found)} parts timed, the last: {_name(timing)}")
    if as_json:
        typer.echo(json.dumps([{**one._asdict(), "ratio": one.ratio} for one in found]))
        return
    _show(found, repeats)


def _name(timing: "Timing") -> str:
    size = f", {timing.columns} columns x {timing.rows:,}" if timing.columns else ""
    return f"{timing.part}{size}"


def _show(found: "list[Timing]", repeats: int) -> None:
    from rich.table import Table

    from fedsynth_simulations.benchmarks.report import console

    title = f"Medians of {repeats} runs; for training steps, rows are latents"
    table = Table("part", "columns", "rows", "seconds", "beside", "seconds", "ratio", title=title)
    for column in (1, 2, 3, 5, 6):
        table.columns[column].justify = "right"
    for one in found:
        size = (str(one.columns), f"{one.rows:,}") if one.columns else ("", "")
        seconds = (f"{one.seconds:.4f}", one.yardstick, f"{one.least:.4f}")
        table.add_row(one.part, *size, *seconds, f"{one.ratio:.2f}")
    console().print(table)


def secure_sum(
    sites: Annotated[
        list[int] | None,
        typer.Option(min=3, max=200, help="Number of sites; repeatable. Default: 3, 5, 20, 50."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a line for each.")] = False,
) -> None:
    """What a secure sum costs beside local noise: messages, bytes, and seconds of masking.

    For example:

      OMP_NUM_THREADS=1 fedsynth benchmark secure-sum --sites 3 --sites 50
    """
    from dataclasses import asdict

    from fedsynth_simulations.benchmarks.summed_overhead import sum_cost

    for number in sites or [3, 5, 20, 50]:
        cost = sum_cost(number)
        typer.echo(json.dumps(asdict(cost)) if as_json else "\n".join(cost.lines))
