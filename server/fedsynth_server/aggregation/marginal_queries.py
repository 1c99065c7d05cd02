"""Marginal queries: what every site is asked in one `query.measure`, and how its answer is read.

A site sees only fine codes and the public views in the request; it does not know what the marginals
are for. All queries of one message share one noise variance, the least that the plan's step allows:
with m marginals, at most k rows of a person and the step's noise multiplier z it is ceil(m k² z²).
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedsynth_common.array_types import Float64Array, UInt16Array
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import pack_views, unpack_counts
from fedsynth_common.protocol.counting import Over
from fedsynth_common.protocol.plan import MeasureStep, Plan
from fedsynth_common.schema import FineDomain, Schema
from fedsynth_release.decoding import Codebook
from fedsynth_release.histogram_noise import COARSE
from fedsynth_server.aggregation.marginals import MarginalEstimate

CountsBySite = Mapping[str, Sequence[Float64Array]]
"""Noisy counts of each site, an array per marginal."""
NOWHERE = (0, 0, 0)
"""For each axis of a marginal that is not about two events of a person."""


@dataclass(frozen=True)
class MarginalQuery:
    """One marginal that is asked for.

    Attributes:
        axes: (column, view) of each axis; view -1 stands for the column's fine codes.
        shape: number of cells along each axis.
        over, lag, weight: what is counted (`protocol.counting`).
        at: for each axis the event of a person at which it is read: 0 the first or earlier one, 1 the
            last or later one. Empty where there is one event only, or none.
        spread: standard deviation of the noise beside that of the message's other queries, in units
            of the sensitivity.
    """

    axes: tuple[tuple[int, int], ...]
    shape: tuple[int, ...]
    over: Over = Over.RECORDS
    lag: int = 0
    at: tuple[int, ...] = ()
    weight: int = 1
    spread: float = 1.0

    @property
    def columns(self) -> tuple[int, ...]:
        """The columns, in the order of the axes."""
        return tuple(column for column, _ in self.axes)


@dataclass(frozen=True)
class MarginalQueries:
    """The marginals of one message, under public views and with one noise variance.

    Attributes:
        views: arrays (fine width,) that map fine codes to codes; the queries' axes point to them.
        marginals: the queries, in the order of the answer.
        variance: noise variance of every cell at every site; of histories, where a person counts as
            one and the query's spread is one.
    """

    views: tuple[UInt16Array, ...]
    marginals: tuple[MarginalQuery, ...]
    variance: int

    def request(self, plan: Plan, step: MeasureStep) -> bytes:
        """The serialised `MeasureRequest`."""
        marginals = [
            pb.Marginal(
                axes=[
                    pb.Axis(column=column, view=view, at=at)
                    for (column, view), at in zip(query.axes, query.at or NOWHERE, strict=False)
                ],
                noise_variance=math.ceil(self.variance * (query.weight * query.spread) ** 2),
                over=pb.Over.Name(query.over),
                lag=query.lag,
                weight=query.weight if query.weight > 1 else 0,
            )
            for query in self.marginals
        ]
        message = pb.MeasureRequest(
            plan_digest=bytes.fromhex(plan.digest),
            step=step.step,
            views=pack_views(self.views),
            marginals=marginals,
        )
        return message.SerializeToString(deterministic=True)

    def read(self, counts: bytes) -> list[Float64Array]:
        """One site's noisy counts, an array per query; a person counts as one, whatever the weight.

        Raises:
            RefusalError: ERR_PAYLOAD for another number of counts than was asked for.
        """
        return self.tables(unpack_counts(counts, self.cells))

    @property
    def cells(self) -> int:
        """Number of counts of all queries."""
        return sum(math.prod(query.shape) for query in self.marginals)

    def tables(self, counts: NDArray[np.integer]) -> list[Float64Array]:
        """All counts, one query after the other, as an array per query."""
        sizes = [math.prod(query.shape) for query in self.marginals]
        parts = np.split(counts.astype(np.float64), np.cumsum(sizes)[:-1])
        return [
            part.reshape(query.shape) / query.weight
            for part, query in zip(parts, self.marginals, strict=True)
        ]

    def whole(self, tables: Sequence[Float64Array]) -> list[Float64Array]:
        """Those of the tables in which every record, or every person, counts exactly one."""
        kinds = (Over.RECORDS, Over.PERSONS)
        return [t for t, q in zip(tables, self.marginals, strict=True) if q.over in kinds]

    def estimates(
        self, counts: Sequence[Float64Array], records: float, sites: int = 1
    ) -> list[MarginalEstimate]:
        """Counts that `sites` sites sent in sum, as frequencies of their `records`."""
        variance = self.variance * sites / records**2
        return [
            MarginalEstimate(columns=query.columns, frequencies=cells / records, variance=variance)
            for query, cells in zip(self.marginals, counts, strict=True)
        ]


def summed(answers: Iterable[Sequence[Float64Array]]) -> list[Float64Array]:
    """Sums over the sites of what each answered, an array per query.

    The sites are added in the given order, so that the result is the same to the last bit.
    """
    return [np.sum(parts, axis=0) for parts in zip(*answers, strict=True)]


def variance_for(queries: int, step: MeasureStep, rows_per_person: int) -> int:
    """The least whole noise variance that keeps `queries` marginals within the step's budget.

    >>> variance_for(100, MeasureStep(step=1, purpose="marginals", noise_multiplier=2.0), 1)
    400
    """
    exact = queries * rows_per_person**2 * step.noise_multiplier**2
    return max(1, math.ceil(exact * (1 - 1e-12)))


def histogram_queries(
    domains: Sequence[FineDomain], step: MeasureStep, rows: int
) -> MarginalQueries:
    """Every column's fine histogram and, for numbers with many leaves, a coarse one of 16 groups.

    The coarse counts steady the sums over many fine cells (Hay et al. 2010).
    """
    queries = [MarginalQuery(((j, -1),), (domain.width,)) for j, domain in enumerate(domains)]
    views: list[UInt16Array] = []
    for j, domain in enumerate(domains):
        if domain.leaves > 2 * COARSE:
            view = coarse_view(domain)
            queries.append(MarginalQuery(((j, len(views)),), (int(view.max()) + 1,)))
            views.append(view)
    return MarginalQueries(tuple(views), tuple(queries), variance_for(len(queries), step, rows))


def coarse_view(domain: FineDomain) -> UInt16Array:
    """Leaves in 16 runs of equal length; every other cell by itself."""
    view = np.empty(domain.width, dtype=np.int64)
    runs = np.arange(domain.leaves) * COARSE // domain.leaves
    view[: domain.atoms] = np.arange(domain.atoms)
    view[domain.atoms : domain.atoms + domain.leaves] = domain.atoms + runs
    rest = domain.width - domain.atoms - domain.leaves
    view[domain.width - rest :] = domain.atoms + COARSE + np.arange(rest)
    return view.astype(np.uint16)


def all_pairs(columns: int) -> list[tuple[int, ...]]:
    """Every pair of columns. Measuring chosen pairs again has not helped since marginals are denoised.

    >>> all_pairs(3)
    [(0, 1), (0, 2), (1, 2)]
    """
    return list(itertools.combinations(range(columns), 2))


def marginal_queries(
    codebook: Codebook, column_sets: Sequence[tuple[int, ...]], step: MeasureStep, rows: int
) -> MarginalQueries:
    """Marginals of the given sets of columns in the study's codes."""
    widths = codebook.widths
    queries = tuple(
        MarginalQuery(
            tuple((column, column) for column in columns), tuple(widths[c] for c in columns)
        )
        for columns in column_sets
    )
    return MarginalQueries(tuple(codebook.views), queries, variance_for(len(queries), step, rows))


def pair_queries(codebook: Codebook, step: MeasureStep, table: Schema) -> MarginalQueries:
    """The marginals of all pairs of columns in the study's codes."""
    return marginal_queries(codebook, all_pairs(len(codebook.widths)), step, table.rows_per_person)
