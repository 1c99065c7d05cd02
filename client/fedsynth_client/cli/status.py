"""`fedsynth site status`: what runs, what was spent, what is left, and whether the ledger is sound."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fedsynth_client.cli.options import AsJson, ConfigPath
from fedsynth_common.errors import FedsynthError

if TYPE_CHECKING:
    from fedsynth_client.budget.policy import Policy
    from fedsynth_client.budget.spending import LedgerState, Spending, Total
    from fedsynth_client.running_site import RunningSite


def status(config: ConfigPath, as_json: AsJson = False) -> None:
    """Show what runs, the cap, what was spent and is left, the studies, and whether the ledger is sound.

    The command also works while the vault runs, and asks vault and courier whether they do.

    For example:

      fedsynth site status --config dayton/site.toml --json
    """
    from fedsynth_client.settings.site_config import SiteConfig

    policy, ledger, spent, running = _looked_at(config)
    if as_json:
        typer.echo(json.dumps({**_fields(policy, ledger, spent), "running": asdict(running)}))
    elif spent:
        _print(policy, ledger, spent)
        _print_running(running)
    if ledger.fault:
        place = SiteConfig.load(config).ledger
        raise FedsynthError(f"ledger {place}: {ledger.fault}; the vault will not start")


def facts_of(config: Path) -> dict[str, object]:
    """All that `status --json` prints.

    Raises:
        InputError: the configuration or the policy cannot be read.
    """
    policy, ledger, spent, running = _looked_at(config)
    return {**_fields(policy, ledger, spent), "running": asdict(running)}


def _looked_at(
    config: Path,
) -> "tuple[Policy, LedgerState, Spending | None, RunningSite]":
    from fedsynth_client.budget.policy import Policy
    from fedsynth_client.budget.spending import read_ledger, spending
    from fedsynth_client.running_site import running_site
    from fedsynth_client.settings.site_config import SiteConfig

    site = SiteConfig.load(config)
    policy = Policy.load(site.policy)
    ledger = read_ledger(site.ledger, policy.dataset, site.witness)
    spent = None if ledger.fault else spending(ledger.charges, policy)
    return policy, ledger, spent, running_site(site, config)


def _fields(policy: "Policy", ledger: "LedgerState", spent: "Spending | None") -> dict[str, object]:
    """What a script reads; with an unsound ledger nothing is known about spending."""
    head = ledger.head or (None, None)
    fields: dict[str, object] = {
        "dataset": policy.dataset,
        "cap": policy.max_epsilon,
        "delta": policy.max_delta,
        "spent": spent.spent if spent else None,
        "spent_pld": spent.total.pld if spent else None,
        "left": spent.left if spent else None,
        "share_used": _finite(spent.total.share) if spent else None,
        "filter_order": spent.total.order if spent else None,
        "alone": _alone_fields(policy, spent),
        "cohorts": {
            name: {**asdict(cohort), "share": _finite(cohort.share)}
            for name, cohort in spent.cohorts.items()
        }
        if spent
        else None,
        "studies": {
            name: {
                "epsilon": cost,
                "steps": spent.steps[name],
                "planned": ledger.planned.get(name),
            }
            for name, cost in spent.studies.items()
        }
        if spent
        else None,
    }
    sound = {"sound": not ledger.fault, "started": ledger.started, "fault": ledger.fault}
    return {**fields, "ledger": {**sound, "seq": head[0], "head": head[1]}}


def _alone_fields(policy: "Policy", spent: "Spending | None") -> dict[str, object]:
    """The second running total: if all others work together against this site."""
    total = spent.alone if spent else None
    return {
        "cap": policy.max_epsilon_alone,
        "spent": total.epsilon if total else spent.spent if spent else None,
        "share_used": _finite(total.share) if total else None,
    }


def _print(policy: "Policy", ledger: "LedgerState", spent: "Spending") -> None:
    typer.echo(f"data set  {policy.dataset}")
    typer.echo(f"cap       epsilon {policy.max_epsilon:8.4f} at delta {policy.max_delta:g}")
    typer.echo(f"spent     epsilon {spent.spent:8.4f}")
    if len(spent.studies) > 1:
        typer.echo(
            f"          epsilon {spent.total.pld:8.4f} if all plans had been fixed beforehand"
        )
    typer.echo(f"left      epsilon {spent.left:8.4f}")
    typer.echo(f"used      {_used(spent.total)}")
    if spent.alone:
        total = spent.alone
        typer.echo(
            f"alone     epsilon {total.epsilon:8.4f} of {total.cap:g}, if all others work together"
        )
        typer.echo(f"          {_used(total)}")
    for name, cohort in spent.cohorts.items():
        typer.echo(
            f"  cohort {name:<31} epsilon {cohort.spent:8.4f} of {cohort.cap:g}, left "
            f"{cohort.left:.4f}"
        )
    for name, cost in spent.studies.items():
        of = f" of {ledger.planned[name]}" if name in ledger.planned else ""
        typer.echo(f"  study {name:<32} epsilon {cost:8.4f} in {spent.steps[name]}{of} steps")
    for name in sorted(set(ledger.planned) - set(spent.studies)):
        typer.echo(f"  study {name:<32} accepted; nothing is charged yet")
    seq, link = ledger.head or (0, "")
    started = f"sound, {seq} charges, head {link[:16]}" if ledger.started else "not started yet"
    typer.echo(f"ledger    {started}")
    approved = policy.approved_plans
    plans = "any plan within the limits" if approved == "any" else f"{len(approved)}"
    typer.echo(f"approved plans: {plans}")


def _print_running(running: "RunningSite") -> None:
    """Print which processes run, what is newer than the vault, and what to do."""
    typer.echo(f"vault     {'runs' if running.vault else 'does not run'}")
    connected = "runs, connected to the coordinator" if running.connected else "runs, not connected"
    courier = {True: connected, False: "does not run", None: "not known: site.toml names no file"}
    typer.echo(f"courier   {courier[running.courier]}")
    for line in (*running.faults, *running.newer):
        typer.echo(f"note      {line}")


def _used(total: "Total") -> str:
    """How much of the cap the filter has used, which decides on every further study."""
    used = f"{total.share:.1%} of the cap (Rényi filter of order {total.order:g})"
    return f"{used}: no other study fits" if total.share > 1 else used


def _finite(share: float) -> float | None:
    """JSON has no infinity: None where the cap leaves the filter no budget."""
    return share if math.isfinite(share) else None
