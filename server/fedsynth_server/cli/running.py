"""`fedsynth study run`, `resume`, `stop`: hand a study to the SuperLink, or take it back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_server.cli.options import Folder

if TYPE_CHECKING:
    from fedsynth_server.study.folder import StudyFolder

Detach = Annotated[
    bool,
    typer.Option("--detach", help="Return at once. `fedsynth study watch` shows the study later."),
]
STOPPED = """\
run {run}: stopped
A site that is computing a step finishes it and stays charged for it; the reply is kept at the site.
Nothing is lost: continue with  fedsynth study resume {folder}"""


def run(folder: Folder, detach: Detach = False) -> None:
    """Start a study on the SuperLink of its study.toml and watch it.

    The exit code is 1 if the study fails.
    """
    from fedsynth_server.study.folder import StudyFolder

    study = StudyFolder(folder)
    study.plan()
    if study.begun() and not study.finished():
        raise InputError(f"{folder}: has begun; continue with: fedsynth study resume {folder}")
    _start(study, folder, detach)


def resume(folder: Folder, detach: Detach = False) -> None:
    """Continue a study that was stopped or died, from its journal. No site is charged twice."""
    from fedsynth_server.study.folder import StudyFolder

    study = StudyFolder(folder)
    study.plan()
    if not study.begun():
        raise InputError(f"{folder}: nothing to resume; start with: fedsynth study run {folder}")
    _start(study, folder, detach)


def stop(folder: Folder) -> None:
    """Stop the run of a study. Sites finish the step that they compute, and it stays charged."""
    from fedsynth_server.study.folder import StudyFolder
    from fedsynth_server.superlink.control import SuperLink

    study = StudyFolder(folder)
    config, number = study.config(), study.run_id()
    if number is None:
        raise InputError(f"{folder}: was never run")
    with SuperLink(config.superlink) as link:
        if (status := link.status(number)).over:
            raise InputError(f"run {number}: is not running ({status})")
        if not link.stop(number):
            raise FedsynthError(f"run {number}: the SuperLink could not stop it; try again")
    typer.echo(STOPPED.format(run=number, folder=folder))


def _start(study: "StudyFolder", folder: Path, detach: bool) -> None:
    from fedsynth_server.cli.watching import follow
    from fedsynth_server.study.state import begin_anew
    from fedsynth_server.superlink.app_bundle import bundle
    from fedsynth_server.superlink.control import SuperLink

    config = study.config()
    study.receipt_keys()  # a name that is none is found here, not in the SuperLink's log
    if study.finished():
        raise InputError(f"{folder}: is finished; next: fedsynth study export {folder} --out OUT")
    with SuperLink(config.superlink) as link:
        old = study.run_id()
        if old is not None and not link.status(old).over:
            raise FedsynthError(
                f"run {old}: is at work; see it with: fedsynth study watch {folder}"
            )
        with study.lock():
            begin_anew(study.state_file)
        number = link.start(bundle(), study.path)
        study.remember_run(number)
        typer.echo(f"run {number}: started", err=True)
        if not detach and not follow(study, link):
            raise typer.Exit(1)
