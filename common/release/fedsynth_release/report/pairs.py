"""Pairs of columns in a report: a heat map each of distances and of relations.

With an evaluation against real records; at the coordinator against the noisy measurements, where a
relation shows only if it stood out from the noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fedsynth_release.evaluation.results import Evaluation
from fedsynth_release.measurements import Measurements
from fedsynth_release.report import plots

MOST_NAMES = 60
"""Columns of a heat map; of a wider table those with the largest values are drawn."""
LISTED = 20
"""Pairs in the table behind it."""


@dataclass(frozen=True)
class PairView:
    """A heat map, the pairs with the largest values, and what it shows."""

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
        pairs = evaluation.fidelity.pairs
        lost = [
            [made - real for made, real in zip(*rows, strict=True)]
            for rows in zip(pairs.association_synthetic, pairs.association_real, strict=True)
        ]
        return [
            _pairs("Distance of pairs from the real ones", "0 is the same", names, pairs.tvd),
            _pairs(
                "Association: synthetic minus real",
                "negative: a relation became weaker; positive: stronger",
                names,
                lost,
            ),
        ]
    if measured and measured.pairs:
        found = measured.pairs
        return [
            _pairs(
                "Dependence that stood out from the noise",
                "distance of the measured pair from independent columns",
                names,
                found.dependence,
            ),
            _pairs(
                "Generator from the measured pairs",
                "distance of the generator's pair from the measured one",
                names,
                found.distance,
            ),
        ]
    return []


def _pairs(
    title: str, note: str, names: Sequence[str], values: Sequence[Sequence[float]]
) -> PairView:
    size = len(names)
    found = [(names[i], names[j], values[i][j]) for i in range(size) for j in range(i)]
    found.sort(key=lambda row: -abs(row[2]))
    top = max(0.05, abs(found[0][2]))
    most = _most(values)
    shown = [[values[i][j] for j in most] for i in most]
    plot = plots.heat_map(title, [names[i] for i in most], shown, top)
    return PairView(title, note, plot, tuple(found[:LISTED]))


def _most(values: Sequence[Sequence[float]]) -> list[int]:
    """The columns with the largest values, in order."""
    size = len(values)
    largest = [max(abs(values[i][j]) for j in range(size) if j != i) for i in range(size)]
    return sorted(sorted(range(size), key=lambda i: -largest[i])[:MOST_NAMES])
