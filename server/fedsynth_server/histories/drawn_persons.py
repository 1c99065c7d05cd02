"""Persons drawn from a mixture of Markov chains as codes, and how likely each of them was.

The discriminators judge whole persons. To train the generator on what they say, persons are drawn, and
the logarithm of each one's probability is differentiated (the score-function estimator: Williams 1992,
"Simple statistical gradient-following algorithms"). Every latent gets as many persons, and a person's
probability is that given the latent: regimes are summed over by the forward recursion (Rabiner 1989,
equations 19-20).
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from fedsynth_common.array_types import Int64Array, UInt16Array
from fedsynth_release.histories.network import Chains, HistoryShape, starts_of
from fedsynth_server.training.adversary import draw_by_code

LEAST = 1e-12
"""Of a probability whose logarithm is taken."""


@dataclass(frozen=True)
class DrawnPersons:
    """Persons in codes; person i has the latent i mod Z.

    Attributes:
        static: codes of the static columns (S, n), the number of events among them.
        events: codes of the event columns at events 1..L (L, E, n); what follows the last one is void.
        lengths: number of events (n,).
    """

    static: torch.Tensor
    events: torch.Tensor
    lengths: torch.Tensor

    def rows(self) -> tuple[UInt16Array, Int64Array]:
        """Codes of all events (rows, S + E), person by person and in order, and whose each is."""
        alive = torch.arange(len(self.events))[:, None] < self.lengths
        event, person = torch.nonzero(alive.t(), as_tuple=True)[::-1]
        codes = torch.cat([self.static[:, person], self.events[event, :, person].t()])
        return codes.t().numpy().astype("uint16"), person.numpy()


def draw_persons(
    chains: Chains, shape: HistoryShape, each: int, source: torch.Generator
) -> DrawnPersons:
    """Draw `each` persons from every latent, without a gradient."""
    with torch.no_grad():
        latents = torch.arange(shape.latents).repeat(each)
        static = draw_by_code(chains.static.repeat(1, each), shape.static, source)
        regime = draw_by_code(chains.initial.repeat(1, each), (shape.regimes,), source)[0]
        lengths = torch.zeros(len(latents), dtype=torch.int64)
        events = []
        for t in range(shape.max_events):
            codes = draw_by_code(chains.emissions[:, regime, latents], shape.events, source)
            if t == 0:
                for column, absent in enumerate(shape.absent_codes):
                    if absent >= 0:
                        codes[column] = absent
            events.append(codes)
            ends = torch.rand(len(latents), generator=source) < chains.stop[t, regime, latents]
            lengths[(lengths == 0) & ends] = t + 1
            moves = chains.moves[regime, :, latents].t()
            regime = draw_by_code(moves, (shape.regimes,), source)[0]
        lengths[lengths == 0] = shape.max_events  # the last stop is rounded to below one
        static[shape.length_column] = torch.tensor(shape.length_codes)[lengths - 1]
        return DrawnPersons(static, torch.stack(events), lengths)


def log_likelihoods(chains: Chains, shape: HistoryShape, drawn: DrawnPersons) -> torch.Tensor:
    """Logarithm of P(person | latent) of each person (n,), differentiable in the chains."""
    latents = shape.latents
    each = len(drawn.lengths) // latents
    told = [c for c in range(len(shape.static)) if c != shape.length_column]
    found = _chosen(chains.static[:, None], shape.static, drawn.static, told)[:, 0]
    initial, moves, ends, goes_on = (
        torch.log(values.clamp(min=LEAST))
        for values in (chains.initial, chains.moves, chains.stop, 1 - chains.stop)
    )
    forward = initial.t().repeat(each, 1)
    for t, codes in enumerate(drawn.events):
        columns = [c for c, absent in enumerate(shape.absent_codes) if t > 0 or absent < 0]
        forward = forward + _chosen(chains.emissions, shape.events, codes, columns)
        last = torch.logsumexp(forward + ends[t].t().repeat(each, 1), dim=1)
        found = found + torch.where(drawn.lengths == t + 1, last, torch.zeros_like(last))
        if t + 1 < shape.max_events:
            onward = (forward + goes_on[t].t().repeat(each, 1)).view(each, latents, -1, 1)
            forward = torch.logsumexp(onward + moves.permute(2, 0, 1), dim=2).flatten(0, 1)
    return found


def _chosen(
    probabilities: torch.Tensor, widths: tuple[int, ...], codes: torch.Tensor, columns: list[int]
) -> torch.Tensor:
    """Σ log P(code | regime, latent) over some columns, from (codes, R, Z), for all persons (n, R)."""
    latents, people = probabilities.shape[2], codes.shape[1]
    table = torch.log(probabilities.clamp(min=LEAST)).permute(0, 2, 1).flatten(0, 1)
    if not columns:
        return table.new_zeros(people, table.shape[1])
    starts = torch.tensor(starts_of(widths)[:-1])[columns]
    latent = torch.arange(people) % latents
    places = (codes[columns] + starts[:, None]) * latents + latent
    return F.embedding_bag(places.t().contiguous(), table, mode="sum")
