"""`fedsynth site check`: everything that can go wrong, found before a study starts. All local.

Exit code 0: fit to be served. 1: problems, one a line. 2: a file that cannot be used at all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from fedsynth_client.cli.options import ConfigPath, read_plan
from fedsynth_client.config import SiteConfig, exposed_files
from fedsynth_common.errors import FedsynthError

if TYPE_CHECKING:
    from fedsynth_client.preflight import Preflight


def check(
    config: ConfigPath,
    plan: Annotated[
        Path | None, typer.Option(help="Also show what this plan would be charged.")
    ] = None,
) -> None:
    """Check table, schema, policy, files and ledger before serving. Prints no cell of the table.

    For example:

      fedsynth site check --config dayton/site.toml --plan plan.json
    """
    from fedsynth_client.account import read_account
    from fedsynth_client.policy import Policy
    from fedsynth_client.preflight import preflight
    from fedsynth_client.reading import site_source
    from fedsynth_common.schema import Schema

    site = SiteConfig.load(config)
    policy, schema = Policy.load(site.policy), Schema.load(site.table_schema)
    asked = read_plan(plan) if plan else None
    with working("reading and checking the records"):
        result = preflight(site_source(site), schema, policy, site.waived, site.max_repaired)
    account = read_account(site.ledger, policy.dataset, site.witness)
    problems = [*result.problems, *exposed_files(site, config)]
    problems += [f"ledger {site.ledger}: {account.fault}"] if account.fault else []
    _show(result)
    if asked and not account.fault:
        from fedsynth_client.cli.approve import show_plan
        from fedsynth_client.plan_review import review

        reviewed = review(asked, policy, schema, account.charges)
        show_plan(asked, policy, reviewed)
        problems += [f"plan {plan}: {reason}" for reason in reviewed.refusals]
    for note in result.notes:
        typer.echo(f"note: {note}")
    for problem in problems:
        typer.echo(f"problem: {problem}", err=True)
    if problems:
        raise FedsynthError(f"{site.data} is not fit to be served: {len(problems)} problems")
    typer.echo(f"{site.data}: fit to be served ({result.units} records or persons)")
    typer.echo(f"the encoded records have SHA-256 {result.digest} (private: for this site only)")


@contextmanager
def working(doing: str) -> Iterator[None]:
    """A sign of life on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(doing):
        yield


def _show(result: "Preflight") -> None:
    table = Table(title="Repairs per column (private: for this site only)", box=SIMPLE_HEAD)
    table.add_column("column", overflow="fold")
    for heading in ("kind", "cells", "clamped", "rounded", "unknown", "not a\nnumber"):
        table.add_column(heading, justify="right", no_wrap=True)
    for report in result.columns:
        repairs = report.repairs
        counts = (repairs.clamped, repairs.rounded, repairs.unknown, repairs.unparsable)
        cells = ("refused",) * 4 if report.fault else [str(count or "-") for count in counts]
        table.add_row(report.column.name, report.column.kind, str(report.width), *cells)
    Console(markup=False, highlight=False).print(table)
