"""`fedsynth coordinator backup` and `restore`."""

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The coordinator's folder.")]


def backup(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="The file to write; none is replaced.")],
    studies: Annotated[
        list[Path] | None, typer.Argument(metavar="STUDY...", help="Folders of studies.")
    ] = None,
) -> None:
    """Write the coordinator's folder and its studies into one file, while it runs or not.

    The file holds private keys: keep it where the keys may lie.
    """
    from fedsynth_server.coordinator.backup import back_up
    from fedsynth_server.coordinator.folder import CoordinatorFolder
    from fedsynth_server.study.folder import StudyFolder

    chosen = [StudyFolder(study) for study in studies or []]
    made = back_up(CoordinatorFolder(folder), chosen, out)
    typer.echo(f"{out}: {len(made.files)} files, {len(chosen)} studies, {made.day}")
    typer.echo("It holds private keys.")


def restore(
    file: Annotated[
        Path, typer.Argument(metavar="BACKUP", help="From `fedsynth coordinator backup`.")
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where the folders are written; new or empty.")
    ],
) -> None:
    """Write the coordinator's folder and those of its studies below DIR. None is replaced."""
    from fedsynth_server.coordinator.backup import restore as bring_back

    manifest, hub, studies = bring_back(file, folder)
    typer.echo(f"{hub.path}: as of {manifest.day}")
    for study in studies:
        typer.echo(f"{study}")
    typer.echo(f"Next:\n  1. fedsynth coordinator start {hub.path}")
    for study in studies:
        typer.echo(f"  2. fedsynth study resume {study}      (if it had begun)")
