"""Draws persons with their events, as one long table in the user's own columns.

A person is drawn like a record of the flat generator: the latent, then the static columns and the number
of events, under conditions if there are any. Then come the regimes (`chain_draws`), and every event
is drawn like a record too, from the emissions of its latent and regime. Rules are kept with the flat
generator's means: among static columns when the person is drawn, all others within each event while
the static cells stay as they are.

Values of numbers inside their codes are drawn together over a person's events (`event_positions`).
At last the model columns become the user's (`restored`). Conditions on static columns are met as in
other tables, conditions on events as `required_events` says.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
import torch

from fedsynth_common.array_types import BoolArray, Float32Array, Int64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import HistoryLayout, Schema, domain_of, history_schema, layout_of
from fedsynth_common.schema.rules import columns_of
from fedsynth_release.decoding import Codebook
from fedsynth_release.histories.chain_draws import ChainDraws
from fedsynth_release.histories.event_conditions import DrawnEvents
from fedsynth_release.histories.event_positions import EventPositions
from fedsynth_release.histories.expected import Emitted, static_codes
from fedsynth_release.histories.mixture import Mixture
from fedsynth_release.histories.network import HistoryNetwork
from fedsynth_release.histories.recursion import Recursion
from fedsynth_release.histories.required_events import RequiredEvents, separated
from fedsynth_release.histories.restored import user_columns
from fedsynth_release.sampling.condition_sets import condition_sets
from fedsynth_release.sampling.conditions import Condition
from fedsynth_release.sampling.rule_repair import ROUNDS, keep_rules
from fedsynth_release.sampling.sampler import Sampler, Where

LEARNED = 1 << 14
"""Persons from which the maps that keep each number's distribution inside its codes are learned."""


