"""The folder of a simulation's result: written beside it first, and moved into place when whole."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedsynth_common.errors import InputError
from fedsynth_release.report import write_report
from fedsynth_release.table_writer import TableWriter
from fedsynth_simulations.closed_file import write_closed
from fedsynth_simulations.simulate import Result
from fedsynth_simulations.summary import evaluation_of, summary_of
from fedsynth_simulations.table_options import Tables

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
    """

    out: Path
    rows: int | None
    file_format: str
    attacks: bool
    quasi_identifiers: tuple[str, ...]
    quick: bool
    seed: int | None


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
    write_report(draft / "generator", report, evaluation=evaluation, history=result.history)
    write_closed(draft / "summary.json", summary)
    return summary, evaluation


def check_out(out: Path, force: bool) -> None:
    """Refuse a place that cannot take the result, before anything is computed.

    Raises:
        InputError: `out` is a file, or not empty although `force` is not set.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; expected a folder")
    if out.is_dir() and any(out.iterdir()) and not force:
        raise InputError(f"--out {out}: is not empty; choose another folder or pass --force")


@contextmanager
def draft_folder(out: Path) -> Iterator[Path]:
    """A folder on the same disk as `out`, gone afterwards: nothing half-finished stays behind."""
    above = next(folder for folder in out.absolute().parents if folder.exists())
    try:
        place = tempfile.TemporaryDirectory(prefix=".fedsynth-", dir=above)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror})") from None
    with place as name:
        draft = Path(name) / "result"
        draft.mkdir()
        yield draft


def publish(draft: Path, out: Path) -> None:
    """Move the finished result into place, in one step per entry; an earlier result goes."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for old in (out / name for name in RESULTS):
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            else:
                old.unlink(missing_ok=True)
        for entry in draft.iterdir():
            entry.replace(out / entry.name)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror})") from None
