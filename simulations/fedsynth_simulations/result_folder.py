"""What a simulation's result folder holds, and how it is written (`fedsynth_release.whole_folder`)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from fedsynth_release.report import summary_lines, write_report
from fedsynth_release.table_writer import TableWriter
from fedsynth_simulations.closed_file import write_closed
from fedsynth_simulations.simulate import Result
from fedsynth_simulations.site_tables import Tables
from fedsynth_simulations.summary import evaluation_of, summary_of

RESULTS = (
    "generator",
    "synthetic.csv",
    "synthetic.parquet",
    "summary.json",
    "evaluation.json",
    "report.html",
    "history.json",
)
"""What --force may remove from --out; anything else that lies there stays."""


@dataclass(frozen=True)
class Wanted:
    """What is to be written.

    Attributes:
        out: folder of the result.
        rows: synthetic records; None: about as many as real ones, by the noisy counts.
        file_format: suffix of the synthetic table.
        attacks: whether an evaluation attacks it.
        quasi_identifiers: columns that the k-anonymised reference generalises; (): all but the target.
        quick: whether an evaluation is a smoke test.
        seed: of the synthetic records.
        seconds: how long the command has taken until now, with the runs of it that were stopped.
    """

    out: Path
    rows: int | None
    file_format: str
    attacks: bool
    quasi_identifiers: tuple[str, ...]
    quick: bool
    seed: int | None
    seconds: Callable[[], float]


def write_result(
    result: Result, tables: Tables, wanted: Wanted, draft: Path
) -> tuple[dict[str, Any], Any]:
    """Write table, evaluation, report and summary into `draft`; returns summary and evaluation."""
    with TableWriter(draft / f"synthetic.{wanted.file_format}") as writer:
        for part in result.generator.stream(wanted.rows or result.rows, wanted.seed):
            writer.write(part)
    summary = summary_of(result, tables.sites, wanted.out)
    evaluation = None
    if tables.held is not None:
        real = (tables.pooled, tables.held)
        evaluation = evaluation_of(
            draft, result, real, wanted.quick, wanted.attacks, wanted.quasi_identifiers, summary
        )
    report = draft / "report.html"
    page = write_report(
        draft / "generator",
        report,
        evaluation=evaluation,
        history=result.history,
        written_on=date.today(),
    )
    summary["report"] = summary_lines(page)
    summary["seconds"] = round(wanted.seconds(), 1)
    write_closed(draft / "summary.json", summary)
    return summary, evaluation
