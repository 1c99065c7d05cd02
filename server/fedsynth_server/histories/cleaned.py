"""The measured blocks without most of their noise (`aggregation.denoising`), by family.

The blocks of a family count the same persons, so their one-way marginals agree, and what differs between
sites can be told from what depends on something else within them. Families have different totals: a
person with a single event has no pair of events. Each is cleaned as shares of its own total.

The families of longer distances, and that of the first and the last event, have one block for each
column alone. Their noisy one-way marginals are averaged with those of an event and the next
(`borrowed_margins`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedsynth_common.array_types import Float64Array
from fedsynth_common.errors import FedsynthError
from fedsynth_common.protocol.counting import Over
from fedsynth_server.aggregation.denoising import denoise
from fedsynth_server.aggregation.histograms import Histograms
from fedsynth_server.aggregation.marginal_queries import (
    CountsBySite,
    MarginalQueries,
    MarginalQuery,
)
from fedsynth_server.aggregation.marginals import MarginalEstimate, estimated_size
from fedsynth_server.aggregation.ordered_pairs import Order
from fedsynth_server.aggregation.pairs_by_site import PairsBySite, pairs_by_site
from fedsynth_server.histories.blocks import Block, Place
from fedsynth_server.histories.borrowed_margins import borrowed


@dataclass(frozen=True)
class CleanBlocks:
    """What the generator is fitted to; all frequencies are shares of all persons.

    Attributes:
        one_way: of each model column: of persons for static columns, of events for the others.
        blocks: what was measured.
        estimates: of each block.
        static: number of static columns; they come first.
        expected_loss: about the loss that the true distribution has (`denoising.Denoised`).
    """

    one_way: list[MarginalEstimate]
    blocks: Sequence[Block]
    estimates: list[MarginalEstimate]
    static: int
    expected_loss: float

    def independent_given_z(self) -> list[MarginalEstimate]:
        """Pairs with a static column; the others depend on each other through regimes too."""
        places = [(a.column, b.column) for a, b in (block.places for block in self.blocks)]
        return [
            replace(e, columns=pair)
            for pair, block, e in zip(places, self.blocks, self.estimates, strict=True)
            if block.lag == 0 and block.family[1] == 0 and pair[0] < self.static
        ]


@dataclass(frozen=True)
class _Families:
    """The blocks by site; `of` says to which family a block belongs."""

    of: Mapping[tuple[int, int], PairsBySite]

    def between(self, a: int, b: int) -> Float64Array:
        return self.of[a, b].between(a, b)

    def within(
        self, pair: MarginalEstimate, one_way: Sequence[MarginalEstimate]
    ) -> tuple[Float64Array, float]:
        a, b = pair.columns
        return self.of[a, b].within(pair, one_way)


def clean(
    blocks: Sequence[Block],
    queries: MarginalQueries,
    counts: CountsBySite,
    histograms: Histograms,
    static: int,
    orders: Sequence[Order],
) -> CleanBlocks:
    """The blocks as shares of persons, without most of their noise.

    Args:
        blocks: what was measured.
        queries: the queries of the blocks, in their order.
        counts: noisy counts by site, a person counting as one.
        histograms: of the same sites.
        static: number of static columns.
        orders: for each model column its codes in order, or None.

    Raises:
        FedsynthError: no site answered both for histograms and for blocks.
    """
    known = {site: tables for site, tables in counts.items() if site in histograms.shares}
    if not known:
        raise FedsynthError("measure: no site answered both for histograms and for marginals")
    columns = len(histograms.codebook.widths)
    places = [Place(column) for column in range(columns)]
    places += sorted({p for block in blocks for p in block.places} - set(places))
    number = {place: k for k, place in enumerate(places)}
    widths = [histograms.codebook.widths[place.column] for place in places]
    estimates, by_site, totals = {}, {}, {}
    for family in dict.fromkeys(block.family for block in blocks):
        inside = [k for k, block in enumerate(blocks) if block.family == family]
        pairs = [_numbered(queries.marginals[k], blocks[k], number) for k in inside]
        persons = _persons(family, inside, queries, known, histograms)
        total = totals[family] = sum(persons.values())
        own = {site: [tables[k] for k in inside] for site, tables in known.items()}
        in_family = _pairs_by_site(pairs, own, persons, widths, queries)
        for k, pair in zip(inside, pairs, strict=True):
            a, b = pair.columns
            by_site[a, b] = in_family
            shares = np.sum([tables[k] for tables in known.values()], axis=0) / total
            variance = queries.variance * pair.spread**2 * len(known) / total**2
            estimates[k] = MarginalEstimate(columns=(a, b), frequencies=shares, variance=variance)
    measured = [estimates[k] for k in range(len(blocks))]
    cleaned = denoise(
        [*histograms.one_way, *borrowed(places, blocks, measured, widths), *measured],
        widths,
        _Families(by_site),
        [place.column for place in places],
        [orders[place.column] for place in places],
    )
    everybody = sum(histograms.records * histograms.shares[site] for site in known)
    return CleanBlocks(
        one_way=cleaned.marginals[:columns],
        blocks=blocks,
        estimates=[
            _of_persons(estimate, totals[block.family] / everybody)
            for block, estimate in zip(blocks, cleaned.marginals[len(widths) :], strict=True)
        ],
        static=static,
        expected_loss=cleaned.expected_loss,
    )


def _numbered(query: MarginalQuery, block: Block, number: Mapping[Place, int]) -> MarginalQuery:
    """The query with the numbers of its places in the place of columns."""
    axes = tuple((number[place], 0) for place in block.places)
    return MarginalQuery(axes, query.shape, spread=query.spread)


def _persons(
    family: tuple[Over, int],
    inside: Sequence[int],
    queries: MarginalQueries,
    counts: CountsBySite,
    histograms: Histograms,
) -> dict[str, float]:
    """By site, the noisy number of persons that the family's blocks count."""
    if family[0] is not Over.NEXT:
        return {site: histograms.records * histograms.shares[site] for site in counts}
    variance = queries.variance * queries.marginals[inside[0]].spread ** 2
    sizes = {
        site: estimated_size([tables[k] for k in inside], variance).records
        for site, tables in counts.items()
    }
    return {
        site: min(max(1.0, size), histograms.records * histograms.shares[site])
        for site, size in sizes.items()
    }


