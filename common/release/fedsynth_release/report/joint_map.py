"""Draws how two columns go together: a heat map of the shares of their levels."""

from collections.abc import Sequence

from markupsafe import Markup

from fedsynth_release.report import svg
from fedsynth_release.report.plots import SHADES


def joint_map(
    title: str,
    labels: tuple[Sequence[str], Sequence[str]],
    shares: Sequence[Sequence[float]],
    top: float,
) -> Markup:
    """Draw a row for each level of the first column and a column for each of the second.

    Args:
        title: for readers of the screen.
        labels: of the levels of both columns.
        shares: of all records, a row for each level of the first column.
        top: the share with the darkest shade. Shades follow the square root, so that rare cells show.
    """
    rows, columns = labels
    side, left, above = 24.0, 120.0, 78.0
    parts: list[Markup] = []
    for j, label in enumerate(columns):
        place = left + j * side + side * 0.6, above - 4
        parts.append(svg.slanted(*place, svg.shortened(label, 12)))
    for i, label in enumerate(rows):
        y = above + i * side
        parts.append(svg.text(left - 5, y + side * 0.7, svg.shortened(label, 19), "tick", "end"))
        for j, share in enumerate(shares[i]):
            shade = min(SHADES, int(SHADES * (share / top) ** 0.5 + 0.5)) if top > 0 else 0
            words = f"{label} × {columns[j]}: {100 * share:.1f} %"
            parts.append(svg.box(left + j * side, y, side - 0.5, side - 0.5, f"h{shade}", words))
    size = int(left + side * len(columns) + 60), int(above + side * len(rows) + 6)
    return svg.drawing(title, *size, parts, "heat")
