"""`fedsynth benchmark shadow` as a command: options, progress, a table or JSON.

Exit codes: 0, 1 if an advantage lies beyond the bound of its ε, 2 for options that do not fit.
"""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_server.cli.options import VariantName
from fedsynth_simulations.benchmarks.options import DataFolder
from fedsynth_simulations.closed_file import NOTICE

if TYPE_CHECKING:
    from fedsynth_release.evaluation.results import Estimate
    from fedsynth_simulations.benchmarks.shadow_membership import Played

TOO_WEAK = (
    "the leaky generator was not noticed: "
    "the attack is too weak here to say anything; raise --pairs or take fewer --columns"
)


def shadow(
    table: Annotated[str, typer.Argument(help="A known table or a table file.")] = "adult",
    data: DataFolder = None,
    target: Annotated[
        str | None, typer.Option(help="Target column; known for the named tables.")
    ] = None,
    records: Annotated[int, typer.Option(help="Records of the game.")] = 500,
    columns: Annotated[
        str, typer.Option(help="Columns to model, separated by commas; default: all.")
    ] = "",
    epsilon: Annotated[
        list[float] | None,
        typer.Option(
            help="Budget of the studies; repeatable, a large one is a control. Default: 1."
        ),
    ] = None,
    delta: Annotated[float, typer.Option(help="δ of the studies.")] = 1e-5,
    variant: Annotated[
        list[VariantName] | None, typer.Option(help="Repeatable. Default: marginals.")
    ] = None,
    sites: Annotated[int, typer.Option(min=1, help="Sites that share the records.")] = 1,
    pairs: Annotated[
        int, typer.Option(min=8, help="Generators with, and as many without, the record.")
    ] = 100,
    rows: Annotated[int, typer.Option(min=100, help="Records of each synthetic table.")] = 20_000,
    full: Annotated[
        bool, typer.Option("--full", help="The product's own training; minutes per generator.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few training steps: a smoke test.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of records, attacker and noise.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Membership of the record that stands out most, by generators trained with and without it.

    For example:

      fedsynth benchmark shadow adult --columns age,education,capital-gain --pairs 100

      fedsynth benchmark shadow adult --epsilon 1 --epsilon 50 --variant marginals --variant both
    """
    from fedsynth_release.cli.evaluate import progress
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
    found = load(find(table, data, target, False))
    with progress() as say:
        games = list(play_all(found, wanted, say))
    _show(games, as_json)
    if too_weak(games):
        typer.echo(TOO_WEAK, err=True)
    if refuted := [game for game in games if game.refuted]:
        raise FedsynthError(f"{len(refuted)} game(s): an advantage beyond the bound of its ε")


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
    shown = Table("generator", "ε", "recognised", "mistaken", "advantage", "bound", "AUC", "s")
    for game in games:
        shown.add_row(
            game.generator,
            "-" if game.epsilon is None else f"{game.epsilon:g}",
            f"{game.recognised} of {game.tested}",
            f"{game.mistaken} of {game.tested}",
            _interval(game.advantage),
            "-" if game.bound is None else f"{game.bound:.3f}",
            _interval(game.auc),
            f"{game.seconds:.0f}",
        )
    console().print(shown)


def _fields(game: "Played") -> dict[str, Any]:
    intervals = {"advantage": game.advantage.model_dump(), "auc": game.auc.model_dump()}
    return asdict(game) | intervals | {"refuted": game.refuted, "noticed": game.noticed}


def _interval(found: "Estimate") -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