def _pairs_by_site(
    pairs: Sequence[MarginalQuery],
    counts: CountsBySite,
    persons: Mapping[str, float],
    widths: Sequence[int],
    queries: MarginalQueries,
) -> PairsBySite:
    """The family's pairs by site. Places that it does not have get no deviations between sites."""
    present = sorted({place for pair in pairs for place in pair.columns})
    local = {place: k for k, place in enumerate(present)}
    renamed = tuple(
        MarginalQuery(tuple((local[p], 0) for p in pair.columns), pair.shape, spread=pair.spread)
        for pair in pairs
    )
    found = pairs_by_site(
        MarginalQueries((), renamed, queries.variance),
        counts,
        persons,
        [widths[place] for place in present],
    )
    deviations = [np.zeros((len(persons), width)) for width in widths]
    for place, k in local.items():
        deviations[place] = found.deviations[k]
    named = {(present[a], present[b]): table for (a, b), table in found.pairs.items()}
    return PairsBySite(found.shares, deviations, named)


def _of_persons(estimate: MarginalEstimate, share: float) -> MarginalEstimate:
    """A family's shares as shares of all persons; `share` is how many of them the family has."""
    unknown = None if estimate.unknown is None else estimate.unknown * share**2
    return MarginalEstimate(
        columns=estimate.columns,
        frequencies=estimate.frequencies * share,
        variance=estimate.variance * share**2,
        unknown=unknown,
    )
