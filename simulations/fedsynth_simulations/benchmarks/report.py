"""Prints the benchmark: one table per data set, with median and range over the seeds."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from fedsynth_simulations.benchmarks.cell_results import ROWS, Cell, Outcome, Results

WIDE = 150  # characters that all columns need side by side
SHARE = "share of real"  # derived: mean AUC over that of the real rows

Show = Callable[[float], str]


@dataclass(frozen=True)
class Group:
    """The cells that differ in the seed alone."""

    cell: Cell
    outcomes: tuple[Outcome, ...]

    def values(self, figure: str) -> list[float]:
        """The figure's values over the seeds that ran."""
        figures = [outcome.figures.get(figure) for outcome in self.outcomes if not outcome.not_run]
        return [value for value in figures if value is not None]

    def median(self, figure: str) -> float | None:
        """Median over the seeds that ran."""
        values = self.values(figure)
        return statistics.median(values) if values else None


def groups(cells: Iterable[Cell], results: Results) -> list[Group]:
    """Finished cells by everything but the seed, in order of table, row and ε."""
    by_group: dict[Cell, list[Outcome]] = {}
    for cell in cells:
        outcome = results[cell]
        if outcome is not None:
            by_group.setdefault(replace(cell, seed=0), []).append(outcome)
    order = list(ROWS)
    ranked = sorted(
        by_group, key=lambda c: (c.table, c.epsilon or 0.0, order.index(c.row), c.partition or "")
    )
    return [Group(cell, tuple(by_group[cell])) for cell in ranked]


def _fixed(digits: int) -> Show:
    return lambda value: f"{value:.{digits}f}"


Column = tuple[str, str, Show]

FIDELITY: tuple[Column, ...] = (
    ("1-way", "tvd_1", _fixed(4)),
    ("2-way", "tvd_2", _fixed(4)),
    ("3-way", "tvd_3", _fixed(4)),
    ("detection", "detection_auc", _fixed(3)),
)
UTILITY: tuple[Column, ...] = (
    ("mean AUC", "mean_auc", _fixed(3)),
    ("% of real", SHARE, lambda value: f"{100 * value:.1f}"),
    ("boosting", "target_auc_boosting", _fixed(3)),
    ("logistic", "target_auc_logistic", _fixed(3)),
)
NUMBERS: tuple[Column, ...] = (
    ("mean", "number_mean", _fixed(3)),
    ("sd", "number_sd", _fixed(2)),
    ("quantiles", "number_quantiles", _fixed(3)),
    ("p99", "number_p99", _fixed(2)),
    ("zeros", "number_zeros", _fixed(3)),
    ("missing", "number_missing", _fixed(3)),
    ("Pearson", "number_pearson", _fixed(3)),
    ("Spearman", "number_spearman", _fixed(3)),
)
"""Errors of what people calculate (`evaluation.number_errors`), in a table of their own."""
COST: tuple[Column, ...] = (
    ("ε spent", "epsilon_spent", _fixed(3)),
    ("seconds", "seconds", _fixed(0)),
    ("MiB", "peak_megabytes", _fixed(0)),
    ("kB/site", "bytes_per_site", lambda value: f"{value / 1000:,.0f}"),
)


def console() -> Console:
    """The terminal; where there is none (a pipe, a log), wide enough for all columns."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=WIDE + 20)


def show(screen: Console, cells: Iterable[Cell], results: Results) -> None:
    """Print a table per data set, and below it what did not run and why."""
    table_groups = groups(cells, results)
    for name in dict.fromkeys(group.cell.table for group in table_groups):
        _show_table(screen, name, [group for group in table_groups if group.cell.table == name])


def _show_table(screen: Console, name: str, table_groups: Sequence[Group]) -> None:
    real = next((g.median("mean_auc") for g in table_groups if g.cell.row == "real"), None)
    settings = {_sites(group.cell) for group in table_groups} - {""}
    shared = settings.pop() if len(settings) == 1 else ""
    title = f"{name}{', ' + shared if shared else ''}: median (lowest-highest) over seeds"
    wide = [(*FIDELITY, *UTILITY, *COST)]
    parts = wide if screen.width >= WIDE else [FIDELITY, UTILITY, COST]
    if any(group.values(NUMBERS[0][1]) for group in table_groups):
        parts = [*parts, NUMBERS]
    for columns in parts:
        named = f"{title}; errors of numbers, 0 is best" if columns is NUMBERS else title
        printed = Table("row", "ε", title=named, title_justify="left")
        for heading, _, _ in columns:
            printed.add_column(heading, justify="right", no_wrap=True)
        for group in table_groups:
            printed.add_row(*_line(group, columns, real, named=not shared))
        screen.print(printed)
    for group in table_groups:
        for reason in dict.fromkeys(o.not_run for o in group.outcomes if o.not_run):
            row, epsilon = _names(group.cell, named=not shared)
            line = f"{row}{', ε=' + epsilon if epsilon else ''}: not run: {reason}"
            screen.print(line, markup=False, highlight=False, soft_wrap=True)


def _line(group: Group, columns: Sequence[Column], real: float | None, *, named: bool) -> list[str]:
    row, epsilon = _names(group.cell, named=named)
    cells = [_text(group, figure, show, real) for _, figure, show in columns]
    if all(outcome.not_run for outcome in group.outcomes):
        cells[0] = "not run"
    return [row, epsilon or "-", *cells]


def _names(cell: Cell, *, named: bool) -> tuple[str, str]:
    """Row and ε as printed; `named` adds the sites to the row."""
    extra = [_sites(cell)] if named and _sites(cell) else []
    extra += ["quick"] if cell.quick else []
    row = f"{cell.row} ({', '.join(extra)})" if extra else cell.row
    return row, "" if cell.epsilon is None else f"{cell.epsilon:g}"


def _sites(cell: Cell) -> str:
    if cell.partition is None:
        return ""
    return f"{cell.sites} sites {cell.partition}" if cell.sites else "real sites"


def _text(group: Group, figure: str, show: Show, real: float | None) -> str:
    values = group.values("mean_auc" if figure == SHARE else figure)
    if figure == SHARE:
        values = [value / real for value in values] if real else []
    if not values:
        return "-"
    low, high = show(min(values)), show(max(values))
    middle = show(statistics.median(values))
    return middle if low == high else f"{middle}\n({low}-{high})"
