"""The one command `fedsynth`: sub-commands come from the installed distributions.

Each distribution names its sub-commands in the entry-point group `fedsynth.commands`, so a partner
site that installs only the client sees `site` and what all share. For a command of another
distribution the error says what to install. Exit codes: 0 done, 1 failed, 2 bad input or options.
Errors are one line on standard error.

`fedsynth --help` imports the modules of all sub-commands. So those import at their head only what
their options need (typer, rich, standard library), and pandas, torch, pydantic and the like inside
the commands: with them the help took seven seconds, without them it takes less than half of one.
"""

import os
import sys
from collections.abc import Collection
from importlib.metadata import entry_points, version
from typing import Annotated

import typer
from rich.markup import escape

from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_common.extras import EXTRA_OF_COMMAND, how_to_install
from fedsynth_common.privacy import PrivacyError

QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
}
"""Every Flower process we start inherits these: no telemetry, no installation, no phoning home."""
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Unless the user asks for more: the networks are small, and a second thread mostly waits for the first.

On two cores beside other programs, `simulate` of 10,000 rows of Adult took 19 s with one thread, and
58 s with two, which said before that it would take nine minutes.
"""


def build_app() -> typer.Typer:
    """The command with the sub-commands of every installed distribution.

    Raises:
        InputError: the sub-command that was asked for belongs to a distribution that is not installed.
    """
    points = {point.name: point for point in entry_points(group="fedsynth.commands")}
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    if asked in EXTRA_OF_COMMAND and asked not in points:
        raise InputError(_absent(asked))
    app = typer.Typer(
        name="fedsynth",
        help="Federated, differentially private synthesis of tabular data.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        epilog=_more(points),
    )
    app.callback()(_everywhere)
    for point in [points[asked]] if asked in points else sorted(points.values()):
        sub = point.load()
        single = len(sub.registered_commands) == 1 and sub.registered_callback is None
        if single and not sub.registered_groups:
            command = sub.registered_commands[0]
            app.command(point.name, help=command.help, epilog=command.epilog)(command.callback)
        else:
            app.add_typer(sub, name=point.name)
    app.command("version")(_version)
    return app


def _absent(name: str) -> str:
    extra = EXTRA_OF_COMMAND[name]
    return f"`fedsynth {name}` is not installed here; it comes with: {how_to_install(extra)}"


def _more(installed: Collection[str]) -> str | None:
    """What stands under the help: how to get the commands that are not installed."""
    absent: dict[str, list[str]] = {}
    for name, extra in EXTRA_OF_COMMAND.items():
        if name not in installed:
            absent.setdefault(how_to_install(extra), []).append(name)
    lines = [f"Not installed here: {', '.join(names)} ({how})" for how, names in absent.items()]
    return escape("\n\n".join(lines)) or None  # [simulate] is no markup


def _say_version(asked: bool) -> None:
    if asked:
        _version()
        raise typer.Exit


def _everywhere(
    shown: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_say_version, is_eager=True
        ),
    ] = False,
) -> None:
    """What `fedsynth` takes before a sub-command."""


def _version() -> None:
    """Print the version."""
    typer.echo(version("fedsynth-common"))


def main() -> None:
    """Entry point of the `fedsynth` script."""
    for name, value in (QUIET | ONE_THREAD).items():
        os.environ.setdefault(name, value)
    try:
        build_app()()
    except FedsynthError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from None
    except (OSError, PrivacyError) as error:  # a full disk, a mechanism that cannot be accounted
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        typer.echo("error: interrupted", err=True)
        raise SystemExit(130) from None
