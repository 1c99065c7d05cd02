"""`fedsynth site rotate`: a new node key, a new receipt key, or the coordinator's next authority."""

from pathlib import Path
from typing import Annotated

import typer

from fedsynth_client.cli.options import ConfigPath

app = typer.Typer(
    name="rotate",
    help="Replace a key of this site, or the authority that it trusts.",
    no_args_is_help=True,
)


@app.command("node-key", epilog="Example:  fedsynth site rotate node-key --config dayton/site.toml")
def node_key(config: ConfigPath) -> None:
    """Make a new node key for the courier, and write the answers to the invitations again.

    A study that runs goes on: the coordinator finds the site under its new key at the next message.
    """
    from fedsynth_client.connection.node_key import public_path
    from fedsynth_client.joining import courier_of
    from fedsynth_client.rotation import new_node_key
    from fedsynth_client.settings.site_config import SiteConfig

    answers = new_node_key(config)
    place = courier_of(SiteConfig.load(config), config).node_key
    typer.echo(f"made a new {place}; the old one is gone")
    sent = answers[0] if answers else public_path(place)
    typer.echo(f"Next:\n  1. send {sent} to the coordinator, who types")
    if answers:
        typer.echo(f"       fedsynth study admit STUDY {sent.name}")
    else:
        typer.echo("       fedsynth coordinator remove hub SITE, and registers the new key")
    typer.echo("  2. start the courier again, once the coordinator has done so")


@app.command(
    "receipt-key", epilog="Example:  fedsynth site rotate receipt-key --config dayton/site.toml"
)
def receipt_key(
    config: ConfigPath,
    exposed: Annotated[
        bool,
        typer.Option(
            "--exposed",
            help="Somebody else may have the old key. Then no file vouches for the new one.",
        ),
    ] = False,
    give_up: Annotated[
        list[str] | None,
        typer.Option(metavar="STUDY", help="A study that has begun and that this site leaves."),
    ] = None,
) -> None:
    """Make a new receipt key. Stop the vault first; studies that have begun must be finished.

    Ledger and budget stay. Receipts of the old key still prove what it signed, unless it was exposed.
    """
    from fedsynth_client.rotation import new_receipt_key
    from fedsynth_common.protocol.signed_file import fingerprint

    done = new_receipt_key(config, exposed=exposed, given_up=tuple(give_up or ()))
    typer.echo(f"old receipt key  {done.old}")
    typer.echo(f"new receipt key  {done.key}")
    typer.echo(f"compare by telephone: {fingerprint(done.key)}")
    if done.complete:
        typer.echo(
            f"charged in full: {', '.join(done.complete)}. If one of them has no release yet, the "
            "coordinator gets no receipt for it any more, and its documents state the whole plan"
        )
    if done.change is None:
        typer.echo(
            "No file vouches for the new key, since the old one could have signed it too. Tell the new "
            "key to coordinator and auditors by telephone: the coordinator corrects [receipt_keys] in "
            "every study.toml, and receipts of the old key prove nothing any more"
        )
        return
    typer.echo(f"Next:\n  1. send {done.change} to the coordinator, who types for each later study")
    typer.echo(f"       fedsynth study admit STUDY {done.change.name}")
    typer.echo("  2. send it to auditors, for: fedsynth verify RELEASE --key-change FILE")
    typer.echo("  3. start the vault again")


@app.command(
    "authority",
    epilog="Example:  fedsynth site rotate authority hub.notice --config dayton/site.toml",
)
def authority(
    notice: Annotated[
        Path, typer.Argument(metavar="NOTICE", help="The file that the coordinator sent.")
    ],
    config: ConfigPath,
) -> None:
    """Trust the authorities of the coordinator's notice, and no others.

    The notice is signed with the coordinator's key, which this site knows from its first invitation.
    """
    from fedsynth_client.joining import courier_of
    from fedsynth_client.rotation import new_authority
    from fedsynth_client.settings.site_config import SiteConfig
    from fedsynth_common.certificate_expiry import certificates_in

    new_authority(config, notice)
    place = courier_of(SiteConfig.load(config), config).root_certificates
    for one in certificates_in(place):
        typer.echo(f"{place}: trusted until {one.not_valid_after_utc:%Y-%m-%d}")
    typer.echo("Next: start the courier again")
