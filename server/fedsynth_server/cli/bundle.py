"""`fedsynth study bundle`: the file that every site installs and locks before the first study."""

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from fedsynth_common.errors import InputError
from fedsynth_server.cli.options import Force


def bundle(
    out: Annotated[Path, typer.Option(help="A file that ends in .fab, or a folder.")] = Path(),
    force: Force = False,
) -> None:
    """Write the Flower app bundle. It holds no code and is the same for every study of this version.

    Sites compare its digest and lock it in with `fedsynth site bundle`. In a folder it gets the name
    that Flower's own `flwr install` wants.
    """
    from fedsynth_server.superlink.app_bundle import bundle as made
    from fedsynth_server.superlink.app_bundle import bundle_name

    data = made()
    target = out if out.suffix == ".fab" else out / bundle_name(data)
    if target.exists() and not force and target.read_bytes() != data:
        raise InputError(f"{target}: exists with other content; pass --force to replace it")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    typer.echo(f"{target}: SHA-256 {hashlib.sha256(data).hexdigest()}")
