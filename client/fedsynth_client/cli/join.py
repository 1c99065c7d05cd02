"""`fedsynth site join`: from the coordinator's invitation to a site that is ready to be served."""

from pathlib import Path
from typing import Annotated

import typer

from fedsynth_common.errors import FedsynthError

NEXT = """\
Next:
  1. send {answer} to the coordinator, and compare by telephone:
       this site's key          {own}
  2. fedsynth site serve --config {config}      (the vault)
  3. fedsynth site connect --config {config}    (the courier, in another terminal)"""


def join(
    invitation: Annotated[
        Path, typer.Argument(metavar="INVITATION", help="The file that the coordinator sent.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The site's folder, new or not.")],
    data: Annotated[Path | None, typer.Option(help="For a new site: its table.")] = None,
    dataset: Annotated[
        str, typer.Option(help="For a new site: a name for the people in the table.")
    ] = "",
    max_epsilon: Annotated[
        float | None,
        typer.Option(help="For a new site: the ε of everything that is ever charged to them."),
    ] = None,
    courier: Annotated[
        Path | None, typer.Option(help="Folder of a courier that runs as another user.")
    ] = None,
    socket: Annotated[Path | None, typer.Option(help="The vault's socket.")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Approve the plan without asking, if it can be approved.")
    ] = False,
) -> None:
    """Make a site of an invitation: files, keys, check of the table, bundle; then approve its plan.

    A folder that exists is brought into another study. No file of it is replaced, and the command can
    be repeated, for example after the table was corrected.

    For example:

      fedsynth site join dayton.invitation dayton --data patients.csv --dataset dayton-patients
      --max-epsilon 3
    """
    from fedsynth_client.budget.receipts import load_or_create_key
    from fedsynth_client.cli.approve import approve
    from fedsynth_client.cli.check import check
    from fedsynth_client.joining import NewSite
    from fedsynth_client.joining import join as made_of
    from fedsynth_client.settings.site_config import SiteConfig
    from fedsynth_common.protocol.signed_file import fingerprint, read_invitation

    read, key = read_invitation(invitation)
    told = NewSite(
        data=data, dataset=dataset, max_epsilon=max_epsilon, courier=courier, socket=socket
    )
    typer.echo(f"invitation of {read.superlink} to {read.site} for the study {read.study}")
    typer.echo(f"  signed with the key {fingerprint(key)}: compare it by telephone")
    made = made_of(read, invitation.read_bytes(), key, folder, told)
    typer.echo(f"{'made' if made.new else 'kept'} {folder}; the plan is {made.plan_file}")
    typer.echo(f"bundle {made.bundle.digest}, no code in it")
    own = load_or_create_key(SiteConfig.load(made.config).key).public_key().public_bytes_raw().hex()
    try:
        check(made.config)
    except FedsynthError:
        typer.echo("the table is not fit yet: correct it, then repeat this command")
        raise
    try:
        approve(made.plan_file, made.config, yes)
    except (FedsynthError, typer.Abort):
        typer.echo(
            f"not approved; later: fedsynth site approve {made.plan_file} --config {made.config}"
        )
        typer.echo(NEXT.format(answer=made.answer, own=fingerprint(own), config=made.config))
        raise
    typer.echo(NEXT.format(answer=made.answer, own=fingerprint(own), config=made.config))
