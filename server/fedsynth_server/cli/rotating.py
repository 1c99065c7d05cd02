"""`fedsynth coordinator rotate`: new certificates, before the old ones end or when a key leaked."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="rotate", help="Replace the certificates that sites see.", no_args_is_help=True
)
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The coordinator's folder.")]
AuthorityKey = Annotated[
    Path | None,
    typer.Option(help="The authority's private key, if it is not in FOLDER/authority."),
]


@app.command(
    epilog="Example:  fedsynth coordinator rotate server hub --authority-key /media/safe/ca.key"
)
def server(folder: Folder, authority_key: AuthorityKey = None) -> None:
    """Make a new server key and certificate, for the host in coordinator.toml. Sites do nothing."""
    from fedsynth_server.coordinator.folder import CoordinatorFolder
    from fedsynth_server.coordinator.rotation import rotate_server

    end = rotate_server(CoordinatorFolder(folder), authority_key)
    typer.echo(f"{folder}/certs/server.pem: valid until {end:%Y-%m-%d}")
    typer.echo(
        "Next: stop and start the coordinator. A study that runs goes on; if it ended: fedsynth study "
        "resume STUDY"
    )


@app.command(epilog="Example:  fedsynth coordinator rotate authority hub --finish")
def authority(
    folder: Folder,
    finish: Annotated[
        bool,
        typer.Option("--finish", help="All sites took the notice: use the next authority alone."),
    ] = False,
    authority_key: AuthorityKey = None,
) -> None:
    """Make the next authority and a notice of it for the sites; with --finish, use it.

    Between the two commands sites trust both authorities and nothing else changes, so a study may run.
    """
    from fedsynth_server.coordinator.folder import CoordinatorFolder
    from fedsynth_server.coordinator.rotation import begin_authority, finish_authority

    hub = CoordinatorFolder(folder)
    if not finish:
        notice = begin_authority(hub)
        typer.echo(f"Next:\n  1. send {notice} to every site, which types")
        typer.echo(f"       fedsynth site rotate authority {notice.name} --config SITE/site.toml")
        typer.echo("     and starts its courier again")
        typer.echo("  2. when all have done so, stop the coordinator and type")
        typer.echo(f"       fedsynth coordinator rotate authority {folder} --finish")
        return
    notice = finish_authority(hub, authority_key)
    typer.echo(f"Next:\n  1. start the coordinator; move {folder}/authority/ca.key to a safe place")
    typer.echo(f"  2. send {notice} to every site: the old authority is then trusted no more")
