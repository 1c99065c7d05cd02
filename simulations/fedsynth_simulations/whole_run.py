"""What `fedsynth simulate` does once its options are understood: say, run, write, sum up."""

import typer
from rich.console import Console

from fedsynth_common.protocol.plan import Plan
from fedsynth_release.cli.schema import counted, show_notes
from fedsynth_release.whole_folder import draft_folder, publish
from fedsynth_server.study.method import duration_of, simulation_lines
from fedsynth_simulations.decisions import decisions, show_decisions
from fedsynth_simulations.result_folder import RESULTS, Wanted, write_result
from fedsynth_simulations.simulate import Simulation, simulate
from fedsynth_simulations.site_tables import Tables
from fedsynth_simulations.summary import show_summary
from fedsynth_simulations.unfinished import Unfinished


def run(
    tables: Tables,
    simulation: Simulation,
    wanted: Wanted,
    unfinished: Unfinished | None,
    given: set[str] | None,
) -> None:
    """The study, and everything that is written about it.

    Args:
        tables: of the sites, and their schema.
        simulation: the study.
        wanted: what is to be written.
        unfinished: where the study keeps what it needs to be resumed, if it can be.
        given: the options that the user gave; None if only JSON may be printed.

    Raises:
        FedsynthError: the study failed, or its result cannot be written.
    """
    console = Console(stderr=True)
    show_notes(tables.notes, console)
    if given is not None and (tables.schema.unmodelled or tables.notes):
        console.print(counted(tables.schema), highlight=False, soft_wrap=True, markup=False)

    def say(plan: Plan) -> None:
        if given is not None:
            show_decisions(decisions(given, tables, plan), Console())
            for line in simulation_lines(plan, duration_of(plan, simulation.settings)):
                typer.echo(line)

    with draft_folder(wanted.out) as draft:
        result = simulate(tables.sites, tables.schema, simulation, draft, say, unfinished)
        summary, evaluation = write_result(result, tables, wanted, draft)
        publish(draft, wanted.out, RESULTS)
    show_summary(summary, evaluation, as_json=given is None)
