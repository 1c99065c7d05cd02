"""`fedsynth site backup` and `restore`: a site's files in one, and back without a second budget."""

from pathlib import Path
from typing import Annotated

import typer

from fedsynth_client.cli.options import ConfigPath, read_plan


def backup(
    config: ConfigPath,
    out: Annotated[Path, typer.Option(help="The file to write; none is replaced.")],
) -> None:
    """Write the site's files in one: configurations, policy, keys, ledger, invitations. No records.

    The vault may run. The file holds private keys: keep it where the keys may lie.

    For example:

      fedsynth site backup --config dayton/site.toml --out /backup/dayton-monday.tar
    """
    from fedsynth_client.backup import back_up

    made = back_up(config, out)
    typer.echo(f"{out}: {len(made.files)} files of {made.facts['dataset']}, {made.day}")
    typer.echo("It holds private keys. The records are not in it.")


def restore(
    file: Annotated[Path, typer.Argument(metavar="BACKUP", help="From `fedsynth site backup`.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The site's new folder.")],
    plan: Annotated[
        list[Path] | None,
        typer.Option(help="A plan that was approved after the backup. Repeat it for several."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="No other plan was approved since; do not ask.")
    ] = False,
) -> None:
    """Bring a site back whose ledger is lost. Only then: the latest ledger is better than any backup.

    What was charged since the backup is not in it. So every plan that may have run since is charged in
    full, and its study is answered no more. Name the plans that were approved after the backup.

    For example:

      fedsynth site restore /backup/dayton-monday.tar dayton --plan flu.plan.json
    """
    from fedsynth_client.backup import restore as bring_back

    plans = [read_plan(path) for path in plan or []]
    named = ", ".join(one.study for one in plans) or "none"
    typer.echo(f"plans that you name as approved since the backup: {named}")
    if not yes:
        typer.confirm(
            "A study that began since and is not named is forgotten: its people would be served twice. "
            "Are these all?",
            abort=True,
        )
    done = bring_back(file, folder, plans)
    typer.echo(f"{folder}: as of {done.manifest.day}")
    for study, steps in sorted(done.closed.items()):
        typer.echo(f"  study {study}: closed, {steps} steps charged that may have run")
    if not done.bundle:
        typer.echo("no app bundle: fedsynth site bundle FAB --install FOLDER, or join again")
    typer.echo("Next:\n  1. put the table in its place; give each file to its user, as before")
    typer.echo("  2. compare with releases: fedsynth site check --statement privacy_statement.json")
    typer.echo("  3. fedsynth site status, serve and connect")
