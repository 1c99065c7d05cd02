"""What `fedsynth simulate --stream` does: a study of each cohort, one after the other."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_common.schema.cohorts import Every
from fedsynth_release.cli.schema import show_notes
from fedsynth_release.evaluation.discretise import Discretiser
from fedsynth_release.evaluation.fidelity import pair_tvd
from fedsynth_release.evaluation.table_fidelity import off_diagonal
from fedsynth_release.report import write_report
from fedsynth_release.table_writer import TableWriter
from fedsynth_release.whole_folder import draft_folder, publish
from fedsynth_simulations.closed_file import write_closed
from fedsynth_simulations.simulate import Simulation
from fedsynth_simulations.site_tables import Tables
from fedsynth_simulations.stream import Step, cohort_names, cut_by_column, stream

RESULTS = (
    "cohorts",
    "generator",
    "report.html",
    "summary.json",
    "synthetic.csv",
    "synthetic.parquet",
)


@dataclass(frozen=True)
class Growth:
    """How a table grows: the column that cuts it, or None if its order does, and the half-life."""

    column: str | None
    every: Every | None
    half_life: float


def refuse_options(
    column: str | None,
    cohorts: int | None,
    every: str | None,
    holdout: float,
    resume: bool,
    trust: str,
    backend: str,
) -> None:
    """Refuse options that do not go with cohorts.

    Raises:
        InputError: naming the option.
    """
    if column is not None and cohorts is not None:
        raise InputError("--cohorts: cuts by the order of the records; leave out --stream")
    if every is not None and column is None:
        raise InputError("--every: goes with --stream and a column of dates")
    faults = {
        "--holdout": bool(holdout),
        "--resume": resume,
        f"--trust {trust}": trust != "local",
        f"--backend {backend}": backend != "inprocess",
    }
    if wrong := [option for option, given in faults.items() if given]:
        raise InputError(f"{wrong[0]}: cannot be used with --stream or --cohorts; leave it out")


def run_stream(
    tables: Tables,
    simulation: Simulation,
    growth: Growth,
    out: Path,
    rows: int | None,
    file_format: str,
    as_json: bool,
) -> None:
    """Study one cohort after the other, and write what the last one left.

    Raises:
        FedsynthError: a study failed, or its result cannot be written.
    """
    schema = tables.schema
    if growth.column is not None:
        schema = cut_by_column(schema, growth.column, growth.every)
    show_notes(tables.notes, Console(stderr=True))
    lines: list[dict[str, Any]] = []
    with draft_folder(out) as draft:
        last: Step | None = None
        for step in stream(tables.sites, schema, simulation, draft, growth.half_life):
            line = _line(step, tables, schema)
            lines.append(line)
            _say(step, line, as_json)
            last = step
        if last is not None:
            _write(last, draft, rows, file_format, simulation.seed)
        write_closed(draft / "summary.json", {"out": str(out), "cohorts": lines})
        publish(draft, out, RESULTS)
    if as_json:
        typer.echo(json.dumps({"out": str(out), "cohorts": lines}))
        return
    Console(highlight=False).print(_table(lines))
    typer.echo(f"{out}: the last release, and each earlier one in {out / 'cohorts'}")
    if last is not None and not last.generator.statement.private:
        for caveat in last.generator.statement.caveats:
            typer.echo(f"note: {caveat}")


def _line(step: Step, tables: Tables, schema: Schema) -> dict[str, Any]:
    """What is told about a cohort; the distance from its real records is not private."""
    statement, drift = step.generator.statement, step.outcome.drift
    present = [
        (frame, cohort_names(frame, schema).get(step.cohort)) for frame in tables.sites.values()
    ]
    real = pd.concat([frame[own] for frame, own in present if own is not None], ignore_index=True)
    drawn = step.generator.sample(len(real), 0)
    levels = Discretiser.fit(schema, real)
    distance = off_diagonal(pair_tvd(levels.transform(real), levels.transform(drawn)))
    return {
        "cohort": step.cohort,
        "records": round(step.outcome.records),
        "epsilon": statement.epsilon_if_people_are_at_one_site_only,
        "epsilon_of_any_record": statement.epsilon_of_any_record,
        "tvd_2": round(distance, 4),
        "changed_columns": [column.column for column in drift.changed] if drift else [],
        "changed_pairs": [list(pair.columns) for pair in drift.pairs] if drift else [],
        "seconds": round(step.seconds, 1),
    }


def _say(step: Step, line: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return
    if step.outcome.drift is None:
        typer.echo(f"cohort {step.cohort}: the first; {line['seconds']} s")
        return
    for text in step.outcome.drift.lines():
        typer.echo(text)


def _write(last: Step, draft: Path, rows: int | None, file_format: str, seed: int | None) -> None:
    shutil.copytree(draft / "cohorts" / last.cohort / "generator", draft / "generator")
    wanted = rows or max(1, round(last.outcome.records))
    with TableWriter(draft / f"synthetic.{file_format}") as writer:
        for part in last.generator.stream(wanted, seed):
            writer.write(part)
    write_report(
        draft / "generator",
        draft / "report.html",
        history=last.outcome.history(),
        written_on=date.today(),
    )


def _table(lines: Sequence[dict[str, Any]]) -> Table:
    grid = Table(
        *("cohort", "records (noisy)", "ε", "ε of any record", "2-way TVD", "changed"),
        title="Each cohort; the TVD is that from its real records, and not private",
    )
    for line in lines:
        changed = f"{len(line['changed_columns'])} columns, {len(line['changed_pairs'])} pairs"
        grid.add_row(
            line["cohort"],
            f"{line['records']:,}",
            f"{line['epsilon']:.4f}",
            f"{line['epsilon_of_any_record']:.4f}",
            f"{line['tvd_2']:.4f}",
            changed,
        )
    return grid
