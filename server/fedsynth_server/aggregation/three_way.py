"""Three-way marginals: which are worth measuring, in which groups of codes, and without most noise.

Pairs of columns do not say how three columns go together. There are too many triples of columns to
measure all of them finely, so a plan with a screening measures them twice:

* *Screening*: every triple (of many columns: the triples of the most dependent pairs) in at most `FEW`
  groups of codes. It is compared with the generator that was fitted to the pairs. The part of the
  difference that no pair shows is called the three-way interaction here.
* *Measurement*: the triples whose interaction stands out from the noise, in at most `MANY` groups. If
  none stands out, all pairs are measured a second time instead.

Which triples are chosen follows from noisy numbers that the sites have been charged for, so the choice
costs nothing more (post-processing, and adaptive composition of the two measurements). A mechanism that
chooses by looking at the records, as in AIM (McKenna, Mullins, Sheldon & Miklau 2022), would have to be
charged.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2, norm

from fedsynth_common.array_types import Float64Array, Int64Array, UInt16Array
from fedsynth_common.protocol.plan import MeasureStep
from fedsynth_release.decoding import Codebook
from fedsynth_server.aggregation.marginal_queries import (
    MarginalQueries,
    MarginalQuery,
    variance_for,
)
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.aggregation.ordered_pairs import Order

FEW, MANY = 4, 16
"""Groups of a column's codes in the screening and in the measurement, at most."""
MOST_SCREENED = 600
"""Triples that are screened, at most: with more of them the noise of each one grows."""
MOST_CELLS = 50_000
"""Cells of all chosen triples together, at most: the seconds of the fit follow from them."""
LEVEL = 0.02
"""Probability with which noise alone stands out, by one triple or by all of them together."""
SHARES = (0.25, 0.5, 0.75, 1.0)
"""Shares of the second measurement that triples may get."""
MOST_CHOSEN = 200
"""Triples that are measured, at most."""
PAIRS = 2.0
"""Weight of the pairs' error in a division: once by itself, and once because it is in every triple."""
Triple = tuple[int, ...]


def equal_groups(mass: Float64Array, order: Sequence[int] | Int64Array, most: int) -> Int64Array:
    """Group of each code: at most `most` runs of codes along an order, of about equal mass.

    >>> equal_groups(np.array([0.5, 0.2, 0.1, 0.1, 0.1]), range(5), 2).tolist()
    [0, 1, 1, 1, 1]
    """
    if len(mass) <= most:
        return np.arange(len(mass))
    along = np.asarray(order, np.int64)
    ordered = np.maximum(mass[along], 0.0) + 1e-9
    middle = (np.cumsum(ordered) - ordered / 2) / ordered.sum()
    runs = np.unique(np.floor(middle * most).astype(np.int64), return_inverse=True)[1]
    groups = np.empty(len(mass), np.int64)
    groups[along] = runs
    return groups


def groups_of(
    one_way: Sequence[MarginalEstimate],
    spread: Sequence[Float64Array],
    orders: Sequence[Order],
    most: int,
) -> list[Int64Array]:
    """Groups of every column's codes: along their order, or else along their main dependence.

    Args:
        one_way: one-way marginals, one per column.
        spread: K of every column, (width, width), as the pairs have shown it.
        orders: for each column its codes in order (a missing code is not in it), or None.
        most: number of groups.
    """
    groups = []
    for marginal, covariance, order in zip(one_way, spread, orders, strict=True):
        width = len(marginal.frequencies)
        if order is None:
            along = np.argsort(np.linalg.eigh(covariance)[1][:, -1], kind="stable")
        else:
            along = np.concatenate([order, np.setdiff1d(np.arange(width), order)])
        groups.append(equal_groups(marginal.frequencies, along, most))
    return groups


def screened_triples(dependence: Mapping[tuple[int, int], float], columns: int) -> list[Triple]:
    """The triples to screen: all, or those whose two strongest pairs depend on each other most.

    Args:
        dependence: of each pair of columns, in any unit.
        columns: how many there are.
    """
    if math.comb(columns, 3) <= MOST_SCREENED:
        return list(itertools.combinations(range(columns), 3))
    strong = sorted(dependence, key=lambda pair: dependence[pair], reverse=True)[:MOST_SCREENED]
    joined = {
        tuple(sorted({*one, *two}))
        for one, two in itertools.combinations(strong, 2)
        if len({*one, *two}) == 3
    }

    def strength(triple: Triple) -> float:
        pairs = sorted(dependence[a, b] for a, b in itertools.combinations(triple, 2))
        return pairs[1] * pairs[2]

    return sorted(sorted(sorted(joined), key=strength, reverse=True)[:MOST_SCREENED])


def three_way_queries(
    codebook: Codebook,
    triples: Sequence[Triple],
    groups: Sequence[Int64Array],
    step: MeasureStep,
    rows_per_person: int,
) -> MarginalQueries:
    """The marginals of triples of columns in groups of the study's codes."""
    used = sorted({column for triple in triples for column in triple})
    place = {column: view for view, column in enumerate(used)}  # a vault refuses an unused view
    views: list[UInt16Array] = [
        groups[column][codebook.views[column]].astype(np.uint16) for column in used
    ]
    widths = {column: int(groups[column].max()) + 1 for column in used}
    queries = tuple(
        MarginalQuery(tuple((c, place[c]) for c in triple), tuple(widths[c] for c in triple))
        for triple in triples
    )
    variance = variance_for(len(queries), step, rows_per_person)
    return MarginalQueries(tuple(views), queries, variance)


