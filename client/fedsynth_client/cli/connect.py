"""`fedsynth site connect`: checks the courier's files, then runs the courier."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedsynth_client.cli.options import OptionalConfigPath
from fedsynth_common.errors import FedsynthError, InputError

if TYPE_CHECKING:
    from fedsynth_client.settings.site_config import CourierConfig


def connect(
    config: OptionalConfigPath = None,
    courier: Annotated[
        Path | None,
        typer.Option(
            help="The courier's own configuration, for a courier that runs as another user."
        ),
    ] = None,
    plaintext_loopback: Annotated[
        bool,
        typer.Option(
            "--plaintext-loopback",
            help="For trials only: connect without TLS to a coordinator on this machine.",
        ),
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print what would be started, and start nothing.")
    ] = False,
) -> None:
    """Connect this site's courier to the coordinator until stopped with SIGTERM.

    The courier makes one outgoing TLS connection and opens two ports, on the loopback interface only.
    If the coordinator is away, the courier tries again. If the coordinator's certificate is not
    trusted, the command ends with exit code 3.

    For example:

      fedsynth site connect --config dayton/site.toml
    """
    from urllib.request import getproxies

    from fedsynth_client.connection.flower_processes import (
        commands,
        keep_running,
        private_folder,
        unsafe,
    )
    from fedsynth_client.connection.untrusted_certificate import UntrustedError
    from fedsynth_common.cli.logs import log_to_stderr

    chosen = _chosen(config, courier)
    with private_folder() as (path, secret):
        started = commands(chosen, path, secret, plaintext_loopback)
        if show:
            for command in (started.supernode, started.superexec):
                typer.echo(shlex.join(command))
            return
        if reasons := unsafe(chosen):
            raise FedsynthError("\n  ".join(["the courier cannot start:", *reasons]))
        log_to_stderr()
        way = f" through the proxy {_without_password(chosen.proxy)}" if chosen.proxy else ""
        typer.echo(f"courier: connecting to {chosen.superlink}{way}")
        if not chosen.proxy and {"https", "all"} & set(getproxies()):
            typer.echo("note: HTTPS_PROXY is not used; name the proxy in courier.toml: proxy = ...")
        if why := keep_running(started):
            raise UntrustedError(chosen.superlink, str(chosen.root_certificates), why)


def _without_password(proxy: str) -> str:
    return proxy.rpartition("@")[2]


def _chosen(config: Path | None, courier: Path | None) -> "CourierConfig":
    from fedsynth_client.settings.site_config import CourierConfig, SiteConfig

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
