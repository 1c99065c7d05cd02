"""`fedsynth site template`: a person allows that an approved plan is repeated for later cohorts.

The template is a line in the policy. What it permits is shown in plain words first. A vault that runs
reads its policy before every answer, so it need not be started again.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedsynth_client.cli.options import ConfigPath
from fedsynth_common.errors import InputError

if TYPE_CHECKING:
    from fedsynth_client.budget.policy import Policy


def template(
    plan_file: Annotated[
        Path, typer.Argument(metavar="PLAN", help="A plan of a cohort that was approved here.")
    ],
    config: ConfigPath,
    until: Annotated[
        str, typer.Option(help="The last cohort that may be studied in this way, such as 2027Q4.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Allow without asking.")] = False,
) -> None:
    """Show what repeating an approved plan for later cohorts permits, and allow it after a confirmation.

    For example:

      fedsynth site template plan.json --config dayton/site.toml --until 2027Q4
    """
    from fedsynth_client.budget.policy import Template
    from fedsynth_client.cli.approve import show_plan
    from fedsynth_client.cli.plan_here import PlanHere
    from fedsynth_client.plans.approvals import add_template
    from fedsynth_client.plans.template_words import words_of_template

    here = PlanHere.read(plan_file, config)
    site, policy, plan, charges = here.site, here.policy, here.plan, here.ledger.charges
    _require_approved(policy, plan.digest, plan_file)
    words = list(words_of_template(plan, until, policy, here.reviewed, charges))
    show_plan(plan, policy, here.reviewed)
    typer.echo("\nWhat the template permits:")
    for line in words:
        typer.echo(f"  - {line}")
    here.require_acceptable()
    if not yes:
        typer.confirm("Allow this without asking again?", abort=True)
    if add_template(site.policy, Template(plan=plan.digest, until=until)):
        typer.echo(f"allowed in {site.policy}; a vault that is running reads it from now on")
    else:
        typer.echo(f"allowed before: {site.policy} is unchanged")
    if plan.study not in {charge.study for charge in charges}:
        typer.echo("it takes effect once the plan's own study has started here")


def _require_approved(policy: "Policy", digest: str, plan_file: Path) -> None:
    if policy.approved_plans == "any":
        raise InputError(
            'approved_plans is "any": this site answers every plan within its limits, so that a '
            "template permits nothing more"
        )
    if not policy.approves(digest):
        raise InputError(
            f"plan {plan_file}: was not approved here; first: fedsynth site approve {plan_file}"
        )
