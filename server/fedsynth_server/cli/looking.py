"""`fedsynth study status` and `page`: a look at a study, in the terminal or in a browser."""

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from fedsynth_server.cli.options import AsJson, Folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def status(folder: Folder, as_json: AsJson = False) -> None:
    """Show once how a study is: its phase, its sites by name, and what went wrong.

    The exit code is 1 if the study failed.
    """
    from fedsynth_server.coordinator.study_facts import StudyWatch
    from fedsynth_server.study.folder import StudyFolder
    from fedsynth_server.superlink.control import SuperLink

    study = StudyFolder(folder)
    with SuperLink(study.config().superlink) as link:
        facts = StudyWatch(study, link).facts()
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False))
    else:
        _print(facts)
    if facts["outcome"] == "failed":
        raise typer.Exit(1)


def _print(facts: "Mapping[str, Any]") -> None:
    typer.echo(f"study     {facts['study']}, plan {facts['plan'][:16]}")
    typer.echo(f"outcome   {facts['outcome']}{': ' if facts['error'] else ''}{facts['error']}")
    if facts["phase"]:
        left = facts["seconds_left_in_phase"]
        about = "" if left is None else f", about {left:.0f} s left in it"
        typer.echo(f"phase     {facts['phase']}, step {facts['step']} of {facts['of']}{about}")
    spent = f"{facts['epsilon_spent']:.3f} of {facts['epsilon_planned']:g}"
    typer.echo(f"epsilon   {spent} per site")
    if not facts["superlink"]:
        typer.echo("SuperLink does not answer; start it with: fedsynth coordinator start")
    table = Table("site", "courier", "in the study", "waiting for it")
    for name, site in facts["sites"].items():
        table.add_row(name, site["courier"], site["standing"], site["waiting"])
    Console(markup=False, highlight=False).print(table)
    for line in facts["warnings"]:
        typer.echo(f"warning   {line}")


def page(
    folder: Folder,
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="The port of the loopback interface; 0: a free one."),
    ] = 9098,
) -> None:
    """Show a study in a browser of this computer alone, until stopped; the page updates itself.

    The address that is printed holds a token; whoever has it can look and do nothing. /metrics has the
    numbers for Prometheus, which passes the token of FOLDER/page.token as a bearer token.
    """
    from fedsynth_common.local_page.server import LocalPage
    from fedsynth_common.local_page.token import token_of
    from fedsynth_server.coordinator.study_facts import StudyWatch
    from fedsynth_server.coordinator.study_page import study_view
    from fedsynth_server.study.folder import StudyFolder
    from fedsynth_server.superlink.control import SuperLink

    study = StudyFolder(folder)
    with SuperLink(study.config().superlink) as link:
        watch = StudyWatch(study, link)
        view = study_view(f"fedsynth: {study.plan().study}", watch.facts)
        shown = LocalPage(view, token_of(study.path / "page.token"), port)
        typer.echo(f"page: {shown.address}")
        with suppress(KeyboardInterrupt):
            shown.serve()
