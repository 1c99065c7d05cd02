"""The command `fedsynth benchmark shadow`, which prints a table or JSON.

Exit codes: 0; 1 if an advantage lies above the bound of its ε; 2 if the options cannot be used.
"""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_server.cli.options import VariantName
from fedsynth_simulations.benchmarks.options import DataFolder, Quick
from fedsynth_simulations.closed_file import NOTICE

if TYPE_CHECKING:
    from fedsynth_release.evaluation.result_parts import Estimate
    from fedsynth_simulations.benchmarks.shadow_membership import Played

TOO_WEAK = (
    "the attack did not notice the leaky generator, so it is too weak here to say anything; use more "
    "--pairs or fewer --columns"
)


def shadow(
    table: Annotated[str, typer.Argument(help="A table with a name, or a table file.")] = "adult",
    data: DataFolder = None,
    target: Annotated[
        str | None, typer.Option(help="The column to predict. Tables with a name have one already.")
    ] = None,
    records: Annotated[int, typer.Option(help="Number of records in the game.")] = 500,
    columns: Annotated[
        str, typer.Option(help="The columns to model, separated by commas. By default all.")
    ] = "",
    epsilon: Annotated[
        list[float] | None,
        typer.Option(
            help="The ε of the studies. Repeat the option for several; a very large ε is a control. "
            "Default: 1."
        ),
    ] = None,
    delta: Annotated[float, typer.Option(help="The δ of the studies.")] = 1e-5,
    variant: Annotated[
        list[VariantName] | None,
        typer.Option(help="The variant of the studies. Repeat for several. Default: marginals."),
    ] = None,
    sites: Annotated[
        int, typer.Option(min=1, help="Number of sites that the records are dealt out to.")
    ] = 1,
    pairs: Annotated[
        int,
        typer.Option(min=8, help="Number of generators with the record, and of those without it."),
    ] = 100,
    rows: Annotated[
        int, typer.Option(min=100, help="Number of records in each synthetic table.")
    ] = 20_000,
    full: Annotated[
        bool,
        typer.Option("--full", help="Train as in a real study; this takes minutes per generator."),
    ] = False,
    quick: Quick = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of records, attacker and noise.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Attack the membership of an outlier, with generators trained with and without it.

    For example:

      fedsynth benchmark shadow adult --columns age,education,capital-gain --pairs 100

      fedsynth benchmark shadow adult --epsilon 1 --epsilon 50 --variant marginals --variant both
    """
    from fedsynth_release.progress import stages
    from fedsynth_simulations.benchmarks.shadow_games import Wanted
    from fedsynth_simulations.benchmarks.shadow_membership import play_all, too_weak
    from fedsynth_simulations.benchmarks.tables import find, load

    wanted = Wanted(
        records=records,
        columns=tuple(name.strip() for name in columns.split(",") if name.strip()),
        epsilons=tuple(dict.fromkeys(epsilon or [1.0])),
        variants=tuple(dict.fromkeys(name.value for name in variant or [VariantName.MARGINALS])),
        delta=delta,
        sites=sites,
        pairs=pairs,
        rows=rows,
        training="full" if full else "quick" if quick else "short",
        seed=seed,
    )
    if full and quick:
        raise InputError("--full and --quick: expected one of them")
    if not 0 < delta <= 0.1:
        raise InputError(f"--delta {delta:g}: expected a number above 0 and at most 0.1")
    benchmark_table = load(find(table, data, target, False))
    with stages() as say:
        games = list(play_all(benchmark_table, wanted, say))
    _show(games, as_json)
    if too_weak(games):
        typer.echo(TOO_WEAK, err=True)
    if refuted := [game for game in games if game.refuted]:
        raise FedsynthError(f"{len(refuted)} game(s) have an advantage above the bound of their ε")


def _show(games: "list[Played]", as_json: bool) -> None:
    from rich.table import Table

    from fedsynth_simulations.benchmarks.report import console

    if as_json:
        typer.echo(
            json.dumps(
                {"notice": NOTICE, "games": [_fields(game) for game in games]}, ensure_ascii=False
            )
        )
        return
    results = Table("generator", "ε", "recognised", "mistaken", "advantage", "bound", "AUC", "s")
    for game in games:
        results.add_row(
            game.generator,
            "-" if game.epsilon is None else f"{game.epsilon:g}",
            f"{game.recognised} of {game.tested}",
            f"{game.mistaken} of {game.tested}",
            _interval(game.advantage),
            "-" if game.bound is None else f"{game.bound:.3f}",
            _interval(game.auc),
            f"{game.seconds:.0f}",
        )
    console().print(results)


def _fields(game: "Played") -> dict[str, Any]:
    intervals = {"advantage": game.advantage.model_dump(), "auc": game.auc.model_dump()}
    return asdict(game) | intervals | {"refuted": game.refuted, "noticed": game.noticed}


def _interval(estimate: "Estimate") -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
