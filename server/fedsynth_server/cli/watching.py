"""`fedsynth study watch`: how far a study is, until it ends.

If the SuperLink does not answer, that is not a failure of the study, which may go on without this
computer. `study_facts.py` says where the state comes from.
"""

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from fedsynth_common.errors import InputError
from fedsynth_server.cli.options import Folder

if TYPE_CHECKING:
    from fedsynth_server.study.folder import StudyFolder
    from fedsynth_server.study.state import State
    from fedsynth_server.superlink.control import SuperLink

PAUSE = 1.0
GOES_ON = """\
When the cause is removed, the study goes on from its journal; no site is charged twice:
  fedsynth study resume {folder}"""


def watch(
    folder: Folder,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each change as a line of JSON.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Print the state once and return.")] = False,
) -> None:
    """Show how far a study is, until it ends.

    The exit code is 0 if the study finished and 1 if it failed.
    """
    from fedsynth_server.study.folder import StudyFolder
    from fedsynth_server.superlink.control import SuperLink

    study = StudyFolder(folder)
    config = study.config()
    if study.run_id() is None:
        raise InputError(f"{folder}: was never run; start it with: fedsynth study run {folder}")
    with SuperLink(config.superlink) as link:
        if not follow(study, link, as_json=as_json, once=once):
            raise typer.Exit(1)


def follow(
    study: "StudyFolder", link: "SuperLink", *, as_json: bool = False, once: bool = False
) -> bool:
    """Show the states of the study's run until it ends; whether it has not failed."""
    console = Console()
    live = console.is_terminal and not as_json and not once
    shown = _Screen(console) if live else (_Lines(as_json))
    state = None
    with shown:
        for state in _states(study, link):
            shown.show(state)
            if once:
                break
    failed = state is None or state.outcome == "failed"
    if failed and not as_json:
        typer.echo(GOES_ON.format(folder=study.path), err=True)
    return not failed


def _states(study: "StudyFolder", link: "SuperLink") -> Iterator["State"]:
    """The state about once a second; the last one has an outcome."""
    from fedsynth_server.coordinator.study_facts import StudyWatch

    watched = StudyWatch(study, link)
    while True:
        state = watched.state()
        yield state
        if state.outcome != "running":
            return
        time.sleep(PAUSE)


class _Lines(AbstractContextManager[None]):
    """A line per change: for logs and scripts."""

    def __init__(self, as_json: bool) -> None:
        self._as_json, self._last, self._notes = as_json, "", 0
        self._waiting: list[str] = []

    def __exit__(self, *error: object) -> None:
        return None

    def show(self, state: "State") -> None:
        """Print what is new: every message, and of training its beginning and its end."""
        whole = state.step in (0, state.of) or "round" in state.stage or "enrol" in state.stage
        line = _line(state)
        self._show_waiting(state)
        noted, self._notes = self._notes, len(state.notes)
        if not self._as_json:
            for note in state.notes[noted:]:
                typer.echo(f"  note: {note}")
        if (self._last and line == self._last) or (not whole and state.stage in self._last):
            return
        self._last = line
        typer.echo(_as_json(state) if self._as_json else line)

    def _show_waiting(self, state: "State") -> None:
        """Print a site that is waited for once for every reason, not once for every second."""
        reasons = [f"{site}: {why.partition(';')[0]}" for site, why in state.waiting.items()]
        if reasons == self._waiting:
            return
        known, self._waiting = self._waiting, reasons
        if self._as_json:
            typer.echo(_as_json(state))
            return
        for reason, (site, why) in zip(reasons, state.waiting.items(), strict=True):
            if reason not in known:
                typer.echo(f"  waiting for {site}: {why}")


class _Screen(AbstractContextManager[None]):
    """One table, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=4)

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def show(self, state: "State") -> None:
        """Redraw."""
        table = Table("", "", show_header=False, box=None)
        sites = "\n".join(
            f"{site} {standing}" + (f": {state.waiting[site]}" if site in state.waiting else "")
            for site, standing in state.sites.items()
        )
        rows = {
            "study": f"{state.study}, plan {state.plan[:16]}…, run {state.run}",
            "stage": f"{state.stage}  {state.step}/{state.of}",
            "ε": f"{state.epsilon_spent:.3f} of {state.epsilon_planned:g} per site",
            "sites": sites,
            "outcome": f"{state.outcome}  {state.error}",
        }
        for name, value in rows.items():
            table.add_row(f"[bold]{name}[/bold]", value)
        for note in state.notes[-8:]:
            table.add_row("note", note)
        self._live.update(table)


def _as_json(state: "State") -> str:
    """The state in a line; its curves, hundreds of numbers, are in state.json and on the page."""
    return json.dumps({name: value for name, value in asdict(state).items() if name != "curves"})


def _line(state: "State") -> str:
    if state.outcome == "failed":
        return f"failed: {state.error}"
    if state.outcome == "finished":
        return f"finished: ε {state.epsilon_spent:.3f} per site"
    enrolled = sum(standing == "enrolled" for standing in state.sites.values())
    return (
        f"{state.stage} {state.step}/{state.of}, {enrolled} sites, "
        f"ε {state.epsilon_spent:.3f} of {state.epsilon_planned:g}"
    )
