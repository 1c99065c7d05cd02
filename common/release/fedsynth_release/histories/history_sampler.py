"""Draws persons with their events, as one long table in the user's own columns.

A person is drawn like a record of the flat generator: the latent, then the static columns and the number
of events, under conditions if there are any. Then come the regimes (`chain_draws`), and every event
is drawn like a record too, from the emissions of its latent and regime. Rules are kept with the flat
generator's means: among static columns when the person is drawn, all others within each event while
the static cells stay as they are.

At last the model columns become the user's. The order of the events is its value at the first event plus
the gaps since, and a column that grows is its first value plus its increases. Both are cut at the
upper bound that the schema declares. Gaps and increases are never negative, so events are in order
and what grows never falls, in every history.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
import torch

from fedsynth_common.array_types import Float32Array, Int64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import HistoryLayout, Schema, domain_of, history_schema, layout_of
from fedsynth_common.schema.rules import columns_of
from fedsynth_release.decoding import Codebook
from fedsynth_release.decoding.decoder import column_of
from fedsynth_release.histories.chain_draws import ChainDraws
from fedsynth_release.histories.expected import Emitted, static_codes
from fedsynth_release.histories.mixture import Mixture
from fedsynth_release.histories.network import HistoryNetwork
from fedsynth_release.histories.recursion import Recursion
from fedsynth_release.sampling.rule_repair import keep_rules
from fedsynth_release.sampling.sampler import Sampler, Where


@dataclass(frozen=True, eq=False)
class HistorySampler:
    """Draws the histories of one generator, under conditions on static columns if there are any.

    Attributes:
        persons: draws latents and static columns, the number of events among them.
        mixture: what `persons` was made from.
        events: draws the columns of an event, by the number of its latent, regime and place: first
            events come before all others.
        chains: draws regimes.
        schema: the user's.
    """

    persons: Sampler
    mixture: Mixture
    events: Sampler
    chains: ChainDraws
    schema: Schema

    @classmethod
    def of(cls, network: HistoryNetwork, codebook: Codebook, schema: Schema) -> Self:
        """The sampler of a generator, without conditions.

        Raises:
            InputError: the rules contradict each other, or are of a kind that histories cannot keep.
        """
        layout, flat = layout_of(schema), history_schema(schema)
        count = len(layout.static)
        names = {column.name for column in flat.columns[:count]}
        static_rules = [rule for rule in flat.rules if names.issuperset(columns_of(rule))]
        others = [rule for rule in flat.rules if rule not in static_rules]
        with torch.no_grad():
            recursion = Recursion(network(), network.shape)
            static = static_codes(recursion).t().cpu()
            emissions = recursion.chains.emissions
            first = Emitted(emissions, network.shape).at_first()
            both = torch.stack([first, emissions]).permute(0, 3, 2, 1).cpu()
        mixture = Mixture(static, network.shape.static)
        persons = Sampler.of(
            mixture,
            Codebook(codebook.views[:count], codebook.shapes[:count]),
            _with(flat, {"columns": flat.columns[:count], "rules": tuple(static_rules)}),
        )
        by_event = static.repeat_interleave(network.shape.regimes, dim=0).repeat(2, 1)
        soft = torch.cat([by_event, both.flatten(0, 2)], dim=1)
        events = Sampler.of(
            Mixture(soft, network.shape.widths), codebook, _with(flat, {"rules": tuple(others)})
        )
        if any(min(joint.places) < count for joint in events.joint):
            raise InputError(
                "a rule that lists combinations names columns of a person and of an event together; "
                "histories cannot keep it: declare it for columns of one of the two"
            )
        return cls(persons, mixture, events, ChainDraws.of(recursion), schema)

    @cached_property
    def layout(self) -> HistoryLayout:
        """Where things are among the model columns."""
        return layout_of(self.schema)

    @property
    def tables(self) -> list[Float32Array]:
        """All cumulative probabilities, to be checked when they come from a file."""
        chains = [self.chains.initial, self.chains.moves, self.chains.onward]
        return [*self.persons.tables, *self.events.tables, *chains]

    def conditioned(self, where: Where) -> Self:
        """A sampler of the persons that meet all conditions; they are about static columns.

        Raises:
            InputError: a condition cannot be read, or the conditions have a probability below 1e-9.
        """
        return replace(self, persons=self.persons.conditioned(self.mixture, where))

    @property
    def probability(self) -> float:
        """The share of persons that meet the conditions."""
        return self.persons.probability

    def frame(self, rows: int, rng: np.random.Generator) -> tuple[pd.DataFrame, Int64Array]:
        """The events of `rows` persons in the modelled columns, and whose each is, 0 to rows - 1."""
        latent, static = self.persons.rows(rows, rng)
        lengths = static[self.layout.length]
        person, regime = self.chains.regimes(latent, lengths, rng)
        first = np.flatnonzero(np.diff(person, prepend=-1))
        latents, regimes = self.chains.initial.shape
        index = (latents + latent[person]) * regimes + regime
        index[first] -= latents * regimes
        values = self.events.columns(self.layout.events, index, rng)
        values[: len(static)] = [cells[person] for cells in static]
        fixed = np.zeros((len(person), len(values)), dtype=bool)
        fixed[:, : len(static)] = True
        if self.events.components:
            keep_rules(self.events, values, index, rng, fixed)
        return self._restored(values, first, person), person

    def _restored(
        self, values: list[Int64Array], first: Int64Array, person: Int64Array
    ) -> pd.DataFrame:
        """The user's columns from the values of the model columns."""
        layout = self.layout
        places = {source: place for place, source in enumerate(layout.sources) if source}
        histories = self.schema.histories
        columns = {}
        for column in self.schema.modelled:
            cells = values[places[column.name]]
            if histories is not None and column.name == histories.order:
                cells = _sums(values[layout.first_order], values[layout.gap], first, person)
            elif histories is not None and column.name in histories.grows:
                start, increase = layout.grows[histories.grows.index(column.name)]
                cells = _sums(values[start], values[increase], first, person)
            if histories is not None and column.name in (histories.order, *histories.grows):
                cells = np.minimum(cells, int(domain_of(column).ticks[-1]) - 1)
            columns[column.name] = column_of(cells, column)
        return pd.DataFrame(columns)


def _sums(
    start: Int64Array, steps: Int64Array, first: Int64Array, person: Int64Array
) -> Int64Array:
    """The value at a person's first event plus all steps since; the first event has no step."""
    steps = steps.copy()
    steps[first] = 0
    total = np.cumsum(steps)
    return np.asarray(start + total - total[first][person])


def _with(schema: Schema, changes: dict[str, object]) -> Schema:
    """Another schema; unlike `model_copy`, everything is checked again."""
    kept = {name: getattr(schema, name) for name in type(schema).model_fields}
    return Schema(**{**kept, "target": None, "site_column": None, **changes})
