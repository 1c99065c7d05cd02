"""`fedsynth site init`: the files of a new site, with comments for the person who fills them in."""

from pathlib import Path
from typing import Annotated

import typer

DONE = """\
Next:
  1. read and complete {policy}
  2. fedsynth site check --config {config}
  3. fedsynth site key --config {config}       (send the public keys to the coordinator)
  4. fedsynth site approve PLAN --config {config}
  5. fedsynth site bundle FAB --install {home}
  6. fedsynth site serve --config {config}
  7. fedsynth site connect --config {config}   (in another terminal; first complete {courier})"""


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new site.")],
    data: Annotated[Path | None, typer.Option(help="The site's table.")] = None,
    schema: Annotated[Path | None, typer.Option(help="The public schema.")] = None,
    dataset: Annotated[
        str, typer.Option(help="Name of the people in the table. All studies add up under it.")
    ] = "",
    site: Annotated[str | None, typer.Option(help="The name of this site in plans.")] = None,
    max_epsilon: Annotated[
        float,
        typer.Option(help="The cap: the ε of everything that is ever charged to these people."),
    ] = 1.0,
    superlink: Annotated[str, typer.Option(help="The coordinator's HOST:PORT.")] = "",
    courier: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the courier, for a courier that runs as another user. By default "
            "DIR/courier."
        ),
    ] = None,
    socket: Annotated[
        Path | None, typer.Option(help="The vault's socket. By default DIR/vault.sock.")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="The vault's ledger. By default DIR/ledger.db.")
    ] = None,
) -> None:
    """Write the configurations, policy and signing key of a new site. No file is replaced.

    For example:

      fedsynth site init dayton --data patients.csv --schema schema.json --dataset dayton-patients
    """
    from fedsynth_client.new_site import write_new_site

    config, policy, key, outside = write_new_site(
        folder,
        data=data,
        schema=schema,
        dataset=dataset,
        site=site,
        max_epsilon=max_epsilon,
        superlink=superlink,
        courier=courier,
        socket=socket,
        ledger=ledger,
    )
    typer.echo(f"wrote {config}, {policy}, {outside} and the signing key {key}")
    home = outside.with_name("flower")
    typer.echo(DONE.format(config=config, policy=policy, courier=outside, home=home))
