"""`fedsynth benchmark lights` as a command: options, progress, a table or JSON.

Exit codes: 0; 1 if a column is good in the published report and poor in the internal one; 2 if the
options cannot be used.
"""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from fedsynth_common.errors import FedsynthError
from fedsynth_server.cli.options import VariantName
from fedsynth_simulations.benchmarks.options import (
    DataFolder,
    JsonLines,
    Quick,
    Seeds,
    Sites,
    StudyVariant,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from fedsynth_release.report.scores import Light
    from fedsynth_release.report.verdicts import Verdict
    from fedsynth_simulations.benchmarks.lights import Agreement

LIGHTS: "tuple[Light, ...]" = ("good", "fair", "poor", "unknown")


def lights(
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TABLE]...",
            help="Tables with a name, table files, or demo. By default the named tables and demo.",
        ),
    ] = None,
    data: DataFolder = None,
    epsilon: Annotated[
        list[float] | None,
        typer.Option(help="The privacy budget ε; repeatable. Default: 1, 3 and 10."),
    ] = None,
    seed: Seeds = None,
    sites: Sites = 5,
    variant: StudyVariant = VariantName.MARGINALS,
    quick: Quick = False,
    as_json: JsonLines = False,
) -> None:
    """Compare the lights of a report without real records with those of a report with a hold-out.

    The exit code is 1 if a column is good in the published report and poor in the internal one.

    For example:

      fedsynth benchmark lights heart_disease adult --epsilon 1 --epsilon 3

      fedsynth benchmark lights demo
    """
    from fedsynth_simulations.benchmarks.lights import DEMO, agreements, held_table
    from fedsynth_simulations.benchmarks.report import console
    from fedsynth_simulations.benchmarks.tables import KNOWN, find

    names = tables or [*KNOWN, DEMO]
    sources = [None if name == DEMO else find(name, data, None, False) for name in names]
    found: list[Agreement] = []
    for source in sources:
        for number in seed or [0]:
            held = held_table(source, sites, number)
            budgets, say = epsilon or [1.0, 3.0, 10.0], _say
            for one in agreements(held, budgets, number, variant.value, quick, say):
                found.append(one)
                if as_json:
                    typer.echo(json.dumps(one.to_dict()))
    if not as_json:
        _show(console(), found)
    wrong = sum(len(one.good_but_poor) for one in found)
    if wrong:
        raise FedsynthError(
            f"{wrong} columns are good in the published report and poor with real rows"
        )


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _rank(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _lights(verdicts: "Sequence[Verdict]") -> str:
    from fedsynth_release.report.verdicts import counts

    found = counts(verdicts)
    return " / ".join(str(found[light]) for light in LIGHTS)


def _show(console: "Console", found: "list[Agreement]") -> None:
    from rich.table import Table

    from fedsynth_simulations.benchmarks.lights import rank_agreement

    heads = ("table", "ε", "seed", "published: good / fair / poor / unknown", "with real rows")
    shown = Table(*heads, "good but poor", "rank agreement")
    for one in found:
        shown.add_row(
            one.table,
            f"{one.epsilon:g}",
            str(one.seed),
            _lights(one.published),
            _lights(one.internal),
            ", ".join(one.good_but_poor) or "0",
            _rank(rank_agreement([one])),
        )
    console.print(shown)
    for name in dict.fromkeys(one.table for one in found):
        own = [one for one in found if one.table == name]
        console.print(f"{name}: rank agreement {_rank(rank_agreement(own))}", highlight=False)
    console.print(f"all: rank agreement {_rank(rank_agreement(found))}", highlight=False)
