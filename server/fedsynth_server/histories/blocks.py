"""Which marginals of histories are measured, and how they are asked for.

A *place* is a model column and the event of a person at which it is read. A static column has one
place. An event column has one for marginals over events, and two for each distance of events: the
earlier and the later one. A block is a pair of places:

* pairs of static columns, over persons;
* a static and an event column, and pairs of event columns, over events;
* an event column and one at the next event, over pairs of events; also a column with itself;
* a column with itself two events later, and at a person's first and last event, and where the budget is
  large three events later too. They cost the other blocks noise, so a small budget leaves them out
  (simulations/RESULTS.md).

A block of a column that hardly varies is left out: it could show next to nothing. Which columns these
are is read off the noisy histograms, so it is public.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedsynth_common.protocol.counting import MAX_WEIGHT, Over
from fedsynth_common.protocol.plan import MeasureStep
from fedsynth_common.schema import FineDomain, HistoryLayout, domain_of
from fedsynth_release.decoding import Codebook
from fedsynth_server.aggregation.marginal_queries import (
    MarginalQueries,
    MarginalQuery,
    histogram_queries,
)
from fedsynth_server.aggregation.marginals import MarginalEstimate

VARIED = 0.06
"""The least variety 1 - sum p² of a column whose blocks are measured."""
EVENTS_SPREAD = 1.3
"""Noise of marginals of events beside those of persons, which the models of static columns need more."""
BIN_NOISE = 0.7
"""Largest noise of a bin, as a share of its mass, of numbers that would have fewer than eight bins.

More than for records: the pairs measured later say much better than the histograms how much lies in a
bin, and wide bins hide where in them it lies. More than eight such bins cost the pairs more than they
show (simulations/RESULTS.md).
"""
CLEAR, CLEARER = 2.0, 8.0
"""ε of the study from which on the second next event is measured too, and from which on the third."""


def person_weight(max_events: int) -> int:
    """W, what the events of a person share: few are lost by rounding down, and no noise is too large.

    >>> person_weight(5), person_weight(40)
    (60, 400)
    """
    return 60 if max_events <= 6 else min(MAX_WEIGHT, 10 * max_events)


@dataclass(frozen=True, order=True)
class Place:
    """A model column, and what it is counted over and read at."""

    column: int
    over: Over = Over.EVENTS
    lag: int = 0
    at: int = 0


@dataclass(frozen=True)
class Block:
    """Two places whose joint marginal is measured, over the same persons, events or pairs of events."""

    over: Over
    lag: int
    places: tuple[Place, Place]

    @property
    def family(self) -> tuple[Over, int]:
        """Blocks of one family count the same persons: all of them, or those with enough events."""
        ends = any(place.over is Over.PERSONS for place in self.places)
        return (Over.PERSONS, 1) if ends else (Over.NEXT if self.lag else Over.EVENTS, self.lag)


def blocks_of(layout: HistoryLayout, variety: Sequence[float], lags: Sequence[int]) -> list[Block]:
    """The blocks of a study.

    Args:
        layout: of the model columns.
        variety: 1 - sum p² of each model column's codes.
        lags: distances of events; the first is measured for all pairs of columns. Those beyond come with
            the first and the last event.
    """
    static = [c for c in layout.static if variety[c] >= VARIED]
    events = [c for c in layout.events if variety[c] >= VARIED]
    if len(static) + len(events) < 2:  # whatever there is, a measurement asks something
        static, events = list(layout.static), list(layout.events)
    columns = [*static, *events]
    blocks = []
    for k, a in enumerate(columns):
        for b in columns[k + 1 :]:
            over = Over.PERSONS if b in static else Over.EVENTS
            blocks.append(Block(over, 0, (Place(a), Place(b))))
    for lag in (lag for lag in lags if lag < layout.max_events):
        for a in events:
            for b in events if lag == 1 else [a]:
                pair = Place(a, Over.NEXT, lag, 0), Place(b, Over.NEXT, lag, 1)
                blocks.append(Block(Over.NEXT, lag, pair))
    if len(lags) > 1:
        ends = [(Place(a, Over.PERSONS, 0, 0), Place(a, Over.PERSONS, 0, 1)) for a in events]
        blocks += [Block(Over.PERSONS, 0, pair) for pair in ends]
    return blocks


def varieties(
    one_way: Sequence[MarginalEstimate], codebook: Codebook, layout: HistoryLayout
) -> list[float]:
    """1 - sum p² of each model column; for columns that look back, among the events that have one."""
    varied = []
    for column, estimate in enumerate(one_way):
        shares = np.maximum(estimate.frequencies, 0.0)
        missing = domain_of(layout.columns[column]).missing
        if column in layout.since_previous and missing is not None:
            shares[codebook.views[column][missing]] = 0.0
        varied.append(1.0 - float(np.square(shares / max(shares.sum(), 1e-12)).sum()))
    return varied


def lags_for(epsilon: float) -> tuple[int, ...]:
    """Distances of events whose blocks are measured.

    >>> lags_for(1.0), lags_for(3.0), lags_for(50.0)
    ((1,), (1, 2), (1, 2, 3))
    """
    return tuple(range(1, 2 + (epsilon >= CLEAR) + (epsilon >= CLEARER)))


def block_queries(
    blocks: Sequence[Block], codebook: Codebook, layout: HistoryLayout, step: MeasureStep
) -> MarginalQueries:
    """The queries of the blocks, in their order, with the least noise that the step allows."""
    weight, queries = person_weight(layout.max_events), []
    used = sorted({place.column for block in blocks for place in block.places})
    view = {column: k for k, column in enumerate(used)}  # a site refuses views that nothing uses
    for block in blocks:
        a, b = block.places
        of_events = block.over is not Over.PERSONS
        queries.append(
            MarginalQuery(
                axes=((a.column, view[a.column]), (b.column, view[b.column])),
                shape=(codebook.widths[a.column], codebook.widths[b.column]),
                over=block.over,
                lag=block.lag,
                at=(a.at, b.at),
                weight=weight if of_events else 1,
                spread=EVENTS_SPREAD if of_events else 1.0,
            )
        )
    views = tuple(codebook.views[column] for column in used)
    return MarginalQueries(views, tuple(queries), _variance(queries, step))


def history_histograms(
    domains: Sequence[FineDomain], layout: HistoryLayout, step: MeasureStep
) -> MarginalQueries:
    """Histograms of all model columns: of static columns over persons, of the others over events."""
    flat, weight = histogram_queries(domains, step, 1), person_weight(layout.max_events)
    queries = [
        MarginalQuery(query.axes, query.shape, Over.EVENTS, weight=weight)
        if query.columns[0] in layout.events
        else MarginalQuery(query.axes, query.shape, Over.PERSONS)
        for query in flat.marginals
    ]
    return MarginalQueries(flat.views, tuple(queries), _variance(queries, step))


def _variance(queries: Sequence[MarginalQuery], step: MeasureStep) -> int:
    """The least whole variance with 1 / sqrt(sum of 1 / (variance spread²)) >= the noise multiplier."""
    exact = step.noise_multiplier**2 * sum(query.spread**-2 for query in queries)
    return max(1, math.ceil(exact * (1 - 1e-12)))
