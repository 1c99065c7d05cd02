"""A network of histories as a mixture of independent columns, for the flat sampler."""

from dataclasses import dataclass

import torch

from fedsynth_release.histories.expected import Emitted, static_codes
from fedsynth_release.histories.network import HistoryNetwork
from fedsynth_release.histories.recursion import Recursion


@dataclass(frozen=True)
class _Widths:
    widths: tuple[int, ...]


@dataclass(frozen=True)
class Mixture:
    """Probabilities (rows, codes) of columns that are independent given a row, for a flat sampler."""

    soft: torch.Tensor
    widths: tuple[int, ...]

    @property
    def shape(self) -> _Widths:
        """The codes of each column."""
        return _Widths(self.widths)

    def soft_rows(self) -> torch.Tensor:
        """The probabilities."""
        return self.soft


def persons_and_events(network: HistoryNetwork) -> Mixture:
    """P(code | z) of every model column; those of event columns are averages over a person's events.

    The number of events of a person does not count: every person has the same weight.
    """
    shape = network.shape
    with torch.no_grad():
        recursion = Recursion(network(), shape)
        weights = recursion.length_weights(max(60, 10 * shape.max_events)).sum(0, keepdim=True)
        first, every = recursion.occupied(recursion.still_to_come(weights))
        emitted = Emitted(recursion.chains.emissions, shape).by_latent(first[0], every[0])
        blocks = torch.split(emitted, list(shape.events))
        shares = [block / block.sum(0, keepdim=True).clamp(min=1e-30) for block in blocks]
        return Mixture(torch.cat([static_codes(recursion), *shares]).t(), shape.widths)
