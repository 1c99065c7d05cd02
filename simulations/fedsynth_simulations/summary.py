"""What `fedsynth simulate` says at its end: costs, caveats and, with a hold-out, an evaluation."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fedsynth_common.errors import InputError
from fedsynth_common.tables import read_table
from fedsynth_server.study.method import method_of
from fedsynth_simulations.closed_file import NOTICE


def summary_of(result: Any, frames: dict[str, pd.DataFrame], out: Path) -> dict[str, Any]:
    """What a study was, cost and took, for summary.json."""
    statement = result.generator.statement
    return {
        "out": str(out),
        "private": statement.private,
        "caveats": list(statement.caveats),
        "sites": {
            cost.site: {"records": len(frames[cost.site]), "epsilon": cost.epsilon}
            for cost in statement.sites
        },
        "epsilon": statement.epsilon_if_people_are_at_one_site_only,
        "epsilon_if_all_others_work_together": statement.epsilon_if_all_others_work_together,
        "delta": statement.delta,
        "variant": method_of(result.plan),
        "bytes_per_site": result.outcome.bytes_per_site,
        "not_modelled": {
            column.name: column.description or column.kind
            for column in result.plan.table.unmodelled
        },
        "notes": result.outcome.notes,
    }


def evaluation_of(
    draft: Path,
    result: Any,
    real: tuple[pd.DataFrame, pd.DataFrame],
    quick: bool,
    attacks: bool,
    quasi_identifiers: tuple[str, ...],
    summary: dict[str, Any],
) -> Any:
    """Evaluate the table in `draft`, write evaluation.json, and its short form into `summary`.

    What cannot be evaluated (no column to predict, hardly any rows) costs the evaluation, not the
    study.
    """
    from fedsynth_release.cli.evaluate import write_private
    from fedsynth_release.evaluation import evaluate_table
    from fedsynth_release.progress import stages

    statement = result.generator.statement
    made = read_table(next(draft.glob("synthetic.*")))
    try:
        with stages() as say:
            found = evaluate_table(
                *real,
                made,
                result.plan.table,
                quick=quick,
                attacks=attacks,
                quasi_identifiers=quasi_identifiers,
                epsilon=statement.epsilon_if_people_are_at_one_site_only,
                delta=statement.delta,
                say=say,
            )
    except InputError as error:
        summary["notes"] = [*summary["notes"], f"not evaluated: {error}"]
        return None
    write_private(found, draft / "evaluation.json")
    summary["quality"] = _quality(found)
    return found


def _quality(found: Any) -> dict[str, dict[str, float | None]]:
    """The main figures of an evaluation, by table."""
    sources = {
        "real records": ("hold-out", "real"),
        "synthetic": ("synthetic", "synthetic"),
        "independent columns": ("independent", "independent"),
    }
    fidelity = {row.role: row.model_dump(exclude={"role"}) for row in found.fidelity.figures}
    for row in found.histories.figures if found.histories else ():
        fidelity.setdefault(row.role, {}).update(row.model_dump(exclude={"role"}))
    return {
        name: fidelity[role]
        | {
            f"mean_{mean.metric.lower()}_{mean.learner}": getattr(mean, field)
            for mean in found.utility.means
        }
        for name, (role, field) in sources.items()
    }


def show_summary(summary: dict[str, Any], evaluation: Any, *, as_json: bool) -> None:
    """Print the summary and, if there is one, the evaluation."""
    if as_json:
        typer.echo(json.dumps({"notice": NOTICE, **summary}))
        return
    console = Console()
    for caveat in summary["caveats"]:
        console.print(escape(caveat), style="bold red", highlight=False, soft_wrap=True)
    if (alone := summary["epsilon_if_all_others_work_together"]) is not None:
        console.print(f"secure sum: ε = {alone:.4f} if all other sites work together against one")
    sites = Table("site", "records", "ε", title=f"δ = {summary['delta']:g}")
    for site, cost in summary["sites"].items():
        sites.add_row(escape(site), f"{cost['records']:,}", f"{cost['epsilon']:.4f}")
    console.print(sites)
    console.print(NOTICE, style="bold", highlight=False, soft_wrap=True)
    if evaluation is not None:
        from fedsynth_release.evaluation.summary import show

        show(evaluation, console)
    for line in summary["report"]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for note in summary["notes"]:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    written = "generator/, synthetic table, report.html, history.json"
    written += "" if evaluation is None else ", evaluation.json"
    done = f"{summary['out']}: {written} ({summary['seconds']} s)"
    console.print(done, markup=False, highlight=False, soft_wrap=True)
    for step in next_steps(summary):
        console.print(step, markup=False, highlight=False, soft_wrap=True)


def next_steps(summary: dict[str, Any]) -> list[str]:
    """What somebody may want to do with the result."""
    out = summary["out"]
    steps = [
        f"next     open {out}/report.html: it says which columns to trust",
        f"         fedsynth sample {out}/generator --rows 10000 --out more.csv",
    ]
    if not summary["private"]:
        steps.append(
            "         for a private result, draft a schema with fedsynth schema draft, have it "
            "reviewed, and pass it with --schema and --records-per-site"
        )
    return steps
