"""A second measurement: together with three-way marginals, and combined with the first.

Two measurements of the same marginals are combined for each site by the variances of their noise.

Noise of the two is independent, so the least variance is that of the mean weighted by the inverse of
the variances (Gauss-Markov theorem). A site that answered one of the two keeps that answer. Its noise is
then larger than that of the others; the variance of the queries is the mean over the sites, which is
right for the sum over them.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fedsynth_common.array_types import Float64Array
from fedsynth_server.aggregation.marginal_queries import CountsBySite, MarginalQueries


def combined(
    first: tuple[MarginalQueries, CountsBySite], second: tuple[MarginalQueries, CountsBySite]
) -> tuple[MarginalQueries, dict[str, Sequence[Float64Array]]]:
    """The marginals with the noise that both measurements leave together.

    Args:
        first: what was asked and what each site answered.
        second: the same marginals once more, with noise of their own.
    """
    asked, counts, variances = first[0], dict(first[1]), dict.fromkeys(first[1], 0.0)
    sites = [*first[1], *(site for site in second[1] if site not in first[1])]
    for site in sites:
        answers = [
            (queries.variance, answered[site])
            for queries, answered in (first, second)
            if site in answered
        ]
        variances[site] = 1 / sum(1 / variance for variance, _ in answers)
        weights = [variances[site] / variance for variance, _ in answers]
        counts[site] = [
            np.tensordot(weights, np.array(parts), axes=1)
            for parts in zip(*(tables for _, tables in answers), strict=True)
        ]
    mean = sum(variances.values()) / len(variances)
    return replace(asked, variance=max(1, round(mean))), counts


def scaled(
    queries: MarginalQueries, counts: CountsBySite, factor: float
) -> tuple[MarginalQueries, CountsBySite]:
    """The counts as if there were `factor` times as many records, and the variance of their noise."""
    times = {site: [factor * table for table in tables] for site, tables in counts.items()}
    return replace(queries, variance=max(1, round(queries.variance * factor**2))), times


def measured_together(
    pairs: MarginalQueries, triples: MarginalQueries, share: float
) -> MarginalQueries:
    """The queries of both in one message, of whose budget the triples get a share between 0 and 1.

    Args:
        pairs: with the noise variance that they would have alone in the message.
        triples: likewise.
        share: of the triples, in squared inverse noise (μ²).
    """
    variances = math.ceil(pairs.variance / (1 - share)), math.ceil(triples.variance / share)
    most, first = max(variances), len(pairs.views)
    moved = tuple(
        replace(query, axes=tuple((column, view + first) for column, view in query.axes))
        for query in triples.marginals
    )
    spreads = [math.sqrt(variance / most) for variance in variances]
    queries = [
        replace(query, spread=spread)
        for part, spread in zip((pairs.marginals, moved), spreads, strict=True)
        for query in part
    ]
    return MarginalQueries((*pairs.views, *triples.views), tuple(queries), most)
