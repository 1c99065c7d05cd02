"""`fedsynth site bundle`: inspects the coordinator's app bundle and installs it read-only."""

import json
from pathlib import Path
from typing import Annotated

import typer

from fedsynth_client.cli.options import AsJson
from fedsynth_common.errors import InputError
from fedsynth_common.limits import read_limited


def bundle(
    file: Annotated[Path, typer.Argument(metavar="FAB", help="The coordinator's app bundle.")],
    install: Annotated[
        Path | None,
        typer.Option(help="Install the bundle read-only in this folder of the courier."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that a Flower app bundle carries no code, show it, and install it with --install.

    Compare the digest with the one that the coordinator announced by another way than the file.

    For example:

      fedsynth site bundle fedsynth.fab --install dayton/courier/flower
    """
    from fedsynth_client.connection.approved_bundle import MOST_BYTES, inspect
    from fedsynth_client.connection.approved_bundle import install as put

    try:
        data = read_limited(file, MOST_BYTES)
    except OSError as error:
        raise InputError(f"bundle {file}: cannot be read ({error.strerror})") from None
    bundled = inspect(data)
    place = put(data, install) if install else None
    if as_json:
        named = {"publisher": bundled.publisher, "name": bundled.name, "version": bundled.version}
        where = str(place) if place else None
        typer.echo(json.dumps({**named, "digest": bundled.digest, "installed": where}))
        return
    typer.echo(f"bundle    {bundled.publisher}/{bundled.name} {bundled.version}, no code in it")
    typer.echo(f"digest    {bundled.digest}")
    for setting in bundled.settings:
        typer.echo(f"  setting {setting!r}: the coordinator's own; no site reads it")
    typer.echo(f"installed {place}, read-only" if place else "not installed (--install HOME)")
