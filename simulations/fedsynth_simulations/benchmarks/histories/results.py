"""Runs the cells of the benchmark of histories, keeps their figures in a file, and prints medians."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from rich.table import Table

from fedsynth_common.durable import write_output
from fedsynth_common.errors import InputError
from fedsynth_simulations.benchmarks.histories.figures import (
    PRIVATE,
    ROWS,
    SEEDED,
    Figures,
    HistoryCell,
    Judge,
    Options,
    make,
)
from fedsynth_simulations.benchmarks.histories.tables import HistoryTable

NAMES = {
    "real": "real persons, held out",
    "dealt": "real events dealt at random",
    "local": "sites trust nobody",
    "secure-sum": "secure sum",
    "par": "SDV PAR, not private",
}
COLUMNS = (
    ("static", "TVD: static pairs"),
    ("static_event", "TVD: static x event"),
    ("within_event", "TVD: within an event"),
    ("lag_1", "TVD: lag 1"),
    ("lag_1_itself", "TVD: lag 1, itself"),
    ("lag_2_3_itself", "TVD: lag 2-3, itself"),
    ("lengths", "TVD: number of events"),
    ("gaps", "TVD: gaps"),
    ("within_person", "variance within persons"),
    ("next_auc", "next event, mean AUC"),
    ("next_target_auc", "next event, AUC of the target"),
    ("event_auc", "AUC of the target in an event"),
    ("seconds", "processor seconds"),
)
_OF_REAL = {"next_auc", "next_target_auc", "event_auc"}


@dataclass
class HistoryResults:
    """Figures by cell; written to `path` whenever a cell is finished."""

    path: Path | None
    figures: dict[HistoryCell, Figures] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path | None) -> "HistoryResults":
        """What is finished in a file; nothing if there is none yet.

        Raises:
            InputError: the file is not one of results of histories.
        """
        if path is None or not path.exists():
            return cls(path)
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
            found = {HistoryCell(**row["cell"]): row["figures"] for row in rows}
        except (OSError, ValueError, TypeError, KeyError):
            raise InputError(f"{path}: not a results file of `benchmark histories`") from None
        return cls(path, found)

    def add(self, cell: HistoryCell, figures: Figures) -> None:
        """Keep the figures of a cell."""
        self.figures[cell] = figures
        if self.path is not None:
            rows = [{"cell": asdict(c), "figures": f} for c, f in self.figures.items()]
            write_output(self.path, json.dumps(rows, indent=1) + "\n")


def cells_of(
    table: str, rows: Sequence[str], epsilons: Sequence[float], delta: float, seeds: int
) -> list[HistoryCell]:
    """The cells of a request: studies for every ε and seed, peers for every seed, references once."""
    usual = [
        HistoryCell(table, row, None, None, seed)
        for row in rows
        if row not in PRIVATE
        for seed in range(seeds if row in SEEDED else 1)
    ]
    return usual + [
        HistoryCell(table, row, epsilon, delta, seed)
        for epsilon in epsilons
        for row in rows
        if row in PRIVATE
        for seed in range(seeds)
    ]


def compute(
    table: HistoryTable,
    cells: Sequence[HistoryCell],
    results: HistoryResults,
    options: Options,
    say: Callable[[str], None],
) -> None:
    """Compute the cells that are not finished."""
    todo = [cell for cell in cells if cell not in results.figures]
    judge = Judge(table) if todo else None
    for number, cell in enumerate(todo, 1):
        assert judge is not None  # noqa: S101 - there is something to do
        frame, made = make(cell, table, options)
        figures = judge.figures(frame) | made
        results.add(cell, figures)
        say(f"[{number}/{len(todo)}] {cell.label}: next event AUC {figures['next_auc']:.3f}")


def shown(table: str, cells: Sequence[HistoryCell], results: HistoryResults) -> Table:
    """Medians with their ranges over seeds, a line a figure; AUCs with their share of real persons'."""
    found: dict[tuple[str, float | None], list[Figures]] = {}
    for cell in cells:
        if cell in results.figures:
            found.setdefault((cell.row, cell.epsilon), []).append(results.figures[cell])
    real = (found.get(("real", None)) or [{}])[0]
    printed = Table("figure", title=f"{table}: persons with histories")
    for row, epsilon in found:
        heading = NAMES[row] if epsilon is None else f"{NAMES[row]}, ε = {epsilon:g}"
        printed.add_column(heading, justify="right")
    for name, title in COLUMNS:
        values = [[figures.get(name) for figures in rows] for rows in found.values()]
        if any(value is not None for row in values for value in row):
            printed.add_row(title, *(_cell(name, row, real.get(name)) for row in values))
    return printed


def _cell(name: str, values: Sequence[float | None], real: float | None) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    digits = 0 if name == "seconds" else 3
    middle, low, high = np.median(known), min(known), max(known)
    text = f"{middle:.{digits}f}"
    if len(known) > 1:
        text += f" ({low:.{digits}f}-{high:.{digits}f})"
    if name in _OF_REAL and real:
        text += f" {100 * float(middle) / real:.1f} %"
    return text


def check_rows(text: str) -> list[str]:
    """The rows of an option.

    Raises:
        InputError: a row is unknown.
    """
    rows = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in rows if name not in ROWS]
    if unknown or not rows:
        raise InputError(f"--rows {text!r}: expected some of {', '.join(ROWS)}")
    return rows
