"""`fedsynth site approve`: a person reads what a plan costs, then allows it.

An approval is the plan's digest in the policy. A plan that the vault would refuse anyway cannot be
approved. A vault that runs reads its policy before every answer, so it need not be started again.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from fedsynth_client.cli.options import ConfigPath

if TYPE_CHECKING:
    from fedsynth_client.budget.policy import Policy
    from fedsynth_client.plans.review import Review
    from fedsynth_common.protocol.plan import Plan


def approve(
    plan_file: Annotated[
        Path, typer.Argument(metavar="PLAN", help="The plan that the coordinator sent.")
    ],
    config: ConfigPath,
    yes: Annotated[bool, typer.Option("--yes", help="Approve without asking.")] = False,
    page: Annotated[
        Path | None,
        typer.Option(
            help="Write a page to print and sign, for an ethics board, to this file (HTML), and "
            "approve nothing."
        ),
    ] = None,
) -> None:
    """Show what a plan costs this site's people, and allow it after a confirmation.

    For example:

      fedsynth site approve plan.json --config dayton/site.toml

      fedsynth site approve plan.json --config dayton/site.toml --page approval.html
    """
    from fedsynth_client.cli.plan_here import PlanHere
    from fedsynth_client.plans.approvals import add_approval

    here = PlanHere.read(plan_file, config)
    site, policy, plan, reviewed = here.site, here.policy, here.plan, here.reviewed
    if page is not None:
        _write_page(page, plan, policy, reviewed)
        return
    show_plan(plan, policy, reviewed)
    here.require_acceptable()
    if policy.approves(plan.digest):
        typer.echo(f"approved before: {site.policy} is unchanged")
        return
    if not yes:
        typer.confirm("Approve this plan?", abort=True)
    add_approval(site.policy, plan.digest)
    typer.echo(f"approved in {site.policy}; a vault that is running accepts the plan from now on")


def _write_page(path: Path, plan: "Plan", policy: "Policy", reviewed: "Review") -> None:
    """Write the page for a board; a file that exists is not replaced."""
    from datetime import date

    from fedsynth_client.plans.approval_page import approval_page
    from fedsynth_common.durable import write_output
    from fedsynth_common.errors import InputError

    if path.exists():
        raise InputError(f"--page {path}: exists, and is not replaced; choose another name")
    text = approval_page(plan, policy, reviewed, date.today())
    write_output(path, text, 0o600)
    typer.echo(
        f"wrote {path}: print it; nothing was approved. It says what other studies have cost"
    )


def show_plan(plan: "Plan", policy: "Policy", reviewed: "Review") -> None:
    """Print who, what, and at which cost."""
    from fedsynth_client.plans.resources import resources
    from fedsynth_common.limits import printable

    schema = plan.table
    sites = printable(", ".join(plan.sites))
    unit = "one record"
    if schema.person_key is not None:
        unit = f"one person ({schema.person_key!r}, up to {schema.rows_per_person} rows)"
    if schema.histories is not None:
        used = f"of which up to {schema.histories.max_events} are used"
        unit = f"one person ({schema.person_key!r}) with all events, {used}"
    typer.echo(f"study    {plan.study}")
    typer.echo(f"sites    {sites} (this site: {policy.site or 'not named in the policy'})")
    if plan.cohort is not None and schema.cohorts is not None:
        cohort = f"{printable(plan.cohort)}, by {schema.cohorts.column!r}"
        typer.echo(f"cohort   {cohort}; no other records are looked at or charged")
    columns = f"{len(schema.modelled)} modelled columns, {schema.origin}"
    typer.echo(f"schema   {printable(schema.name)}: {columns}")
    typer.echo(f"protects {unit}")
    typer.echo(f"digest   {plan.digest}")
    typer.echo("What it may take of this computer:")
    for about, most in resources(plan):
        typer.echo(f"  {about:<9}{most}")
    table = Table(title=f"Cost of each step, epsilon at delta {plan.delta:g}")
    for heading in ("step", "what", "noise multiplier", "epsilon alone"):
        table.add_column(heading, justify="right" if "e" in heading[-5:] else "left")
    for line in reviewed.steps:
        noise, alone = f"{line.noise_multiplier:.3f}", f"{line.epsilon:.4f}"
        table.add_row(line.step, line.what, noise, alone)
    Console(markup=False, highlight=False).print(table)
    typer.echo(f"whole plan       epsilon {reviewed.cost:.4f}, and it says {plan.epsilon:g}")
    _show_sum(plan, reviewed)
    _show_cap(policy, reviewed)


def _show_sum(plan: "Plan", reviewed: "Review") -> None:
    """Print what a secure sum promises against whom."""
    if plan.secure_sum is None or reviewed.cost_alone is None:
        return
    sites, most = len(plan.sites), plan.secure_sum.colluders
    typer.echo(
        f"secure sum       the {sites} sites make one noise together. This epsilon holds against the\n"
        f"                 coordinator and all readers, while at most {most} of the sites work with\n"
        f"                 them or are missing. If all others work together against this site,\n"
        f"                 epsilon {reviewed.cost_alone:.4f} holds"
    )


def _show_cap(policy: "Policy", reviewed: "Review") -> None:
    """Print what the plan takes of the cap: one study by PLD, several by the Rényi filter too."""
    before, after, cap = reviewed.spent, reviewed.after, policy.max_epsilon
    typer.echo(f"other studies    epsilon {before.epsilon:.4f} at delta {policy.max_delta:g}")
    typer.echo(f"with this plan   epsilon {after.epsilon:.4f} of {cap:g}")
    if total := reviewed.after_alone:
        typer.echo(
            f"if all others    epsilon {total.epsilon:.4f} of {total.cap:g} (max_epsilon_alone), with "
            "this plan\nwork together"
        )
    if not reviewed.several:
        typer.echo(f"left of the cap  epsilon {max(0.0, cap - after.epsilon):.4f}")
        return
    typer.echo(
        f"                 epsilon {after.pld:.4f} if all plans had been fixed beforehand (PLD)"
    )
    typer.echo(
        f"used of the cap  {after.share:.1%}, before this plan {before.share:.1%} "
        f"(Rényi filter of order {after.order:g}; decides)"
    )
