"""Draws the regimes of persons whose latent and number of events are known.

Given that a person has n events, the regime of event t + 1 follows that of event t with a probability
proportional to A(r' | r, z) P(stops after event n | event t + 1 happens in r'), which is the backward
message of the recursion (Rabiner 1989, equation 25). So the number of events can be drawn first, with
the static columns and under the same conditions, and histories are still drawn from the model exactly.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from fedsynth_common.array_types import Float32Array, Int64Array
from fedsynth_release.histories.recursion import Recursion
from fedsynth_release.sampling.latents import cumulative


@dataclass(frozen=True, eq=False)
class ChainDraws:
    """What regimes are drawn from.

    Attributes:
        initial: regime of the first event (Z, R).
        moves: regime of the next event, given the one of this event (Z, R, R).
        onward: by t and n, the probability that a person has exactly n events, given that event t
            happens in a regime, (L, L, Z, R).
    """

    initial: Float32Array
    moves: Float32Array
    onward: Float32Array

    @classmethod
    def of(cls, recursion: Recursion) -> Self:
        """What follows from a network's chains."""
        with torch.no_grad():
            chains = recursion.chains
            every = torch.eye(recursion.shape.max_events).to(chains.initial)
            onward = recursion.still_to_come(every).transpose(2, 3)
            tables = (chains.initial.t(), chains.moves.permute(2, 0, 1), onward)
            return cls(*(table.float().contiguous().cpu().numpy() for table in tables))

    def regimes(
        self, latent: Int64Array, lengths: Int64Array, rng: np.random.Generator
    ) -> tuple[Int64Array, Int64Array]:
        """Persons and regimes of all events, person by person and in order, each (events,).

        Args:
            latent: of each person (persons,).
            lengths: number of events of each person, 1..L, (persons,).
            rng: decides.
        """
        person = np.repeat(np.arange(len(latent)), lengths)
        first = np.cumsum(lengths) - lengths
        regime = np.empty(len(person), dtype=np.int64)
        for t in range(int(lengths.max(initial=0))):
            alive = np.flatnonzero(lengths > t)
            z = latent[alive]
            last = self.initial[z] if t == 0 else self.moves[z, regime[first[alive] + t - 1]]
            weights = last.astype(np.float64) * self.onward[t, lengths[alive] - 1, z]
            regime[first[alive] + t] = drawn(weights, rng)
        return person, regime


def drawn(weights: np.ndarray, rng: np.random.Generator) -> Int64Array:
    """One number for each row, in proportion to its weights."""
    ends = cumulative(np.maximum(weights, np.finfo(np.float64).tiny))
    return np.asarray((rng.random((len(ends), 1)) >= ends).sum(axis=1), dtype=np.int64)
