"""Exact marginals of a mixture of Markov chains, by forward and backward recursion over the events.

There is no sampling in them, so the training signal has no sampling error. With alpha_t(z, r) the
probability that event t happens in regime r (forward: Rabiner 1989, equations 19-20) and V_t(z, r) the
expected weight of the person's history given that (backward over what is still to come, as in his
equations 24-25), the weighted occupancy of a regime is sum_t alpha_t V_t, and that of a move from event
t to event t + lag is alpha_t K_t ... K_{t+lag-1} V_{t+lag}, with K_t = (1 - stop_t) A. A marginal of
two event columns is then F' diag(occupancy) F or F' T F, with F the emissions.

A person's events share one weight W (`protocol`): of a person with n events each counts W // n, and each
pair of events at distance lag counts W // (n - lag). All marginals here are divided by W, so those of
events sum to one, up to rounding.
"""

from dataclasses import dataclass

import torch

from fedsynth_release.histories.network import (
    Chains,
    HistoryNetwork,
    HistoryShape,
    blocks_of,
)


@dataclass(frozen=True)
class Expected:
    """Marginals that a network expects; codes of all static columns are S, of event columns E.

    Attributes:
        persons: pairs of static columns (S, S), a share of persons. Blocks of a column with itself are
            not a marginal of anything.
        mixed: a static column, and an event column at an event (S, E).
        events: two event columns at the same event (E, E); again without a column with itself.
        following: by lag, an event column at an event and one at the event `lag` later (E, E).
        ends: an event column at the first and one at the last event of a person (E, E).
        static_margin: one-way marginals of the static columns (S,).
        event_margin: one-way marginals of the event columns at events (E,).
    """

    persons: torch.Tensor
    mixed: torch.Tensor
    events: torch.Tensor
    following: dict[int, torch.Tensor]
    ends: torch.Tensor | None
    static_margin: torch.Tensor
    event_margin: torch.Tensor


