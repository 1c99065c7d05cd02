"""Draws the next events of histories that are given.

The forward recursion over the given events gives the posterior of a person's latent and of the regime
at the last event: alpha_1 = P(z) P(static | z) pi(r | z) P(event 1 | r, z), and with each further event
alpha_{t+1}(s) = sum_r alpha_t(r) (1 - stop_t) A(s | r) P(event t + 1 | s, z) (Rabiner 1989, equations
19-20). The latent and the regimes of the next events are drawn from it, given that the history goes on
so far. Continuing is post-processing: the given rows are not stored, and nothing is learned from them.

The given events count as a person's first ones. Of a person with so many that no more would fit into
the most that a study uses, the last ones count.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_common.errors import InputError
from fedsynth_release.histories.chain_draws import drawn
from fedsynth_release.histories.expected import Emitted
from fedsynth_release.histories.given_histories import GivenHistories, read_histories
from fedsynth_release.histories.history_sampler import HistorySampler
from fedsynth_release.histories.network import starts_of
from fedsynth_release.histories.restored import user_columns
from fedsynth_release.sampling.rule_repair import keep_rules
from fedsynth_release.sampling.surrogate_values import Surrogates

BATCH = 1 << 20
"""Numbers of the posterior (persons x regimes x latents) that are computed at a time; 8 MiB."""


@dataclass(frozen=True, eq=False)
class Continuation:
    """Posterior of latents and regimes; L events, R regimes, Z latents, D codes of all columns.

    Attributes:
        static: log P(code | z) of static columns (S + 1, Z); the last row, of what is not known, is 0.
        events: log P(code | r, z), at first and at later events (2, E + 1, R, Z).
        initial: P(z, regime of the first event) (R, Z).
        steps: an event is not the last one, and the next is in another regime (L - 1, R, R, Z).
    """

    static: Float64Array
    events: Float64Array
    initial: Float64Array
    steps: Float64Array

    @classmethod
    def of(cls, sampler: HistorySampler) -> Self:
        """The posterior of a generator."""
        recursion = sampler.recursion
        chains = recursion.chains
        both = [Emitted(chains.emissions, recursion.shape).at_first(), chains.emissions]
        return cls(
            _logs(chains.static.double().cpu().numpy()),
            np.stack([_logs(part.double().cpu().numpy()) for part in both]),
            chains.initial.double().cpu().numpy() / chains.initial.shape[1],
            recursion.steps.double().cpu().numpy(),
        )

    def going_on(self, more: int) -> Float64Array:
        """P(at least j more events after event t in regime r), (more + 1, L, R, Z); 0 beyond L."""
        chance = np.zeros((more + 1, len(self.steps) + 1, *self.initial.shape))
        chance[0] = 1.0
        for j in range(1, more + 1):
            for t, step in enumerate(self.steps):
                chance[j, t] = (step * chance[j - 1, t + 1][None]).sum(1)
        return chance

    def posterior(self, static: Int64Array, events: Int64Array, person: Int64Array) -> Float64Array:
        """P(regime of the last event, z | what is known) without scale (persons, R, Z).

        Args:
            static: places of the persons' codes among all static codes (persons, columns).
            events: places of the events' codes among all event codes (events, columns).
            person: whose each event is, 0 to persons - 1 (events,).
        """
        first = np.flatnonzero(np.diff(person, prepend=-1))
        sizes = np.diff(np.append(first, len(person)))
        of_person = _scaled(self.static[static].sum(axis=1)[:, None])
        state = self.initial * of_person * self._seen(0, events[first])
        for t in range(1, int(sizes.max())):
            alive = np.flatnonzero(sizes > t)
            onward = np.einsum("prz,rsz->psz", state[alive], self.steps[t - 1])
            onward *= self._seen(1, events[first[alive] + t])
            state[alive] = onward / np.maximum(onward.max(axis=(1, 2), keepdims=True), _TINY)
        return state

    def _seen(self, later: int, codes: Int64Array) -> Float64Array:
        return _scaled(np.sum([self.events[later][column] for column in codes.T], axis=0))


_TINY = np.finfo(np.float64).tiny


def _logs(probabilities: Float64Array) -> Float64Array:
    return np.concatenate(
        [np.log(np.maximum(probabilities, 1e-12)), np.zeros_like(probabilities[:1])]
    )


def _scaled(logs: Float64Array) -> Float64Array:
    """Their exponentials, of which the largest of each person is 1."""
    scaled: Float64Array = np.exp(logs - logs.max(axis=(1, 2), keepdims=True))
    return scaled


def continued(
    sampler: HistorySampler, frame: pd.DataFrame, more: int, rng: np.random.Generator
) -> pd.DataFrame:
    """The next `more` events of each given person, as rows of the user's table.

    Args:
        sampler: of the generator, without conditions.
        frame: events of persons, with the person key.
        more: how many events each person gets.
        rng: decides.

    Raises:
        InputError: the given histories do not fit the schema, or `more` is too large.
    """
    schema, layout = sampler.schema, sampler.layout
    if not 1 <= more < layout.max_events:
        fault = f"expected 1 to {layout.max_events - 1}, as a history has at most "
        raise InputError(f"--next {more}: {fault}{layout.max_events} events")
    given = read_histories(frame, schema, sampler.events.codebook, layout.max_events - more)
    latent, regime = _latents_and_regimes(sampler, given, more, rng)
    person = np.repeat(np.arange(len(latent)), more)
    latents, regimes = sampler.chains.initial.shape
    index = (latents + latent[person]) * regimes + regime.ravel()
    values = sampler.events.columns(layout.events, index, rng)
    _go_on_inside_codes(sampler, given, values, person, rng)
    static = _static_values(sampler, given, latent, rng)
    values[: len(static)] = [cells[person] for cells in static]
    if sampler.events.components:
        fixed = np.zeros((len(person), len(values)), dtype=bool)
        fixed[:, : len(static)] = True
        keep_rules(sampler.events, values, index, rng, fixed)
    for place, cells in given.last.items():
        values[place] = cells[person]
    drawn_events = user_columns(values, schema, person, before=True)
    key = schema.person_key or ""
    names = {column.name for column in schema.surrogates} - {key}
    made = Surrogates(schema, len(person), rng, names).added(drawn_events, 0)
    made[key] = given.keys.iloc[person].to_numpy()
    return made[[column.name for column in schema.columns if column.name in made]]


def _latents_and_regimes(
    sampler: HistorySampler, given: GivenHistories, more: int, rng: np.random.Generator
) -> tuple[Int64Array, Int64Array]:
    """Of each person the latent (persons,) and the regimes of the next events (persons, more)."""
    model, shape, layout = Continuation.of(sampler), sampler.recursion.shape, sampler.layout
    static = _among_all(given.codes[given.first][:, list(layout.static)], shape.static)
    events = _among_all(given.codes[:, list(layout.events)], shape.events)
    going_on = model.going_on(more)
    sizes = np.bincount(given.person)
    regimes, latents = model.initial.shape
    batch = max(1, BATCH // (regimes * latents))
    found: list[tuple[Int64Array, Int64Array]] = []
    for start in range(0, len(sizes), batch):
        own = slice(start, start + batch)
        rows = (given.person >= start) & (given.person < start + batch)
        state = model.posterior(static[own], events[rows], given.person[rows] - start)
        last = sizes[own] - 1
        state *= going_on[more, last]
        choice = drawn(state.reshape(len(state), -1), rng)
        regime, latent = choice // latents, choice % latents
        path = []
        for j in range(more):
            onward = going_on[more - j - 1, last + j + 1, :, latent]
            regime = drawn(model.steps[last + j, regime, :, latent] * onward, rng)
            path.append(regime)
        found.append((latent, np.stack(path, axis=1)))
    return np.concatenate([z for z, _ in found]), np.concatenate([r for _, r in found])


def _go_on_inside_codes(
    sampler: HistorySampler,
    given: GivenHistories,
    values: list[Int64Array],
    person: Int64Array,
    rng: np.random.Generator,
) -> None:
    """Draw numbers inside their codes to go with the given ones, where all of a person are known."""
    order = np.argsort(np.concatenate([given.person, person]), kind="stable")
    whose = np.concatenate([given.person, person])[order]
    stays = order < len(given.person)
    for column in sampler.positions.columns:
        place = column.place
        known = np.ones(len(given.keys), dtype=bool)
        known[given.person[~given.known[:, place]]] = False
        rows = np.flatnonzero(known[whose])
        both = [np.empty(0, dtype=np.int64)] * len(values)
        both[place] = np.concatenate([given.values[place], values[place]])[order][rows]
        sampler.positions.of_column(column).redraw(both, whose[rows], rng, stays[rows])
        new = order[rows][~stays[rows]] - len(given.person)
        values[place][new] = both[place][~stays[rows]]


def _among_all(codes: Int64Array, widths: tuple[int, ...]) -> Int64Array:
    """Places of codes among the codes of all columns; what is not known comes after all of them."""
    starts = np.array(starts_of(widths))
    return np.asarray(np.where(codes >= 0, codes + starts[:-1], starts[-1]))


def _static_values(
    sampler: HistorySampler, given: GivenHistories, latent: Int64Array, rng: np.random.Generator
) -> list[Int64Array]:
    """Values of the static columns: what is known, and the rest drawn to go with it (persons,)."""
    known: BoolArray = given.known[given.first]
    drawn_values = sampler.persons.values(latent, rng)
    for joint in sampler.persons.joint:
        some = known[:, list(joint.places)]
        if (some.any(axis=1) & ~some.all(axis=1)).any():
            names = [sampler.layout.columns[place].name for place in joint.places]
            fault = "are bound by a list of combinations: give all of them or none"
            raise InputError(f"columns {', '.join(map(repr, names))} {fault}")
    static = [
        np.where(known[:, place], given.values[place][given.first], cells)
        for place, cells in enumerate(drawn_values)
    ]
    if sampler.persons.components:
        keep_rules(sampler.persons, static, latent, rng, known[:, : len(static)])
    return static
