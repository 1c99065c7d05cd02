"""Draws the regimes of persons of whom some event must meet a condition: `any(ward)=surgery`.

Given a person's latent, the chance that some event meets a condition follows from the backward
recursion, if what it carries along is which conditions no event has met so far: a set of open
conditions, the state of a small automaton beside the regime. Let p(D | S, r) be the probability that an
event in regime r meets exactly the conditions D of the open ones S. The probability that all open
conditions are met from event t on, and that the number of events is one that is allowed, is then

    G_t(S, r) = sum_D p(D | S, r) (stop_t [S = D] [t allowed]
                                   + (1 - stop_t) sum_r' A(r' | r) G_{t+1}(S - D, r')).

Drawing forward with these weights gives regimes, the end of the history and the event that meets each
condition, from exactly the model's distribution under the conditions. No person is drawn and thrown
away, so a rare condition takes as long as a common one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_release.histories.chain_draws import drawn
from fedsynth_release.histories.network import Chains

MOST = 4
"""Conditions on events at a time; the automaton has 2 to the power of their number states."""


@dataclass(frozen=True, eq=False)
class DrawnEvents:
    """Events that were drawn, person by person and in order.

    Attributes:
        person: whose each event is (events,).
        regime: its regime (events,).
        open: which conditions no earlier event has met (events, conditions).
        met: which of these the event meets (events, conditions).
    """

    person: Int64Array
    regime: Int64Array
    open: BoolArray
    met: BoolArray


@dataclass(frozen=True, eq=False)
class EventConditions:
    """The automaton of some conditions beside the chains of a network; L events, R regimes, Z latents.

    Attributes:
        initial: regime of the first event (R, Z).
        moves: regime of the next event (R, R, Z).
        stop: that an event is the last one (L, R, Z).
        allowed: which numbers of events are allowed (L,).
        meets: p(D | S, r) at first and at later events, as (2, S, D, R, Z).
        onward: G_t(S, r) as (L, S, R, Z).
    """

    initial: Float64Array
    moves: Float64Array
    stop: Float64Array
    allowed: BoolArray
    meets: Float64Array
    onward: Float64Array

    @classmethod
    def of(cls, chains: Chains, hits: Float64Array, allowed: BoolArray) -> Self:
        """The automaton.

        Args:
            chains: the network's.
            hits: P(an event meets the condition), at first and at later events (2, conditions, R, Z).
            allowed: which numbers of events are allowed (L,).
        """
        initial, moves, stop = (
            table.detach().double().cpu().numpy()
            for table in (chains.initial, chains.moves, chains.stop)
        )
        meets = _exactly(hits)
        states = meets.shape[1]
        onward = np.zeros((len(stop), states, *initial.shape))
        for t in range(len(stop) - 1, -1, -1):
            for s in range(states):
                for d in _subsets(s):
                    ends = stop[t] * (allowed[t] and d == s)
                    if t + 1 < len(stop):
                        later = (moves * onward[t + 1, s ^ d][None]).sum(1)
                        ends = ends + (1 - stop[t]) * later
                    onward[t, s] += meets[min(t, 1), s, d] * ends
        return cls(initial, moves, stop, allowed, meets, onward)

    @property
    def probability(self) -> Float64Array:
        """P(all conditions are met | z), (Z,)."""
        return np.asarray((self.initial * self.onward[0, -1]).sum(0))

    def events(self, latent: Int64Array, rng: np.random.Generator) -> DrawnEvents:
        """Events of persons with these latents, all of whom meet the conditions."""
        persons, states = len(latent), self.meets.shape[1]
        state = np.full(persons, states - 1)
        here = self.initial[:, latent].T * self.onward[0, -1][:, latent].T
        regime = drawn(here, rng)
        alive, steps = np.arange(persons), []
        for t in range(len(self.stop)):
            met, after = self._step(t, state[alive], regime[alive], latent[alive], rng)
            steps.append((alive, regime[alive].copy(), state[alive].copy(), met))
            state[alive] ^= met
            going = after >= 0
            alive = alive[going]
            regime[alive] = after[going]
            if not len(alive):
                break
        person, regimes, opened, met = (np.concatenate(parts) for parts in zip(*steps, strict=True))
        order = np.argsort(person, kind="stable")
        bits = np.arange((states - 1).bit_length())
        both = [(of[order][:, None] >> bits & 1).astype(bool) for of in (opened, met)]
        return DrawnEvents(person[order], regimes[order], *both)

    def _step(
        self,
        t: int,
        state: Int64Array,
        regime: Int64Array,
        latent: Int64Array,
        rng: np.random.Generator,
    ) -> tuple[Int64Array, Int64Array]:
        """Of persons alive at event t: which open conditions it meets, and the next regime or -1."""
        states, regimes = self.meets.shape[1], len(self.initial)
        met, after = np.zeros(len(state), dtype=np.int64), np.full(len(state), -1)
        for s in np.unique(state):
            rows = np.flatnonzero(state == s)
            z, r = latent[rows], regime[rows]
            stop = self.stop[t, r, z]
            weights = np.zeros((len(rows), states, regimes + 1))
            for d in _subsets(int(s)):
                if t + 1 < len(self.stop):
                    onward = self.onward[t + 1, s ^ d][:, z].T
                    weights[:, d, :-1] = (1 - stop)[:, None] * self.moves[r, :, z] * onward
                weights[:, d, -1] = stop * (self.allowed[t] and d == s)
                weights[:, d] *= self.meets[min(t, 1), s, d, r, z][:, None]
            choice = drawn(weights.reshape(len(rows), -1), rng)
            met[rows] = choice // (regimes + 1)
            after[rows] = choice % (regimes + 1)
        after[after == regimes] = -1
        return met, after


def _subsets(state: int) -> Sequence[int]:
    """All sets of conditions within this one, as numbers whose bits are the conditions.

    >>> _subsets(5)
    [0, 1, 4, 5]
    """
    return [d for d in range(state + 1) if d & state == d]


def _exactly(hits: Float64Array) -> Float64Array:
    """p(D | S, r), (2, S, D, R, Z), of conditions on different columns: independent given (r, z)."""
    _, conditions, regimes, latents = hits.shape
    states = 1 << conditions
    meets = np.zeros((2, states, states, regimes, latents))
    for s in range(states):
        for d in _subsets(s):
            chance = np.ones((2, regimes, latents))
            for c in range(conditions):
                if s >> c & 1:
                    chance *= hits[:, c] if d >> c & 1 else 1 - hits[:, c]
            meets[:, s, d] = chance
    return meets
