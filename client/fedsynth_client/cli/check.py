"""`fedsynth site check`: finds at the site, before a study starts, what would stop the vault.

Exit code 0: fit to be served. 1: problems, one a line. 2: a file that cannot be used at all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fedsynth_client.cli.options import ConfigPath, read_plan
from fedsynth_common.errors import FedsynthError

if TYPE_CHECKING:
    from fedsynth_client.budget.policy import Policy
    from fedsynth_client.preflight.preflight import Preflight
    from fedsynth_client.settings.site_config import SiteConfig


def check(
    config: ConfigPath,
    plan: Annotated[Path | None, typer.Option(help="Also show what this plan would cost.")] = None,
    statement: Annotated[
        list[Path] | None,
        typer.Option(
            help="A privacy_statement.json of a release that this site took part in: does the ledger "
            "hold what the receipt in it says? Repeat it for several."
        ),
    ] = None,
) -> None:
    """Check the table, schema, policy, files and ledger before serving. No cell of the table is printed.

    For example:

      fedsynth site check --config dayton/site.toml --plan plan.json
    """
    from fedsynth_client.budget.policy import Policy
    from fedsynth_client.budget.spending import read_ledger
    from fedsynth_client.preflight.preflight import preflight
    from fedsynth_client.records.guarded_reading import site_source
    from fedsynth_client.running_site import authority_notes
    from fedsynth_client.settings.site_config import SiteConfig, exposed_files
    from fedsynth_common.schema import Schema

    site = SiteConfig.load(config)
    policy, schema = Policy.load(site.policy), Schema.load(site.table_schema)
    asked = read_plan(plan) if plan else None
    ledger = read_ledger(site.ledger, policy.dataset, site.witness)
    with working("reading and checking the records"):
        result = preflight(
            site_source(site), schema, policy, site.waived, site.max_repaired, ledger.book
        )
    problems = [*result.problems, *exposed_files(site, config)]
    problems += [f"ledger {site.ledger}: {ledger.fault}"] if ledger.fault else []
    problems += [] if ledger.fault else _set_back(site, policy, statement or [])
    _show(result)
    if asked and not ledger.fault:
        from fedsynth_client.budget.receipts import load_or_create_key
        from fedsynth_client.cli.approve import show_plan
        from fedsynth_client.plans.review import review

        try:
            key = load_or_create_key(site.key).public_key().public_bytes_raw()
            reviewed = review(asked, policy, schema, ledger.charges, key, ledger.book.last_day)
        except FedsynthError as error:
            problems.append(f"plan {plan}: {error}")
        else:
            show_plan(asked, policy, reviewed)
            problems += [f"plan {plan}: {reason}" for reason in reviewed.refusals]
    if result.histories:
        counts = result.histories
        each = f"{counts.events / max(1, counts.persons):.1f} a person on average"
        typer.echo(
            f"histories: {counts.persons:,} persons with {counts.events:,} events, {each}, at most "
            f"{counts.most:,}"
        )
    for note in (*result.notes, *authority_notes(site)):
        typer.echo(f"note: {note}")
    for problem in problems:
        typer.echo(f"problem: {problem}", err=True)
    if problems:
        raise FedsynthError(f"{site.data} is not fit to be served: {len(problems)} problems")
    typer.echo(f"{site.data}: fit to be served ({result.units} records or persons)")
    typer.echo(f"the encoded records have SHA-256 {result.digest} (private: for this site only)")


def _set_back(site: "SiteConfig", policy: "Policy", statements: list[Path]) -> list[str]:
    """A line for each statement whose receipt this ledger does not know."""
    from fedsynth_client.backup import missing_charges

    return [
        f"ledger {site.ledger}: does not hold what this site's receipt in {path} says: it was set back, "
        "and charges are missing. Stop the vault; RUNBOOK.md, The ledger does not open"
        for path in statements
        if missing_charges(path, site, policy)
    ]


@contextmanager
def working(doing: str) -> Iterator[None]:
    """Shows on a terminal that the command is at work; prints nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(doing):
        yield


def _show(result: "Preflight") -> None:
    from fedsynth_common.cli.repairs_table import add_column, repairs_table

    table = repairs_table()
    for report in result.columns:
        add_column(table, report.column, report.repairs, report.fault)
    Console(markup=False, highlight=False).print(table)
