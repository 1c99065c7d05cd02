"""Draws a results file: utility against ε, with one line per method.

Needs matplotlib, which nothing else of fedsynth does: `pip install 'fedsynth-simulations[bench]'`.
"""

import importlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedsynth_common.durable import write_durably
from fedsynth_common.errors import InputError
from fedsynth_simulations.benchmarks.cell_results import FIGURES, Results
from fedsynth_simulations.benchmarks.report import Group, groups
from fedsynth_simulations.closed_file import OWNER_ONLY

IMAGES = (".png", ".svg", ".pdf")


def plot(results: Results, out: Path, figure: str = "mean_auc") -> None:
    """Write `out`: a panel per table, `figure` over ε, a band from lowest to highest seed.

    Rows without ε (real, independent, naive Bayes) are dashed horizontals.

    Raises:
        InputError: matplotlib is missing, or nothing to draw, or `out` is of another kind.
    """
    suffix = out.suffix.lower()
    if suffix not in (*IMAGES, ".html"):
        raise InputError(f"--out {out}: expected a name in {', '.join((*IMAGES, '.html'))}")
    if figure not in FIGURES:
        raise InputError(f"--figure {figure}: expected one of {', '.join(FIGURES)}")
    figure_groups = [g for g in groups([cell for cell, _ in results], results) if g.values(figure)]
    if not figure_groups:
        raise InputError(f"no finished cell has the figure {figure!r}")
    drawing = _draw(figure_groups, figure)
    stream = io.BytesIO()
    drawing.savefig(stream, format="svg" if suffix == ".html" else suffix[1:], dpi=150)
    content = stream.getvalue()
    if suffix == ".html":
        svg = content[content.index(b"<svg") :]
        content = b"<!doctype html><meta charset='utf-8'><title>fedsynth benchmark</title>" + svg
    try:
        write_durably(out, content, OWNER_ONLY)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror})") from None


def _draw(figure_groups: Sequence[Group], figure: str) -> Any:
    try:
        backend = importlib.import_module("matplotlib.figure")
    except ImportError:
        raise InputError(
            "plot needs matplotlib; install it with `pip install 'fedsynth-simulations[bench]'`"
        ) from None
    tables = list(dict.fromkeys(group.cell.table for group in figure_groups))
    drawing = backend.Figure(figsize=(6.5 * len(tables), 4.5), layout="constrained")
    panels = drawing.subplots(1, len(tables), squeeze=False)[0]
    for panel, table in zip(panels, tables, strict=True):
        _draw_panel(panel, [group for group in figure_groups if group.cell.table == table], figure)
        panel.set(title=table, xlabel="ε", ylabel=figure.replace("_", " "))
    return drawing


def _draw_panel(panel: Any, figure_groups: Sequence[Group], figure: str) -> None:
    lines: dict[str, list[Group]] = {}
    for group in figure_groups:
        sites = f"/{group.cell.sites}" if group.cell.sites else ""
        name = " ".join(filter(None, [group.cell.row, (group.cell.partition or "") + sites]))
        lines.setdefault(name, []).append(group)
    panel.set_xscale("log")
    for number, (name, members) in enumerate(lines.items()):
        colour = f"C{number % 10}"
        if members[0].cell.epsilon is None:
            panel.axhline(members[0].median(figure), ls="--", lw=1, color=colour, label=name)
            continue
        epsilons = [group.cell.epsilon for group in members]
        middle = [group.median(figure) for group in members]
        panel.plot(epsilons, middle, marker="o", color=colour, label=name)
        low, high = ([pick(g.values(figure)) for g in members] for pick in (min, max))
        panel.fill_between(epsilons, low, high, color=colour, alpha=0.15, lw=0)
    panel.legend(fontsize=7)
