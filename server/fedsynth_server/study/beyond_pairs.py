"""Measures what pairs of columns do not show: a screening of triples, then the ones that stand out.

The order is that of the plan. Everything in here but the two questions to the sites is post-processing
of their answers; `aggregation.three_way` says how triples are chosen and cleaned of noise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.protocol.plan import Plan
from fedsynth_release.decoding import Codebook
from fedsynth_release.generator_mixture import GeneratorMixture
from fedsynth_server.aggregation.denoising import Denoised
from fedsynth_server.aggregation.marginal_queries import (
    MarginalQueries,
    pair_queries,
)
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.aggregation.ordered_pairs import Order
from fedsynth_server.aggregation.second_measurement import measured_together
from fedsynth_server.aggregation.three_way import (
    FEW,
    MANY,
    Division,
    PairError,
    best_division,
    groups_of,
    screened,
    screened_triples,
    three_way_queries,
)
from fedsynth_server.aggregation.three_way_noise import ThreeWay, without_noise
from fedsynth_server.study.answers import Answers
from fedsynth_server.training.three_way_loss import ThreeWayLoss

SCREENING, SECOND = 2, 3
"""Positions of the two measurements among the plan's."""


Ask = Callable[[MarginalQueries, int], Answers]
"""Puts queries to the sites in the measure step of the plan at an index."""


class BeyondPairs:
    """The two measurements of one study, in its codes."""

    def __init__(
        self, plan: Plan, codebook: Codebook, orders: Sequence[Order], pairs: Denoised, ask: Ask
    ) -> None:
        """`pairs` say which triples are screened, and how codes are grouped."""
        self.plan, self.codebook, self._pairs, self._ask = plan, codebook, pairs, ask
        one_way = pairs.marginals[: len(codebook.widths)]
        self._few, self._many = (groups_of(one_way, pairs.spread, orders, n) for n in (FEW, MANY))
        self._triples = screened_triples(_dependence(pairs.marginals), len(codebook.widths))

    def screen(self, mixture: GeneratorMixture) -> Division:
        """Measure triples coarsely and decide what the second measurement is for.

        Args:
            mixture: a generator that was fitted to the pairs.
        """
        triples, few, many = self._triples, self._few, self._many
        answers = self._ask(self._queries(triples, few, SCREENING), SCREENING)
        seen = answers.estimates()
        said = screened(seen, _expected(seen, few, mixture), answers.records)
        first, screening, second = (
            self.plan.measure[i].noise_multiplier for i in (1, SCREENING, SECOND)
        )
        one = seen[0].variance / len(triples) * (second / screening) ** 2
        error = PairError.of(self._pairs.marginals, (first / second) ** 2)
        shapes = {t: tuple(int(many[c].max()) + 1 for c in t) for t in triples}
        return best_division(said, shapes, error, one)

    def note(self, division: Division) -> str:
        """What the screening found, for the documents of the release."""
        of = f"of {len(self._triples):,} triples of columns"
        if not (found := len(division.triples)):
            return f"screening: {of} none says enough beyond its pairs; pairs were measured again"
        more = "" if division.share == 1.0 else ", and all pairs again"
        return f"screening: {of} {found:,} say more than their pairs; these were measured{more}"

    def measure(self, division: Division) -> tuple[Answers | None, "Chosen | None"]:
        """The second measurement: pairs once more, and the chosen triples; None for what is left out."""
        again = pair_queries(self.codebook, self.plan.measure[SECOND], self.plan.table)
        if not division.triples:
            return self._ask(again, SECOND), None
        triples = self._queries(division.triples, self._many, SECOND)
        if division.share == 1.0:
            return None, Chosen(self._ask(triples, SECOND), self._many)
        both = measured_together(again, triples, division.share)
        answers, split = self._ask(both, SECOND), len(again.marginals)
        chosen = answers.part(split, len(both.marginals))
        return answers.part(0, split), Chosen(chosen, self._many)

    def _queries(
        self, triples: Sequence[tuple[int, ...]], groups: Sequence[Int64Array], index: int
    ) -> MarginalQueries:
        step, rows = self.plan.measure[index], self.plan.table.rows_per_person
        return three_way_queries(self.codebook, triples, groups, step, rows)


@dataclass(frozen=True)
class Chosen:
    """The noisy answers about the chosen triples, and the groups of codes in which they are."""

    answers: Answers
    groups: list[Int64Array]

    def cleaned(self, pairs: Denoised, mixture: GeneratorMixture) -> ThreeWay:
        """The triples without most of their noise, seen from a generator that was fitted to pairs."""
        seen = self.answers.estimates()
        expected = _expected(seen, self.groups, mixture)
        return without_noise(seen, expected, self.groups, pairs.spread)


def _expected(
    marginals: Sequence[MarginalEstimate], groups: Sequence[Int64Array], mixture: GeneratorMixture
) -> list[Float64Array]:
    tables = ThreeWayLoss(marginals, groups).expected(mixture.soft_rows().t().cpu())
    return [tables[marginal.columns] for marginal in marginals]


def _dependence(marginals: Sequence[MarginalEstimate]) -> dict[tuple[int, int], float]:
    """Sum of squares of each pair's dependence."""
    one_way = {m.columns[0]: m.frequencies for m in marginals if len(m.columns) == 1}
    found = {}
    for marginal in marginals:
        if len(marginal.columns) == 2:
            a, b = marginal.columns
            independent = np.outer(one_way[a], one_way[b])
            found[a, b] = float(np.square(marginal.frequencies - independent).sum())
    return found
