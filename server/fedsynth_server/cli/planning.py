"""`fedsynth study init`, `plan` and `explain`: what a study costs, before any site is asked.

Nothing here touches a record; the plan is a function of public facts alone.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_PLAN_BYTES, read_limited
from fedsynth_server.cli.options import (
    AsJson,
    Cohort,
    Colluders,
    Delta,
    Drafted,
    Epsilon,
    Folder,
    Force,
    ReceiptKeys,
    RecordsPerSite,
    SchemaFile,
    SiteMarginals,
    SiteNames,
    Trust,
    TrustName,
    Variant,
    VariantName,
)

if TYPE_CHECKING:
    from fedsynth_common.protocol.plan import Plan, SecureSum
    from fedsynth_common.schema import Schema

INVITED = """\
Next:
  1. look at {config}: how many sites must answer, how long to wait
  2. send each site its file of {place}
  3. fedsynth study admit {folder} ANSWER...      (the files that the sites send back)
  4. fedsynth study run {folder}"""
NEXT = """\
Next:
  1. look at {config}: where the SuperLink is, how many sites must answer
  2. give {plan} to the sites and tell them its digest by another way; each approves it
  3. fedsynth study run {folder}"""


class Budget(NamedTuple):
    """What the options say of a plan's size and of how its budget is spent."""

    records_per_site: int
    epsilon: float
    delta: float
    variant: VariantName
    site_marginals: bool
    cohort: str | None


def init(
    folder: Folder,
    schema: SchemaFile,
    site: SiteNames,
    records_per_site: RecordsPerSite,
    epsilon: Epsilon = 1.0,
    delta: Delta = 1e-5,
    variant: Variant = VariantName.AUTO,
    trust: Trust = TrustName.LOCAL,
    colluders: Colluders = None,
    site_marginals: SiteMarginals = False,
    cohort: Cohort = None,
    receipt_key: ReceiptKeys = None,
    study: Annotated[
        str | None, typer.Option(help="Name of the study. By default the name of the folder.")
    ] = None,
    superlink: Annotated[
        str, typer.Option(help="HOST:PORT of the SuperLink's Control API.")
    ] = "127.0.0.1:8000",
    root_certificate: Annotated[
        Path | None,
        typer.Option(help="The certificate (PEM) of the authority that signed the SuperLink's."),
    ] = None,
    coordinator: Annotated[
        Path | None,
        typer.Option(
            help="The folder of `fedsynth coordinator init`: it says where the SuperLink is, and an "
            "invitation is written for every site."
        ),
    ] = None,
    quorum: Annotated[
        int | None,
        typer.Option(min=1, help="The fewest sites that must answer each message. By default all."),
    ] = None,
    drafted: Drafted = False,
    force: Force = False,
) -> None:
    """Make the folder of a study: the plan for the sites, and the settings of the run."""
    from fedsynth_server.cli.entry import hub_of, write_invitation
    from fedsynth_server.study.folder import StudyFolder, config_text

    target = StudyFolder(folder)
    for path in (target.plan_file, target.config_file):
        if path.exists() and not force:
            raise InputError(f"{path}: exists; choose another folder or pass --force")
    if target.begun() or target.finished():
        raise InputError(f"{folder}: a study has begun here; choose another folder")
    if quorum is not None and quorum > len(site):
        raise InputError(f"--quorum {quorum}: the study has {len(site)} sites")
    if root_certificate is not None and not root_certificate.is_file():
        raise InputError(f"--root-certificate {root_certificate}: no such file")
    hub = hub_of(coordinator)
    if hub is not None:
        superlink = f"127.0.0.1:{hub.settings().superlink_port}"
        root_certificate = hub.ca
    name = study or target.path.name
    table = _table(schema, drafted)
    secure_sum = _secure_sum(trust, site, receipt_key, colluders)
    budget = Budget(records_per_site, epsilon, delta, variant, site_marginals, cohort)
    made = _make(name, table, site, budget, secure_sum)
    folder.mkdir(parents=True, exist_ok=True)
    target.plan_file.write_bytes(made.to_json())
    certificate = root_certificate.absolute() if root_certificate else None
    target.config_file.write_text(
        config_text(superlink, certificate, quorum, site), encoding="utf-8"
    )
    target.config()  # what was given as an option is checked like what is typed
    typer.echo(f"{target.plan_file}: digest {made.digest}")
    _say_method(made)
    if hub is not None:
        paths = [write_invitation(target, hub, each, force=force) for each in site]
        typer.echo(INVITED.format(config=target.config_file, place=paths[0].parent, folder=folder))
        return
    typer.echo(NEXT.format(config=target.config_file, plan=target.plan_file, folder=folder))


def plan(
    schema: SchemaFile,
    site: SiteNames,
    records_per_site: RecordsPerSite,
    out: Annotated[Path, typer.Option(help="The plan file to write.")],
    epsilon: Epsilon = 1.0,
    delta: Delta = 1e-5,
    variant: Variant = VariantName.AUTO,
    trust: Trust = TrustName.LOCAL,
    colluders: Colluders = None,
    site_marginals: SiteMarginals = False,
    cohort: Cohort = None,
    receipt_key: ReceiptKeys = None,
    study: Annotated[str, typer.Option(help="Name of the study.")] = "study",
    drafted: Drafted = False,
    force: Force = False,
) -> None:
    """Write a plan alone, to see what it would cost. `init` makes a whole study."""
    if out.exists() and not force:
        raise InputError(f"{out}: exists; choose another name or pass --force")
    table = _table(schema, drafted)
    secure_sum = _secure_sum(trust, site, receipt_key, colluders)
    budget = Budget(records_per_site, epsilon, delta, variant, site_marginals, cohort)
    made = _make(study, table, site, budget, secure_sum)
    out.write_bytes(made.to_json() + b"\n")
    typer.echo(f"{out}: digest {made.digest}")


