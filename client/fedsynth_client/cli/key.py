"""`fedsynth site key`: the site's two public keys, for the people outside who must know them."""

import json
from typing import Annotated

import typer

from fedsynth_client.cli.options import AsJson, ConfigPath
from fedsynth_common.errors import InputError


def key(
    config: ConfigPath,
    name: Annotated[
        str | None, typer.Option(help="Name of the site. By default the policy's `site`.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the node key, unless there is one, and print the public halves of both keys.

    The node key is this site's identity at the coordinator, who registers its public half. The
    receipt key signs what was charged. Tell its public half to the coordinator and to auditors, by
    telephone or in writing.

    For example:

      fedsynth site key --config dayton/site.toml
    """
    from fedsynth_client.budget.policy import Policy
    from fedsynth_client.budget.receipts import load_or_create_key
    from fedsynth_client.connection.node_key import make_node_key, public_line, public_path
    from fedsynth_client.settings.site_config import CourierConfig, SiteConfig

    site = SiteConfig.load(config)
    if site.courier is None:
        raise InputError(
            f"configuration {config}: courier: names no file; see `fedsynth site init`"
        )
    place = CourierConfig.load(site.courier).node_key
    named = name or Policy.load(site.policy).site
    if not named:
        raise InputError(f"policy {site.policy}: names no site; give --name")
    receipts = load_or_create_key(site.key).public_key().public_bytes_raw().hex()
    new = make_node_key(place, named)
    if as_json:
        fields = {"site": named, "node_key": public_line(place), "receipt_key": receipts}
        typer.echo(json.dumps(fields))
        return
    typer.echo(f"node key     {place} ({'made' if new else 'kept'}; stays here)")
    typer.echo(f"send this    {public_path(place)}")
    typer.echo(f"             {public_line(place)}")
    typer.echo(f"receipt key  {named}={receipts}")
    typer.echo("             tell it to coordinator and auditors, for `fedsynth verify --key`")
