"""`fedsynth site cohorts`: what each cohort has spent, and how a changed one is sealed anew."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from fedsynth_client.cli.options import AsJson, ConfigPath
from fedsynth_common.errors import FedsynthError, InputError

if TYPE_CHECKING:
    from fedsynth_client.records.cohort_rows import CohortRows
    from fedsynth_client.settings.site_config import SiteConfig
    from fedsynth_common.schema import Schema

ACCEPTED = (
    "Say yes only if the records of {names} were erased or corrected, or came late, and if none of "
    "them is in another cohort now. A record that moved would be charged twice. Is that so?"
)


def cohorts(
    config: ConfigPath,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COHORT",
            help="A charged cohort that has changed: seal it as it is now. Repeat the option for "
            "several. Stop the vault first.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Seal anew without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what was charged to each cohort of the table, or seal a changed cohort anew.

    For example:

      fedsynth site cohorts --config dayton/site.toml

      fedsynth site cohorts --config dayton/site.toml --accept 2026Q4
    """
    from fedsynth_client.settings.site_config import SiteConfig
    from fedsynth_common.schema import Schema

    site = SiteConfig.load(config)
    schema = Schema.load(site.table_schema)
    if schema.cohorts is None:
        raise InputError(f"schema {site.table_schema}: has no cohorts")
    if accept:
        _accept(site, schema, accept, yes)
        return
    _show(site, as_json)


def _show(site: "SiteConfig", as_json: bool) -> None:
    from fedsynth_client.budget.policy import Policy
    from fedsynth_client.budget.spending import read_ledger, spending

    policy = Policy.load(site.policy)
    ledger = read_ledger(site.ledger, policy.dataset, site.witness)
    if ledger.fault:
        raise FedsynthError(f"ledger {site.ledger}: {ledger.fault}")
    spent = spending(ledger.charges, policy).cohorts
    if as_json:
        typer.echo(json.dumps({name: asdict(each) for name, each in spent.items()}))
        return
    table = Table("cohort", "studies", "spent", "cap", "left", title="ε of each cohort")
    for name, each in spent.items():
        figures = (f"{value:.4f}" for value in (each.spent, each.cap, each.left))
        table.add_row(name, ", ".join(each.studies), *figures)
    Console(markup=False, highlight=False).print(table)


def _accept(site: "SiteConfig", schema: "Schema", names: list[str], yes: bool) -> None:
    from fedsynth_client.budget.policy import Policy
    from fedsynth_client.cli.serve import book_of, open_ledger
    from fedsynth_client.preflight.cohort_check import cohort_problems
    from fedsynth_client.vault.cohorts import seal_anew, today

    policy = Policy.load(site.policy)
    charges = open_ledger(site, policy.dataset)
    try:
        book = book_of(charges, schema)
        rows = _rows(site, schema, policy.site, book.key)
        others = [seal for seal in book.seals if seal.cohort.name not in names]
        if problems := cohort_problems(others, schema, rows):
            raise FedsynthError("; ".join(problems))
        if not yes:
            typer.confirm(ACCEPTED.format(names=", ".join(names)), abort=True)
        changed = seal_anew(names, rows, charges, today())
    finally:
        charges.close()
    done = f"sealed anew: {', '.join(changed)}" if changed else "unchanged: nothing to seal"
    typer.echo(f"{done}; what was charged stays charged")


def _rows(
    site: "SiteConfig", schema: "Schema", name: str | None, key: bytes | None
) -> "CohortRows":
    from fedsynth_client.cli.check import working
    from fedsynth_client.records.guarded_reading import site_source, without_values
    from fedsynth_client.records.records import RecordsBuilder
    from fedsynth_client.records.site_column import with_site_name

    builder = RecordsBuilder(schema, keep=False, cohort_key=key)
    with working("reading the records"):
        for chunk in site_source(site).chunks():
            with without_values("reading the table"):
                builder.add(with_site_name(chunk, schema, name))
    if builder.cohorts is None:
        raise InputError("the schema has no cohorts")
    return builder.cohorts