def event_weights(max_events: int, weight: int, lag: int = 0) -> torch.Tensor:
    """The share of a person's weight that each event (or pair at `lag`) has, by n = 1..L, (L,).

    >>> event_weights(3, 60).tolist(), event_weights(3, 60, lag=1).tolist()
    ([1.0, 0.5, 0.3333333432674408], [0.0, 1.0, 0.5])
    """
    counted = [n - lag for n in range(1, max_events + 1)]
    return torch.tensor([(weight // n) / weight if n > 0 else 0.0 for n in counted])


class Recursion:
    """The forward recursion of a network's chains, and the marginals that follow from it."""

    def __init__(self, chains: Chains, shape: HistoryShape) -> None:
        self.chains, self.shape = chains, shape
        latents = len(chains.initial)
        reached = [chains.initial / latents]
        for t in range(shape.max_events - 1):
            going = (reached[t] * (1 - chains.stop[t]))[:, None]
            reached.append((going @ chains.moves)[:, 0])
        self.reached = torch.stack(reached)  # (L, Z, R)
        self.first = self._first_emissions()
        """Emissions at the first event, (Z, R, E): columns that look back are absent."""

    def _first_emissions(self) -> torch.Tensor:
        first = self.chains.emissions
        absent = self.shape.absent_codes
        parts = list(torch.split(first, list(self.shape.events), dim=2))
        for place, code in enumerate(absent):
            if code >= 0:
                parts[place] = torch.zeros_like(parts[place])
                parts[place][..., code] = 1.0
        return torch.cat(parts, dim=2)

    def lengths(self) -> torch.Tensor:
        """P(z, n events) for n = 1..L, (Z, L)."""
        return (self.reached * self.chains.stop).sum(2).t()

    def still_to_come(self, weights: torch.Tensor) -> torch.Tensor:
        """E[weight of the history's final number of events | event t happens in regime r].

        Args:
            weights: by number of events, in K versions, (K, L).

        Returns:
            (L, K, Z, R).
        """
        stop, moves = self.chains.stop, self.chains.moves
        last = self.shape.max_events - 1
        values = [weights[:, last, None, None].expand(-1, *stop.shape[1:])]
        for t in range(last - 1, -1, -1):
            onward = (values[-1][..., None, :] * moves).sum(3)
            values.append(stop[t] * weights[:, t, None, None] + (1 - stop[t]) * onward)
        return torch.stack(values[::-1])

    def moved(self, weight: int, lag: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight of moves from a regime to the one `lag` events later, each (Z, R, R).

        The first are those that start at the first event, the second all others.
        """
        shares = event_weights(self.shape.max_events, weight, lag).to(self.reached)
        values = self.still_to_come(shares[None])[:, 0]
        moves = []
        for t in range(self.shape.max_events - lag):
            step = self.reached[t][:, :, None] * self._step(t)
            for further in range(t + 1, t + lag):
                step = step @ self._step(further)
            moves.append(step * values[t + lag][:, None, :])
        later = torch.stack(moves[1:]).sum(0) if len(moves) > 1 else torch.zeros_like(moves[0])
        return moves[0], later

    def _step(self, t: int) -> torch.Tensor:
        return (1 - self.chains.stop[t])[:, :, None] * self.chains.moves

    def static(self) -> torch.Tensor:
        """P(code | z) of all static columns, (Z, S), the number of events among them."""
        blocks = list(torch.split(self.chains.static, list(self.shape.static), dim=1))
        lengths = self.lengths() * len(self.reached[0])
        codes = torch.tensor(self.shape.length_codes, device=lengths.device)
        column = torch.zeros_like(blocks[self.shape.length_column])
        blocks[self.shape.length_column] = column.index_add(1, codes, lengths)
        return torch.cat(blocks, dim=1)

    def persons(self, static: torch.Tensor) -> torch.Tensor:
        """Pairs of static columns (S, S)."""
        return static.t() @ static / len(static)

    def occupied(self, weight: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Weighted occupancy of regimes by the code of the number of events, (codes, Z, R).

        That of first events, and that of all later ones.
        """
        shape, device = self.shape, self.reached.device
        codes = torch.tensor(shape.length_codes, device=device)
        by_code = torch.zeros(shape.static[shape.length_column], shape.max_events).to(self.reached)
        shares = event_weights(shape.max_events, weight).to(self.reached)
        by_code[codes, torch.arange(shape.max_events, device=device)] = shares
        occupied = self.reached[:, None] * self.still_to_come(by_code)  # (L, codes, Z, R)
        return occupied[0], occupied[1:].sum(0)

    def emitted(self, first: torch.Tensor, later: torch.Tensor) -> torch.Tensor:
        """P(z, code) of the event columns at events, (Z, E), given what is occupied."""
        emitted = (first.sum(0)[..., None] * self.first).sum(1)
        return emitted + (later.sum(0)[..., None] * self.chains.emissions).sum(1)

    def mixed(
        self, static: torch.Tensor, first: torch.Tensor, later: torch.Tensor, emitted: torch.Tensor
    ) -> torch.Tensor:
        """Static with event columns (S, E)."""
        blocks = list(torch.split(static.t() @ emitted, list(self.shape.static)))
        # the number of events depends on what happens, also given z
        lengths = first.flatten(1) @ _flat(self.first)
        blocks[self.shape.length_column] = lengths + later.flatten(1) @ _flat(self.chains.emissions)
        return torch.cat(blocks)

    def events(self, first: torch.Tensor, later: torch.Tensor) -> torch.Tensor:
        """Pairs of event columns (E, E)."""
        return _joint(self.first, first.sum(0)) + _joint(self.chains.emissions, later.sum(0))

    def following(self, weight: int, lag: int) -> torch.Tensor:
        """An event column and one `lag` events later (E, E)."""
        first, later = self.moved(weight, lag)
        emissions = self.chains.emissions
        earlier = _flat(self.first).t() @ _flat(first @ emissions)
        return earlier + _flat(emissions).t() @ _flat(later @ emissions)

    def ends(self) -> torch.Tensor:
        """An event column at the first event and one at the last (E, E)."""
        chains, emissions = self.chains, self.chains.emissions
        alone = self.reached[0] * chains.stop[0]
        both = _joint(self.first, alone)
        diagonal = _flat(self.first).t() @ alone.flatten()
        for block in blocks_of(self.shape.events):
            both[block, block] = torch.diag(diagonal[block])
        if self.shape.max_events == 1:
            return both
        moves, step = torch.zeros_like(chains.moves), torch.diag_embed(self.reached[0])
        for t in range(1, self.shape.max_events):
            step = step @ self._step(t - 1)
            moves = moves + step * chains.stop[t][:, None, :]
        return both + _flat(self.first).t() @ _flat(moves @ emissions)


def expected_marginals(
    chains: Chains,
    shape: HistoryShape,
    weight: int,
    lags: tuple[int, ...] = (1,),
    ends: bool = False,
) -> Expected:
    """All marginals that a study measures, differentiable.

    Args:
        chains: the network's.
        shape: its shape.
        weight: W, the weight of a person in marginals of events.
        lags: distances of events.
        ends: whether those of the first and the last event are wanted.
    """
    recursion = Recursion(chains, shape)
    static = recursion.static()
    first, later = recursion.occupied(weight)
    emitted = recursion.emitted(first, later)
    return Expected(
        persons=recursion.persons(static),
        mixed=recursion.mixed(static, first, later, emitted),
        events=recursion.events(first, later),
        following={lag: recursion.following(weight, lag) for lag in lags},
        ends=recursion.ends() if ends else None,
        static_margin=static.mean(0),
        event_margin=emitted.sum(0),
    )


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
    with torch.no_grad():
        recursion = Recursion(network(), network.shape)
        emitted = recursion.emitted(*recursion.occupied(max(60, 10 * network.shape.max_events)))
        blocks = torch.split(emitted, list(network.shape.events), dim=1)
        shares = [block / block.sum(1, keepdim=True).clamp(min=1e-30) for block in blocks]
        return Mixture(torch.cat([recursion.static(), *shares], dim=1), network.shape.widths)


def _flat(table: torch.Tensor) -> torch.Tensor:
    """(Z, R, E) as (Z R, E)."""
    return table.flatten(0, 1)


def _joint(emissions: torch.Tensor, occupied: torch.Tensor) -> torch.Tensor:
    """Sum over (z, r) of occupancy times the product of the emissions, (E, E)."""
    flat = _flat(emissions)
    return flat.t() @ (flat * occupied.reshape(-1, 1))