@dataclass(frozen=True, eq=False)
class HistorySampler:
    """Draws the histories of one generator, under conditions if there are any.

    Attributes:
        persons: draws latents and static columns, the number of events among them.
        mixture: what `persons` was made from.
        events: draws the columns of an event, by the number of its latent, regime and place: first
            events come before all others.
        by_event: what `events` was made from.
        chains: draws regimes.
        recursion: of the network's chains.
        schema: the user's.
        required: draws events under conditions on them, if there are any.
        unconditioned: the same generator without conditions; None if there are none.
    """

    persons: Sampler
    mixture: Mixture
    events: Sampler
    by_event: Mixture
    chains: ChainDraws
    recursion: Recursion
    schema: Schema
    required: RequiredEvents | None = None
    unconditioned: "HistorySampler | None" = None

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
            coupled=False,
        )
        of_person = static.repeat_interleave(network.shape.regimes, dim=0).repeat(2, 1)
        soft = torch.cat([of_person, both.flatten(0, 2)], dim=1)
        by_event = Mixture(soft, network.shape.widths)
        event_schema = _with(flat, {"rules": tuple(others)})
        events = Sampler.of(by_event, codebook, event_schema, coupled=False)
        if any(min(joint.places) < count for joint in events.joint):
            raise InputError(
                "a rule that lists combinations names columns of a person and of an event together; "
                "histories cannot keep it: declare it for columns of one of the two"
            )
        chains = ChainDraws.of(recursion)
        return cls(persons, mixture, events, by_event, chains, recursion, schema)

    @cached_property
    def layout(self) -> HistoryLayout:
        """Where things are among the model columns."""
        return layout_of(self.schema)

    @cached_property
    def positions(self) -> EventPositions:
        """Draws numbers inside their codes together over a person's events."""
        if self.unconditioned is not None:
            return self.unconditioned.positions
        drawn_together = {place for joint in self.events.joint for place in joint.places}
        codebook = self.events.codebook
        law = EventPositions.of(self.recursion, codebook, self.layout, drawn_together)
        if not law.columns:
            return law
        values, person, _, _ = self._drawn(LEARNED, np.random.default_rng(0))
        return law.learned(values, person)

    @property
    def tables(self) -> list[Float32Array]:
        """All cumulative probabilities, to be checked when they come from a file."""
        chains = [self.chains.initial, self.chains.moves, self.chains.onward]
        return [*self.persons.tables, *self.events.tables, *chains]

    def conditioned(self, where: Where) -> Self:
        """A sampler of the persons that meet all conditions.

        Raises:
            InputError: a condition cannot be read, or the conditions have a probability below 1e-9.
        """
        of_persons, of_events = separated(where, self.persons.schema, self.events.schema)
        if not of_events:
            persons = self.persons.conditioned(self.mixture, of_persons)
            return replace(self, persons=persons, unconditioned=self)
        length = self.persons.schema.modelled[self.layout.length]
        lengths = [condition for condition in of_persons if condition.column == length.name]
        others = [condition for condition in of_persons if condition.column != length.name]
        required = RequiredEvents.of(
            of_events,
            self.events,
            self.by_event,
            self.recursion.chains,
            self._allowed_lengths(lengths),
        )
        persons = self.persons.conditioned(self.mixture, others)
        weighted = persons.weighted(required.chains.probability)
        return replace(self, persons=weighted, required=required, unconditioned=self)

    def _allowed_lengths(self, conditions: list[Condition]) -> BoolArray:
        """Which numbers of events from 1 to L the conditions allow (L,)."""
        every = np.ones(self.layout.max_events, dtype=bool)
        for some in condition_sets(conditions, self.persons.schema).values():
            start = domain_of(self.layout.columns[self.layout.length]).atoms
            every = some.cells[start : start + len(every)] > 0
        return every

    @property
    def probability(self) -> float:
        """The share of persons that meet the conditions."""
        return self.persons.probability

    def frame(self, rows: int, rng: np.random.Generator) -> tuple[pd.DataFrame, Int64Array]:
        """The events of `rows` persons in the modelled columns, and whose each is, 0 to rows - 1.

        Raises:
            InputError: no persons were found that keep the rules and meet the conditions on events.
        """
        values, person, found = self._values(rows, rng)
        kept = [(values, person)]
        for _ in range(ROUNDS):  # rules may have changed the event that met a condition
            if found == rows:
                break
            values, person, more = self._values(rows - found, rng)
            kept.append((values, person + found))
            found += more
        if found < rows:
            raise InputError("no persons were found that keep the rules and meet the conditions")
        places = [np.concatenate(cells) for cells in zip(*(v for v, _ in kept), strict=True)]
        person = np.concatenate([of for _, of in kept])
        return user_columns(places, self.schema, person), person

    def _values(
        self, rows: int, rng: np.random.Generator
    ) -> tuple[list[Int64Array], Int64Array, int]:
        """Values of the model columns, whose each event is, and how many persons there are."""
        values, person, index, drawn = self._drawn(rows, rng)
        self.positions.redraw(values, person, rng)
        if self.required is not None and drawn is not None:
            self.required.draw_into(values, drawn, index, rng)
        fixed = np.zeros((len(person), len(values)), dtype=bool)
        fixed[:, list(self.layout.static)] = True
        if self.events.components:
            keep_rules(self.events, values, index, rng, fixed)
        if self.required is None:
            return values, person, rows
        meets = self.required.hold(values, person, rows)
        kept = meets[person]
        number = np.cumsum(meets) - 1
        return [cells[kept] for cells in values], number[person[kept]], int(meets.sum())

    def _drawn(
        self, rows: int, rng: np.random.Generator
    ) -> tuple[list[Int64Array], Int64Array, Int64Array, DrawnEvents | None]:
        """Values before rules and conditions on events, whose each event is, and its emissions."""
        latent, static = self.persons.rows(rows, rng)
        drawn = None
        if self.required is None:
            person, regime = self.chains.regimes(latent, static[self.layout.length], rng)
        else:
            drawn = self.required.chains.events(latent, rng)
            person, regime = drawn.person, drawn.regime
            static[self.layout.length] = np.bincount(person, minlength=rows)
        first = np.flatnonzero(np.diff(person, prepend=-1))
        latents, regimes = self.chains.initial.shape
        index = (latents + latent[person]) * regimes + regime
        index[first] -= latents * regimes
        values = self.events.columns(self.layout.events, index, rng)
        values[: len(static)] = [cells[person] for cells in static]
        return values, person, index, drawn


def _with(schema: Schema, changes: dict[str, object]) -> Schema:
    """Another schema; unlike `model_copy`, everything is checked again."""
    kept = {name: getattr(schema, name) for name in type(schema).model_fields}
    return Schema(**{**kept, "target": None, "site_column": None, **changes})