def explain(
    plan_file: Annotated[
        Path, typer.Argument(help="A plan file, or the folder of a study.", metavar="PLAN")
    ],
    as_json: AsJson = False,
) -> None:
    """Show what each step of a plan costs the records of one site: mechanism, noise, ε and share."""
    from fedsynth_common.protocol.plan import Plan
    from fedsynth_server.study.costs import Cost
    from fedsynth_server.study.costs import explain as explained
    from fedsynth_server.study.folder import StudyFolder
    from fedsynth_server.study.method import duration_of, method_of
    from fedsynth_server.training.settings import TrainingSettings

    if plan_file.is_dir():
        plan_file = StudyFolder(plan_file).plan_file
    if not plan_file.is_file():
        raise InputError(f"{plan_file}: no such file; name a plan, or the folder of a study")
    made = Plan.from_json(read_limited(plan_file, MAX_PLAN_BYTES))
    lines = explained(made)
    total, lone = _totals(made)
    if as_json:
        costs = [cost.model_dump() for cost in lines]
        duration = duration_of(made, TrainingSettings())
        whole = {
            "digest": made.digest,
            "epsilon": total,
            "delta": made.delta,
            "trust": made.trust,
            "epsilon_if_all_others_work_together": lone,
            "steps": costs,
            "method": method_of(made),
            "seconds": {"coordinator": duration.here(), "site": duration.site},
        }
        typer.echo(json.dumps(whole))
        return
    table = Table(*Cost.model_fields, title=f"study {made.study}, digest {made.digest[:16]}…")
    for cost in lines:
        alone = f"{cost.epsilon_alone:.4f}"
        table.add_row(cost.step, cost.mechanism, cost.noise, alone, f"{cost.share:.1%}")
    console = Console()
    console.print(table)
    console.print(
        f"composed: ε = {total:.4f} at δ = {made.delta:g}; the plan allows {made.epsilon:g} "
        f"({total / made.epsilon:.1%} used)"
    )
    if made.secure_sum:
        console.print(
            f"if all other sites and the coordinator work together against one site: ε = {lone:.4f} "
            "(each site's policy caps this by max_epsilon_alone)"
        )
    _say_method(made)


def _secure_sum(
    trust: TrustName, sites: list[str], receipt_keys: list[str] | None, colluders: int | None
) -> "SecureSum | None":
    """What the options say of a secure sum; None without one."""
    from fedsynth_server.study.roster import make_secure_sum

    if trust is TrustName.LOCAL:
        if receipt_keys or colluders:
            raise InputError("--receipt-key and --colluders go with --trust secure-sum only")
        return None
    keys = dict(text.rpartition("=")[::2] for text in receipt_keys or [])
    return make_secure_sum(sites, keys, colluders)


def _table(schema: Path, drafted: bool) -> "Schema":
    """The schema of a study, which a person must have reviewed.

    Raises:
        InputError: nobody has, and `--drafted` does not say that this is meant.
    """
    from fedsynth_common.schema import Schema

    table = Schema.load(schema)
    if table.origin != "declared" and not drafted:
        raise InputError(
            f"{schema}: the schema is as it was drafted from records, whose bounds and categories it "
            'states without noise; review it and set "origin" to "declared", or pass --drafted'
        )
    return table


def _make(
    study: str,
    table: "Schema",
    sites: list[str],
    budget: Budget,
    secure_sum: "SecureSum | None",
) -> "Plan":
    from fedsynth_server.study.planning import make_plan  # loads the accountant: not for --help

    twice = sorted({site for site in sites if sites.count(site) > 1})
    if twice:
        raise InputError(f"--site {twice[0]}: given more than once; a site's name is its own")
    return make_plan(
        study=study,
        table=table,
        sites=sites,
        records_per_site=budget.records_per_site,
        epsilon=budget.epsilon,
        delta=budget.delta,
        variant=budget.variant.value,
        secure_sum=secure_sum,
        site_marginals=budget.site_marginals,
        cohort=budget.cohort,
    )


def _say_method(made: "Plan") -> None:
    """What the plan does and about how long it takes, before anybody starts it."""
    from fedsynth_server.study.method import coordinator_lines, duration_of
    from fedsynth_server.training.settings import TrainingSettings

    for line in coordinator_lines(made, duration_of(made, TrainingSettings())):
        typer.echo(line)


def _totals(made: "Plan") -> tuple[float, float | None]:
    """The ε of the plan and, of a secure sum, the ε if all others work together against a site."""
    from fedsynth_common.privacy.accounting import epsilon
    from fedsynth_common.privacy.secure_noise import alone

    planned = made.planned_events()
    lone = epsilon(alone(planned), made.delta) if made.secure_sum else None
    return epsilon(planned, made.delta), lone
