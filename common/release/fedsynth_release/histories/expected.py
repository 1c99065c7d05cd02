"""Exact marginals of a mixture of Markov chains, from the recursion over its events.

There is no sampling in them, so the training signal has no sampling error. A marginal of two event
columns is F diag(occupancy) F' or F (T F)', with F the emissions (E, R Z), the occupancies of regimes
and the moves T from `recursion`.

Columns that look back are absent at the first event. What follows for a marginal is computed from the
emissions of all other events: at first events such a column's codes are taken out, and the code that
says "absent" is put in. These columns are few, so this costs next to nothing.
"""

from dataclasses import dataclass

import torch

from fedsynth_release.histories.network import Chains, HistoryShape, blocks_of
from fedsynth_release.histories.recursion import Recursion, event_weights


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


class Emitted:
    """What happens at events whose regimes are known; "first" is the part at first events.

    Args:
        emissions: codes of the event columns from the second event on (E, R, Z).
        shape: says which columns look back, and their code at the first event.
    """

    def __init__(self, emissions: torch.Tensor, shape: HistoryShape) -> None:
        self.emissions, self.shape = emissions, shape
        self.seen = emissions.flatten(1)
        self.kept, self.absent = torch.ones(len(emissions)), torch.zeros(len(emissions))
        for block, code in zip(blocks_of(shape.events), shape.absent_codes, strict=True):
            if code >= 0:
                self.kept[block] = 0.0
                self.absent[block.start + code] = 1.0
        self.back = torch.nonzero(self.kept == 0)[:, 0].to(emissions.device)
        self.kept, self.absent = self.kept.to(emissions), self.absent.to(emissions)

    def at_first(self) -> torch.Tensor:
        """Codes of the event columns at the first event (E, R, Z)."""
        kept, absent = self.kept[:, None, None], self.absent[:, None, None]
        return self.emissions * kept + absent

    def by_latent(self, first: torch.Tensor, every: torch.Tensor) -> torch.Tensor:
        """P(code, z) at events that are occupied so (R, Z), (E, Z)."""
        later = (self.emissions * every).sum(1)
        gone = -(self.emissions[self.back] * first).sum(1)
        return later.index_add(0, self.back, gone) + self.absent[:, None] * first.sum(0)

    def margins(self, first: torch.Tensor, every: torch.Tensor) -> torch.Tensor:
        """One-way marginals at events that are occupied so, in K versions (K, R Z), (K, E)."""
        gone = -(first @ self.seen[self.back].t())
        absent = torch.outer(first.sum(1), self.absent)
        return (every @ self.seen.t()).index_add(1, self.back, gone) + absent

    def pairs(self, first: torch.Tensor, every: torch.Tensor) -> torch.Tensor:
        """Pairs of columns at events that are occupied so (R Z,), (E, E)."""
        seen = self.seen
        both = seen @ (seen * every).t()
        gone = torch.zeros_like(both).index_copy(0, self.back, seen[self.back] @ (seen * first).t())
        rest = self.kept * (seen @ first) + self.absent * (first.sum() / 2)
        beside = torch.outer(self.absent, rest)
        return both - gone - gone.t() * self.kept[:, None] + beside + beside.t()

    def then(self, first: torch.Tensor, every: torch.Tensor) -> torch.Tensor:
        """A column at an event and one at a later event, given the moves (R, R, Z), (E, E)."""
        onward = torch.stack([(row * self.emissions).sum(1) for row in every.unbind()], dim=1)
        moved = self.seen @ onward.flatten(1).t()
        lost = (self.emissions[self.back][:, :, None] * first).sum(1)
        gone = -(lost.flatten(1) @ self.seen.t())
        absent = torch.outer(self.absent, self.seen @ first.sum(0).flatten())
        return moved.index_add(0, self.back, gone) + absent

    def ends(self, alone: torch.Tensor, moves: torch.Tensor) -> torch.Tensor:
        """A column at the first event and one at the last (E, E)."""
        once = alone.flatten()
        both = self.pairs(once, once)
        same = self.margins(once[None], once[None])[0]
        for block in blocks_of(self.shape.events):  # one event is both: a column is what it is
            both[block, block] = torch.diag(same[block])
        return both + self.then(moves, moves)


def itself(recursion: Recursion, number: int, lag: int) -> torch.Tensor:
    """One event column at an event and `lag` events later, among all such pairs of events (e, e).

    Args:
        recursion: of a network's chains.
        number: of the column, among the event columns.
        lag: the distance, below L.
    """
    shape = recursion.shape
    block, code = blocks_of(shape.events)[number], shape.absent_codes[number]
    each = torch.ones(1, shape.max_events).to(recursion.reached)
    first, every = recursion.moved(recursion.still_to_come(each)[:, 0], lag)
    emitted = recursion.chains.emissions[block]
    moves = every - first if code >= 0 else every  # at the first event such a column is absent
    onward = torch.stack([(row * emitted).sum(1) for row in moves.unbind(1)], dim=1)
    return onward.flatten(1) @ emitted.flatten(1).t()


def static_codes(recursion: Recursion) -> torch.Tensor:
    """P(code | z) of all static columns, (S, Z), the number of events among them."""
    shape, chains = recursion.shape, recursion.chains
    blocks = list(torch.split(chains.static, list(shape.static)))
    lengths = recursion.lengths() * chains.static.shape[1]
    codes = torch.tensor(shape.length_codes, device=lengths.device)
    column = torch.zeros_like(blocks[shape.length_column])
    blocks[shape.length_column] = column.index_add(0, codes, lengths)
    return torch.cat(blocks)


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
    recursion, emitted = Recursion(chains, shape), Emitted(chains.emissions, shape)
    static, by_code = static_codes(recursion), recursion.length_weights(weight)
    pairs = [event_weights(shape.max_events, weight, lag).to(by_code) for lag in lags]
    values = recursion.still_to_come(torch.cat([by_code, *(share[None] for share in pairs)]))
    first, every = recursion.occupied(values[:, : len(by_code)])
    blocks = list(torch.split(static, list(shape.static)))
    by_length = emitted.margins(first.flatten(1), every.flatten(1))
    first, every = first.sum(0), every.sum(0)
    happens = emitted.by_latent(first, every)
    mixed = [block @ happens.t() for block in blocks]
    mixed[shape.length_column] = by_length  # how many depends on what happens, also given z
    return Expected(
        persons=static @ static.t() / static.shape[1],
        mixed=torch.cat(mixed),
        events=emitted.pairs(first.flatten(), every.flatten()),
        following={
            lag: emitted.then(*recursion.moved(values[:, len(by_code) + k], lag))
            for k, lag in enumerate(lags)
        },
        ends=emitted.ends(*recursion.from_first_to_last()) if ends else None,
        static_margin=static.mean(1),
        event_margin=by_length.sum(0),
    )
