"""What the sites answered to marginal queries, one by one or as a sum."""

from dataclasses import dataclass, replace

from fedsynth_server.aggregation.marginal_queries import CountsBySite, MarginalQueries, summed
from fedsynth_server.aggregation.marginals import MarginalEstimate


@dataclass(frozen=True)
class Answers:
    """What the sites answered to marginal queries.

    Attributes:
        queries: with the noise variance of one site's cell, or of the sum's.
        counts: noisy, by site, or under one name for the sum.
        records: estimated number of records in all of them.
    """

    queries: MarginalQueries
    counts: CountsBySite
    records: float

    def estimates(self) -> list[MarginalEstimate]:
        """The frequencies of all records, an estimate for each query."""
        return self.queries.estimates(summed(self.counts.values()), self.records, len(self.counts))

    def part(self, start: int, stop: int) -> "Answers":
        """Those to some of the queries, which share one spread; the variance becomes theirs."""
        queries = self.queries.marginals[start:stop]
        spread = queries[0].spread
        own = replace(
            self.queries,
            marginals=tuple(replace(query, spread=1.0) for query in queries),
            variance=max(1, round(self.queries.variance * spread**2)),
        )
        counts = {site: tables[start:stop] for site, tables in self.counts.items()}
        return Answers(own, counts, self.records)
