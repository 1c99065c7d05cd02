"""Pairs of columns in a report: one heat map of distances and one of relations.

With an evaluation, the pairs are compared with real records. Without one, they are compared with
the noisy measurements, which show a relation only if it can be told from the noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fedsynth_release.evaluation.results import Evaluation, JointShares
from fedsynth_release.measurements import Measurements
from fedsynth_release.report import plots
from fedsynth_release.report.joint_map import joint_map

MOST_NAMES = 60
"""Most columns that a heat map shows; of a wider table it shows those with the largest values."""
LISTED = 20
"""Most pairs that the table behind a heat map lists."""


@dataclass(frozen=True)
class PairView:
    """A heat map, a sentence that says how to read it, and the pairs with the largest values."""

    title: str
    note: str
    plot: Markup
    rows: tuple[tuple[str, str, float], ...]


def pair_views(
    names: Sequence[str], evaluation: Evaluation | None, measured: Measurements | None
) -> list[PairView]:
    """Distances of pairs, and relations that were lost or invented."""
    if len(names) < 2:
        return []
    if evaluation:
        found = evaluation.fidelity.pairs
        three = found.association_real, found.association_synthetic
        return [
            *_joint(found.joint),
            *_three(names, *three, "real records"),
            _pairs(
                "Distance of each pair from the real records",
                "A distance of 0 means that the pair has the same shares as in the real records.",
                names,
                found.tvd,
            ),
        ]
    if measured and measured.pairs:
        pairs, strengths = measured.pairs, measured.pairs.associations
        maps = (
            _three(names, strengths.measured, strengths.generator, "measured") if strengths else []
        )
        return [
            *maps,
            _pairs(
                "Distance of the generator from the measured pairs",
                "The value is the distance of the generator's pair from the measured pair.",
                names,
                pairs.distance,
            ),
        ]
    return []


Rows = Sequence[Sequence[float]]


def _joint(pairs: Sequence[JointShares]) -> list[PairView]:
    """The strongest pairs cell by cell, real records beside the generator's, on one scale."""
    views = []
    for pair in pairs:
        top = max(share for table in (pair.real, pair.synthetic) for row in table for share in row)
        down, across = pair.columns
        note = f"Rows are {down}, columns are {across}. Each cell is a share of all records."
        for what, shares in (("real records", pair.real), ("generator", pair.synthetic)):
            title = f"{down} and {across}: {what}"
            plot = joint_map(title, pair.labels, shares, top)
            views.append(PairView(title, note, plot, ()))
    return views


def _three(names: Sequence[str], reference: Rows, made: Rows, what: str) -> list[PairView]:
    """How strongly columns go together in the reference and in the generator, and the difference.

    All three have the same scale, from -1 to 1.
    """
    change = [
        [theirs - ours for ours, theirs in zip(*rows, strict=True)]
        for rows in zip(reference, made, strict=True)
    ]
    order = _columns_with_largest(reference)
    sign = "Blue is positive, and orange is negative, which only two numbers can be."
    return [
        _pairs(
            f"Association: {what}",
            f"0 is none, 1 is the strongest. {sign}",
            names,
            reference,
            order,
        ),
        _pairs(
            "Association: generator", "The same of the generator's records.", names, made, order
        ),
        _pairs(
            "Association: difference",
            "The generator's association less that of the reference, on the same scale.",
            names,
            change,
            order,
        ),
    ]


def _pairs(
    title: str, note: str, names: Sequence[str], values: Rows, order: Sequence[int] | None = None
) -> PairView:
    """One heat map; with an `order` of the columns its scale ends at 1."""
    size = len(names)
    rows = [(names[i], names[j], values[i][j]) for i in range(size) for j in range(i)]
    rows.sort(key=lambda row: -abs(row[2]))
    top = 1.0 if order else max(0.05, abs(rows[0][2]))
    columns = order or _columns_with_largest(values)
    submatrix = [[values[i][j] for j in columns] for i in columns]
    plot = plots.heat_map(title, [names[i] for i in columns], submatrix, top)
    return PairView(title, note, plot, tuple(rows[:LISTED]))


def _columns_with_largest(values: Sequence[Sequence[float]]) -> list[int]:
    """Indices of at most `MOST_NAMES` columns with the largest values, in ascending order."""
    size = len(values)
    largest = [max(abs(values[i][j]) for j in range(size) if j != i) for i in range(size)]
    return sorted(sorted(range(size), key=lambda i: -largest[i])[:MOST_NAMES])
