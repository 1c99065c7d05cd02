"""Forward and backward recursion over the events of a mixture of Markov chains.

With alpha_t(r, z) the probability that event t happens in regime r (forward: Rabiner 1989, equations
19-20) and V_t(r, z) the expected weight of the person's history given that (backward over what is still
to come, as in his equations 24-25), the weighted occupancy of a regime is sum_t alpha_t V_t, and that of
a move from event t to event t + lag is alpha_t K_t ... K_{t+lag-1} V_{t+lag}, with K_t = (1 - stop_t) A.

A person's events share one weight W (`protocol`): of a person with n events each counts W // n, and each
pair of events at distance lag counts W // (n - lag). Weights here are shares of W, so those of a
person's events sum to one, up to rounding.
"""

import torch

from fedsynth_release.histories.network import Chains, HistoryShape


def event_weights(max_events: int, weight: int, lag: int = 0) -> torch.Tensor:
    """The share of a person's weight that each event (or pair at `lag`) has, by n = 1..L, (L,).

    >>> event_weights(3, 60).tolist(), event_weights(3, 60, lag=1).tolist()
    ([1.0, 0.5, 0.3333333432674408], [0.0, 1.0, 0.5])
    """
    counted = [n - lag for n in range(1, max_events + 1)]
    return torch.tensor([(weight // n) / weight if n > 0 else 0.0 for n in counted])


class Recursion:
    """The recursions of a network's chains; L events, R regimes, Z latents.

    Attributes:
        steps: K_t, that event t is not the last and the next is in another regime (L - 1, R, R, Z).
        reached: alpha_t, that event t happens, in a regime, and the latent (L, R, Z).
    """

    def __init__(self, chains: Chains, shape: HistoryShape) -> None:
        self.chains, self.shape = chains, shape
        self.steps = (1 - chains.stop[:-1])[:, :, None] * chains.moves
        reached = [chains.initial / chains.initial.shape[1]]
        for step in self.steps.unbind():
            reached.append((reached[-1][:, None] * step).sum(0))
        self.reached = torch.stack(reached)

    def lengths(self) -> torch.Tensor:
        """P(n events, z) for n = 1..L, (L, Z)."""
        return (self.reached * self.chains.stop).sum(1)

    def still_to_come(self, weights: torch.Tensor) -> torch.Tensor:
        """E[weight of the history's final number of events | event t happens in regime r].

        Args:
            weights: by number of events, in K versions, (K, L).

        Returns:
            (L, K, R, Z).
        """
        ends = (self.chains.stop[:, None] * weights.t()[:, :, None, None]).unbind()
        values = [ends[-1]]
        for step, end in zip(self.steps.unbind()[::-1], ends[-2::-1], strict=True):
            values.append(end + (step * values[-1][:, None]).sum(2))
        return torch.stack(values[::-1])

    def length_weights(self, weight: int) -> torch.Tensor:
        """The share of each event by the code of the number of events, and by that number (codes, L)."""
        shape, device = self.shape, self.reached.device
        by_code = torch.zeros(shape.static[shape.length_column], shape.max_events).to(self.reached)
        codes = torch.tensor(shape.length_codes, device=device)
        places = torch.arange(shape.max_events, device=device)
        by_code[codes, places] = event_weights(shape.max_events, weight).to(self.reached)
        return by_code

    def occupied(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weighted occupancy of regimes, by version of the weights, each (K, R, Z).

        The first is that of first events, the second that of all events.

        Args:
            values: what `still_to_come` gives for K versions (L, K, R, Z).
        """
        return self.reached[0] * values[0], (self.reached[:, None] * values).sum(0)

    def moved(self, values: torch.Tensor, lag: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight of moves from a regime to the one `lag` events later, each (R, R, Z).

        The first are those that start at the first event, the second all moves.

        Args:
            values: what `still_to_come` gives for the weights of pairs at that distance (L, R, Z).
            lag: the distance, below L.
        """
        path = self.steps
        for further in range(1, lag):
            path = chained(path[:-1], self.steps[further:])
        weighted = self.reached[:-lag, :, None] * path * values[lag:, None]
        return weighted[0], weighted.sum(0)

    def from_first_to_last(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Regimes where the first event is the last one (R, Z), and where it is not (R, R, Z)."""
        stop = self.chains.stop.unbind()
        alone = self.reached[0] * stop[0]
        moves = torch.zeros_like(self.chains.moves)
        if self.shape.max_events == 1:
            return alone, moves
        path = self.reached[0][:, None] * self.steps[0]
        moves = moves + path * stop[1]
        for step, ends in zip(self.steps.unbind()[1:], stop[2:], strict=True):
            path = chained(path, step)
            moves = moves + path * ends
        return alone, moves


def chained(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Product of the matrices (..., R, R, Z) of each latent; faster than `bmm` of matrices so small."""
    rows = [(row[..., None, :] * other).sum(-3) for row in one.unbind(-3)]
    return torch.stack(rows, dim=-3)
