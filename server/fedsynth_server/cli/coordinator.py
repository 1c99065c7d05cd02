"""`fedsynth coordinator`: the coordinator's computer, from its certificates to its processes."""

import json
from pathlib import Path
from typing import Annotated

import typer

from fedsynth_server.cli.backup import backup, restore
from fedsynth_server.cli.options import AsJson
from fedsynth_server.cli.rotating import app as rotate

app = typer.Typer(
    name="coordinator",
    help="Set up the coordinator's computer, and run what sites connect to.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(rotate)
app.command(epilog="Example:  fedsynth coordinator backup hub covid --out hub-monday.tar")(backup)
app.command(epilog="Example:  fedsynth coordinator restore hub-monday.tar /srv/fedsynth")(restore)
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The coordinator's folder.")]
MADE = """\
wrote {folder}: certificates for {host}, keys, the proxy's configuration
Next:
  1. move {folder}/authority/ca.key to a safe place: it signs the next certificate, in a year
  2. fedsynth coordinator start {folder}      (in a terminal or service of its own)
  3. fedsynth study init STUDY --coordinator {folder} ...      (writes an invitation for every site)
Tell the sites this fingerprint by telephone or in writing; they compare it with their invitations:
  {fingerprint}"""


@app.command(epilog="Example:  fedsynth coordinator init hub --host fed.example.org")
def init(
    folder: Folder,
    host: Annotated[
        str, typer.Option(help="The name or IPv4 address under which sites reach this computer.")
    ],
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port for the sites.")] = 8443,
    listen: Annotated[
        str, typer.Option(help="The address of this computer on which the proxy listens.")
    ] = "0.0.0.0",  # noqa: S104 - sites connect from other computers
    superlink_port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="The SuperLink's own port, never published [8000 or a free one]."
        ),
    ] = None,
    health_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="The port of its health service [8999 or a free one]."),
    ] = None,
) -> None:
    """Write certificates, keys and configurations of a new coordinator. No file is replaced."""
    from fedsynth_common.local_ports import free_from
    from fedsynth_server.coordinator.entry import invitation_fingerprint
    from fedsynth_server.coordinator.folder import CoordinatorFolder, CoordinatorSettings

    own = superlink_port or free_from(8000, besides={port})
    settings = CoordinatorSettings(
        host=host,
        port=port,
        listen=listen,
        superlink_port=own,
        health_port=health_port or free_from(8999, besides={port, own}),
    )
    made = CoordinatorFolder.make(folder, settings)
    typer.echo(MADE.format(folder=folder, host=host, fingerprint=invitation_fingerprint(made)))


@app.command(epilog="Example:  fedsynth coordinator start hub")
def start(
    folder: Folder,
    proxy: Annotated[
        bool, typer.Option("--proxy/--no-proxy", help="Also run nginx, to which sites connect.")
    ] = True,
) -> None:
    """Run the SuperLink, its SuperExec and the proxy until stopped with SIGTERM."""
    import logging

    from fedsynth_common.cli.logs import log_to_stderr
    from fedsynth_server.coordinator.folder import CoordinatorFolder
    from fedsynth_server.coordinator.processes import (
        commands,
        environment,
        keep_running,
        refuse_taken_ports,
    )
    from fedsynth_server.coordinator.rotation import certificate_notes

    log_to_stderr()
    chosen = CoordinatorFolder(folder)
    settings = chosen.settings()
    started = commands(chosen, proxy=proxy)
    refuse_taken_ports(settings, proxy=proxy)
    logging.getLogger("fedsynth.coordinator").info(
        "sites connect to %s:%d", settings.host, settings.port
    )
    keep_running(started, environment(chosen), lambda: certificate_notes(chosen))


@app.command(epilog="Example:  fedsynth coordinator sites hub")
def sites(folder: Folder, as_json: AsJson = False) -> None:
    """List the sites whose couriers may connect, and whether they do."""
    from fedsynth_server.coordinator.entry import superlink_of
    from fedsynth_server.coordinator.folder import CoordinatorFolder
    from fedsynth_server.coordinator.rotation import certificate_notes
    from fedsynth_server.superlink.control import SuperLink

    hub = CoordinatorFolder(folder)
    for note in certificate_notes(hub):
        typer.echo(f"note: {note}", err=True)
    with SuperLink(superlink_of(hub)) as link:
        couriers = link.couriers()
    if as_json:
        typer.echo(json.dumps({one.name: one.status for one in couriers}))
        return
    for one in couriers:
        typer.echo(f"{one.name:<32} {one.status}")
    if not couriers:
        typer.echo("no site is admitted yet; see: fedsynth study admit")


@app.command(epilog="Example:  fedsynth coordinator remove hub dayton")
def remove(
    folder: Folder, site: Annotated[str, typer.Argument(metavar="SITE", help="The site's name.")]
) -> None:
    """Let a site's courier connect no more: the site withdraws, or its node key is replaced."""
    from fedsynth_server.coordinator.entry import remove as shut_out
    from fedsynth_server.coordinator.folder import CoordinatorFolder

    shut_out(CoordinatorFolder(folder), site)
    typer.echo(f"{site}: may not connect any more, until: fedsynth study admit STUDY ANSWER")