def interaction(cells: Float64Array) -> Float64Array:
    """The part of a table that sums to zero along every axis: what no table of fewer axes shows."""
    for axis in range(cells.ndim):
        cells = cells - cells.mean(axis=axis, keepdims=True)
    return cells


def freedom(shape: Sequence[int]) -> int:
    """Degrees of freedom of an interaction.

    >>> freedom((4, 3, 2))
    6
    """
    return int(np.prod([width - 1 for width in shape]))


@dataclass(frozen=True)
class Screened:
    """What the screening says of one triple.

    Attributes:
        columns: of the triple.
        cells: of its table in few groups.
        energy: estimated sum of squares of its interaction in frequencies.
    """

    columns: Triple
    cells: int
    energy: float


def screened(
    measured: Sequence[MarginalEstimate], expected: Sequence[Float64Array], records: float
) -> list[Screened]:
    """What the noisy triples say beyond the tables that a generator of the pairs expects.

    Beside the noise, the choice of the records themselves makes interactions; these are not worth
    learning, so they count as noise as well. What is left is as noisy for one triple as for another,
    so it is shrunk towards the mean of all triples, the more the less they differ beyond noise (Efron
    & Morris 1972). If neither one triple (at a level of `LEVEL`, by Bonferroni's rule) nor all of them
    together stand out from the noise, all energies are zero.
    """
    pairs = [(m, t) for m, t in zip(measured, expected, strict=True) if freedom(t.shape)]
    if not pairs:  # every triple has a column with one code only
        return []
    free = np.array([freedom(table.shape) for _, table in pairs])
    variance = np.array([m.variance + 1.0 / (records * table.size) for m, table in pairs])
    square = [np.square(interaction(m.frequencies - table)).sum() for m, table in pairs]
    energy, error = np.array(square) - free * variance, 2 * free * variance**2
    one = chi2.sf(np.array(square) / variance, free).min() * len(pairs) < LEVEL
    if not one and energy.sum() < norm.isf(LEVEL) * math.sqrt(error.sum()):
        return [Screened(m.columns, table.size, 0.0) for m, table in pairs]
    mean = max(0.0, float(energy.mean()))
    spread = max(0.0, float(np.square(energy - mean).mean() - error.mean()))
    shrunk = np.maximum(mean + spread / (spread + error) * (energy - mean), 0.0)
    return [
        Screened(m.columns, table.size, float(e))
        for (m, table), e in zip(pairs, shrunk, strict=True)
    ]


@dataclass(frozen=True)
class PairError:
    """The mean squared L1 error of the pairs, by their budget.

    A cell's error is about the standard deviation of what is unknown of it. Where that is more than the
    frequency, it is about the frequency: a generator's cells are not negative.

    Attributes:
        cells: of each pair, the expected error and the frequency of its cells, both flat.
        more: the second measurement's budget beside the first's, as a ratio of shares of μ².
    """

    cells: Sequence[tuple[Float64Array, Float64Array]]
    more: float

    def after(self, share: float) -> float:
        """The error if a share of the second measurement is for pairs."""
        finer = (1 + share * self.more) ** -0.5
        sums = [np.minimum(finer * error, size).sum() for error, size in self.cells]
        return float(np.square(sums).mean()) if sums else 0.0

    @classmethod
    def of(cls, marginals: Sequence[MarginalEstimate], more: float) -> "PairError":
        """From one-way marginals, in order, and pairs without most of their noise."""
        size = {m.columns[0]: m.frequencies for m in marginals if len(m.columns) == 1}
        cells = [
            (
                np.sqrt(2 / np.pi * m.unknown).ravel(),
                np.outer(size[m.columns[0]], size[m.columns[1]]).ravel(),
            )
            for m in marginals
            if m.unknown is not None
        ]
        return cls(cells, more)


@dataclass(frozen=True)
class Division:
    """How the second measurement is divided between triples and all pairs once more.

    Attributes:
        triples: that are measured.
        share: of the measurement's budget that they get, 0 to 1; pairs get the rest.
    """

    triples: list[Triple]
    share: float


def best_division(
    said: Sequence[Screened], shapes: Mapping[Triple, tuple[int, ...]], pairs: PairError, one: float
) -> Division:
    """The division with the least expected error of two-way and three-way tables together.

    An error here is a squared L1 distance, estimated as the number of cells times the sum of squares.
    Of K triples that get a share f of the measurement each has K / f times the noise variance of one,
    and an interaction of energy E with noise N keeps about E² / (E + N) of it once its noise is removed.
    The pairs' error counts `PAIRS` times.

    Args:
        said: by the screening.
        shapes: of the tables that would be measured.
        pairs: how the error of pairs depends on their budget.
        one: noise variance of a frequency if one triple alone got the whole measurement.
    """
    strong = sorted((s for s in said if s.energy > 0), key=lambda s: s.energy, reverse=True)
    strong = strong[:MOST_CHOSEN]
    energy = np.array([s.energy for s in strong])
    few = np.array([s.cells for s in strong])
    cells = np.cumsum([int(np.prod(shapes[s.columns])) for s in strong])
    noise = one * np.array([freedom(shapes[s.columns]) for s in strong])
    best, least = Division([], 0.0), PAIRS * pairs.after(1.0)
    for share in SHARES:
        for k in range(1, len(strong) + 1):
            if k > 1 and cells[k - 1] > MOST_CELLS:
                break
            kept = energy[:k] ** 2 / (energy[:k] + k / share * noise[:k])
            error = PAIRS * pairs.after(1 - share) - float((few[:k] * kept).sum()) / len(said)
            if error < least:
                best, least = Division(sorted(s.columns for s in strong[:k]), share), error
    return best
