"""`fedsynth site connect`: the courier, from a safe start to a clean end."""

import logging
import shlex
from pathlib import Path
from typing import Annotated

import typer

from fedsynth_client.cli.options import OptionalConfigPath
from fedsynth_client.config import CourierConfig, SiteConfig
from fedsynth_common.errors import FedsynthError, InputError


def connect(
    config: OptionalConfigPath = None,
    courier: Annotated[
        Path | None,
        typer.Option(help="The courier's own configuration, where it is another user's."),
    ] = None,
    plaintext_loopback: Annotated[
        bool,
        typer.Option(
            "--plaintext-loopback", help="For trials: no TLS, to a coordinator on this machine."
        ),
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print what would be started, and start nothing.")
    ] = False,
) -> None:
    """Connect this site's courier to the coordinator until stopped (SIGTERM).

    One outgoing TLS connection; no port is opened but two on the loopback interface.

    For example:

      fedsynth site connect --config dayton/site.toml
    """
    from fedsynth_client.connection import commands, keep_running, private_folder, unsafe

    chosen = _chosen(config, courier)
    with private_folder() as (path, secret):
        started = commands(chosen, path, secret, plaintext_loopback)
        if show:
            for command in (started.supernode, started.superexec):
                typer.echo(shlex.join(command))
            return
        if found := unsafe(chosen):
            raise FedsynthError("\n  ".join(["the courier cannot start:", *found]))
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        typer.echo(f"courier: connecting to {chosen.superlink}")
        keep_running(started)


def _chosen(config: Path | None, courier: Path | None) -> CourierConfig:
    if (config is None) == (courier is None):
        raise InputError("give --config, or else --courier")
    if courier is not None:
        return CourierConfig.load(courier)
    if config is None:  # refused above; the type checker cannot know
        raise InputError("give --config")
    site = SiteConfig.load(config)
    if site.courier is None:
        raise InputError(
            f"configuration {config}: courier: names no file; see `fedsynth site init`"
        )
    chosen = CourierConfig.load(site.courier)
    if chosen.socket.resolve() != site.socket.resolve():
        raise InputError(f"{site.courier}: socket: another one than in {config}; make them one")
    return chosen
