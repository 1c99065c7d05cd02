"""Conditions on events: `any(COLUMN)` with an operator and a value, and draws of persons who meet them.

`any(ward)=surgery` holds for persons of whom at least one event has that ward. Each such condition names
another column; one event may meet several of them, or several events one each. A condition without
`any` is about the person, as in other tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from fedsynth_common.array_types import BoolArray, Int64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema, domain_of
from fedsynth_common.schema.domain import MISSING
from fedsynth_release.histories.event_conditions import MOST, DrawnEvents, EventConditions
from fedsynth_release.histories.mixture import Mixture
from fedsynth_release.histories.network import Chains
from fedsynth_release.sampling.condition_sets import ConditionSet, condition_sets, opposite
from fedsynth_release.sampling.conditions import Condition, column_names, listed_names
from fedsynth_release.sampling.sampler import Sampler, Where

_SOME = "any("


def separated(
    where: Where, persons: Schema, everything: Schema
) -> tuple[list[Condition], list[Condition]]:
    """Conditions on persons and on events.

    Args:
        where: conditions as texts or read.
        persons: the schema of the static model columns.
        everything: the schema of all model columns.

    Raises:
        InputError: a condition cannot be read, or is about events without saying so.
    """
    static = column_names(persons)
    events = [name for name in column_names(everything) if name not in static]
    found: tuple[list[Condition], list[Condition]] = ([], [])
    for condition in (where,) if isinstance(where, str) else where:
        text = str(condition).lstrip()
        named = [name for name in events if text.startswith(f"{_SOME}{name})")]
        if named:
            name = max(named, key=len)
            if isinstance(condition, Condition):
                found[1].append(Condition(name, condition.operator, condition.values))
            else:
                rest = text.removeprefix(f"{_SOME}{name})")
                found[1].append(Condition.parse(name + rest, everything))
            continue
        _refuse(text, static, events)
        read = condition if isinstance(condition, Condition) else Condition.parse(text, persons)
        found[0].append(read)
    return found


def _refuse(text: str, static: list[str], events: list[str]) -> None:
    """Name the mistake of a condition that is about events but does not say so."""
    if any(text.startswith(name) for name in static):
        return
    if text.startswith(_SOME):
        fault = f"any(...) takes a column of events; expected one of {listed_names(events)}"
        raise InputError(f"condition {text!r}: {fault}")
    if named := [name for name in events if text.startswith(name)]:
        name = max(named, key=len)
        fault = f"column {name!r} differs between the events of a person; write any({name}) in the "
        raise InputError(
            f"condition {text!r}: {fault}place of {name} for persons with such an event"
        )


@dataclass(frozen=True, eq=False)
class RequiredEvents:
    """Draws events of persons who meet conditions on events.

    Attributes:
        chains: draws regimes, and which event meets which condition.
        places: the column of each condition.
        sets: what each condition allows.
        samplers: of each condition, the events' sampler with its column restricted to what is not
            allowed, and to what is.
    """

    chains: EventConditions
    places: tuple[int, ...]
    sets: tuple[ConditionSet, ...]
    samplers: tuple[tuple[Sampler, Sampler], ...]

    @classmethod
    def of(
        cls,
        conditions: Sequence[Condition],
        sampler: Sampler,
        mixture: Mixture,
        chains: Chains,
        allowed: BoolArray,
    ) -> Self:
        """The draws under these conditions.

        Args:
            conditions: on columns of events.
            sampler: of events, by first or later event, latent and regime.
            mixture: what it was made from.
            chains: the network's.
            allowed: which numbers of events are allowed (L,).

        Raises:
            InputError: there are too many conditions, two on one column, or one on a column that is
                drawn together with others.
        """
        names = [condition.column for condition in conditions]
        if len(conditions) > MOST:
            raise InputError(
                f"--where: {len(conditions)} conditions on events; expected at most {MOST}"
            )
        if twice := [name for name in names if names.count(name) > 1]:
            fault = "is in two conditions on events; expected one for each column"
            raise InputError(f"--where: column {twice[0]!r} {fault}")
        together = {place for joint in sampler.joint for place in joint.places}
        sets, samplers, hits = condition_sets(conditions, sampler.schema), [], []
        for place, some in sets.items():
            column = sampler.schema.modelled[place]
            if place in together:
                fault = "is bound by a list of combinations, so it cannot be in any(...)"
                raise InputError(f"--where: column {column.name!r} {fault}")
            without = opposite(some, domain_of(column))
            restricted, chance = sampler.restricted(mixture, place, some)
            samplers.append((sampler.restricted(mixture, place, without)[0], restricted))
            regimes, latents = chains.initial.shape
            hits.append(np.clip(chance.reshape(2, latents, regimes).transpose(0, 2, 1), 0.0, 1.0))
        automaton = EventConditions.of(chains, np.stack(hits, axis=1), allowed)
        return cls(automaton, tuple(sets), tuple(sets.values()), tuple(samplers))

    def draw_into(
        self,
        values: list[Int64Array],
        drawn: DrawnEvents,
        index: Int64Array,
        rng: np.random.Generator,
    ) -> None:
        """Draw the conditions' columns again where an event meets an open condition, or does not."""
        for number, (place, pair) in enumerate(zip(self.places, self.samplers, strict=True)):
            for met, sampler in enumerate(pair):
                rows = np.flatnonzero(drawn.open[:, number] & (drawn.met[:, number] == bool(met)))
                values[place][rows] = sampler.columns([place], index[rows], rng)[place]

    def hold(self, values: list[Int64Array], person: Int64Array, persons: int) -> BoolArray:
        """Which persons meet all conditions, once rules have been kept (persons,)."""
        every = np.ones(persons, dtype=bool)
        for place, some in zip(self.places, self.sets, strict=True):
            missing = values[place] == MISSING
            if some.ticks is not None:
                meets = some.ticks.contains(np.where(missing, 0, values[place]))
            else:
                meets = some.cells[np.where(missing, 0, values[place])] > 0
            meets = np.where(missing, some.cells[-1] > 0, meets)
            every &= np.bincount(person, weights=meets, minlength=persons) > 0
        return every
