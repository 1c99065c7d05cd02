"""The generator of persons with events: a latent z per person -> static columns and a Markov chain.

The flat generator (`generator_network`) is a mixture of product distributions. This is its extension to
histories, a mixture of hidden Markov models (Rabiner 1989, "A tutorial on hidden Markov models";
mixtures of Markov chains: Cadez et al. 2003, "Model-based clustering and visualization of navigation
patterns"):

* z is drawn uniformly from `latents` learned vectors and kept for life. A small MLP decodes it.
  Static columns are independent given z.
* Inside a person a regime r in 0..R-1 moves: it starts with pi(r | z) and moves with A(r' | r, z).
  After event t the history stops with probability sigmoid(time_t(z) + regime_r(z)), and it stops
  in any case after `max_events` events. So both the number of events so far and what happens
  (a death, say) can end a history.
* The event columns are independent given (z, r). Columns that compare an event with the one before (the
  gap between them, an increase) are absent at the first event, and only there.

The number of events is a static model column to everybody else. Here the chain decides it. All tables
have the latents as their last axis: a column's codes are then one piece of memory, and a step of the
recursion over events is a product of whole rows.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from fedsynth_release.generator_network import MAX_PROBABILITIES, draw_weights

MAX_EVENTS = 100
LASTING = 2.0
"""Logit with which a fit begins of staying in a regime, beside moving to another: what lasts, lasts."""
Width = Annotated[int, Field(ge=1, le=65536)]
Code = Annotated[int, Field(ge=0, le=65535)]


class HistoryShape(BaseModel):
    """Architecture, stored with the weights.

    Attributes:
        static: codes of each static column, the number of events among them.
        events: codes of each event column.
        length_column: place of the number of events among the static columns.
        length_codes: its code for 1, 2, ..., max_events events.
        absent_codes: by event column, the code that it has at the first event and only there, or -1
            for a column that may have any of its codes at every event.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    static: tuple[Width, ...] = Field(min_length=1)
    events: tuple[Width, ...] = Field(min_length=1)
    length_column: int = Field(ge=0)
    length_codes: tuple[Code, ...] = Field(min_length=1, max_length=MAX_EVENTS)
    absent_codes: tuple[Annotated[int, Field(ge=-1, le=65535)], ...]
    latents: int = Field(default=512, ge=1, le=65536)
    regimes: int = Field(default=6, ge=1, le=64)
    latent_size: int = Field(default=64, ge=1, le=1024)
    hidden: int = Field(default=128, ge=1, le=4096)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.length_column >= len(self.static):
            raise ValueError("length_column: there is no such static column")
        if max(self.length_codes) >= self.static[self.length_column]:
            raise ValueError("length_codes: more codes than the column has")
        if len(self.absent_codes) != len(self.events):
            raise ValueError("absent_codes: expected one for each event column")
        pairs = zip(self.absent_codes, self.events, strict=True)
        if any(code >= width or (code >= 0 and width < 2) for code, width in pairs):
            raise ValueError(
                "absent_codes: expected a code of the column, and another one beside it"
            )
        largest = max(
            self.outputs, self.regimes * self.max_events * max(self.max_events, self.regimes)
        )
        if self.latents * largest > MAX_PROBABILITIES:
            raise ValueError(f"expected at most {MAX_PROBABILITIES} probabilities in all")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Codes of every model column: the static ones come first."""
        return (*self.static, *self.events)

    @property
    def max_events(self) -> int:
        """L, the most events of a person."""
        return len(self.length_codes)

    @property
    def heads(self) -> tuple[int, ...]:
        """Sizes of the parts of the last layer.

        Static codes, initial regimes, moves, stop by number of events, stop by regime, emissions (by
        code, then by regime).
        """
        regimes, codes = self.regimes, sum(self.events)
        stops = (self.max_events - 1, regimes)
        return (sum(self.static), regimes, regimes**2, *stops, regimes * codes)

    @property
    def outputs(self) -> int:
        """Numbers that the last layer gives for each latent."""
        return sum(self.heads)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter, without building the network."""
        features = self.hidden + self.latent_size
        return {
            "latent": (self.latents, self.latent_size),
            "hidden.weight": (self.hidden, self.latent_size),
            "hidden.bias": (self.hidden,),
            "head.weight": (self.outputs, features),
            "head.bias": (self.outputs,),
        }


@dataclass(frozen=True)
class Chains:
    """The model's probabilities for each latent, as the MLP gives them.

    Attributes:
        static: codes of the static columns (S, Z); the block of the number of events is not used.
        initial: regime at the first event (R, Z).
        moves: regime at the next event, given the one at this event (R, R, Z).
        stop: that event t = 1..L is the last one, given that it happens, and its regime (L, R, Z).
        emissions: codes of the event columns from the second event on (E, R, Z).
    """

    static: torch.Tensor
    initial: torch.Tensor
    moves: torch.Tensor
    stop: torch.Tensor
    emissions: torch.Tensor


class HistoryNetwork(nn.Module):
    """Latent vectors (latents, latent_size) -> `Chains`."""

    impossible: torch.Tensor

    def __init__(self, shape: HistoryShape) -> None:
        super().__init__()
        self.shape = shape
        self.latent = nn.Parameter(torch.empty(shape.latents, shape.latent_size))
        self.hidden = nn.Linear(shape.latent_size, shape.hidden)
        self.head = nn.Linear(shape.hidden + shape.latent_size, shape.outputs)
        impossible = torch.zeros(sum(shape.events))
        starts = [0, *torch.tensor(shape.events).cumsum(0).tolist()]
        for start, code in zip(starts, shape.absent_codes, strict=False):
            if code >= 0:
                impossible[start + code] = -torch.inf
        self.register_buffer("impossible", impossible, persistent=False)

    def initialise(
        self,
        static: torch.Tensor,
        lengths: torch.Tensor,
        events: torch.Tensor,
        source: torch.Generator,
    ) -> None:
        """Start at independent columns with the given frequencies.

        Args:
            static: codes of the static columns (S,).
            lengths: 1, 2, ..., L events (L,).
            events: codes of the event columns (E,).
            source: draws the weights.
        """
        draw_weights(self.latent, self.hidden, self.head, source)
        with torch.no_grad():
            bias, regimes = self._parts(self.head.bias), self.shape.regimes
            bias[0].copy_(torch.log(static.clamp(min=1e-5)))
            bias[1].zero_()
            bias[2].copy_(LASTING * torch.eye(regimes).flatten())
            bias[3].copy_(torch.logit(hazards(lengths, least=1e-5, margin=1e-4)))
            bias[4].zero_()
            bias[5].copy_(torch.log(events.clamp(min=1e-5)).repeat_interleave(regimes))

    def shift(self, static: torch.Tensor, stop: torch.Tensor, events: torch.Tensor) -> None:
        """Add to the biases of static codes (S,), of stops by time (L - 1,), of event codes (E,)."""
        bias = self._parts(self.head.bias.data)
        bias[0].add_(static)
        bias[3].add_(stop)
        bias[5].add_(events.repeat_interleave(self.shape.regimes))

    def _parts(self, outputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Views of the parts of the last layer's outputs (outputs, ...)."""
        return torch.split(outputs, list(self.shape.heads))

    def forward(self) -> Chains:
        """The probabilities of all latents, in order."""
        shape, latents = self.shape, self.shape.latents
        features = torch.cat([F.relu(self.hidden(self.latent)), self.latent], dim=1)
        outputs = torch.addmm(self.head.bias[:, None], self.head.weight, features.t())
        static, initial, moves, by_time, by_regime, events = self._parts(outputs)
        logits = events.reshape(-1, shape.regimes, latents) + self.impossible[:, None, None]
        stop = torch.sigmoid(by_time[:, None] + by_regime)
        return Chains(
            static=_probabilities(static, shape.static),
            initial=F.softmax(initial, dim=0),
            moves=F.softmax(moves.reshape(shape.regimes, shape.regimes, latents), dim=1),
            stop=torch.cat([stop, torch.ones_like(by_regime)[None]]),
            emissions=_probabilities(logits, shape.events),
        )


def _probabilities(logits: torch.Tensor, widths: tuple[int, ...]) -> torch.Tensor:
    """Softmax of each column's codes, which are the first axis."""
    return torch.cat([F.softmax(part, dim=0) for part in torch.split(logits, list(widths))])


def hazards(lengths: torch.Tensor, least: float, margin: float) -> torch.Tensor:
    """P(n events | at least n) for n = 1..L-1.

    Args:
        lengths: P(n events) for n = 1..L.
        least: of these probabilities; a smaller one counts as this.
        margin: how far the result stays away from 0 and 1.
    """
    lengths = lengths.clamp(min=least)
    later = lengths.flip(0).cumsum(0).flip(0)
    return (lengths / later)[:-1].clamp(margin, 1 - margin)


def starts_of(widths: tuple[int, ...]) -> list[int]:
    """Where each column's block begins, and the end of the last.

    >>> starts_of((2, 3))
    [0, 2, 5]
    """
    starts = [0]
    for width in widths:
        starts.append(starts[-1] + width)
    return starts


def blocks_of(widths: tuple[int, ...]) -> list[slice]:
    """The places of each column's codes among the codes of all of them.

    >>> blocks_of((2, 3))
    [slice(0, 2, None), slice(2, 5, None)]
    """
    return [slice(start, end) for start, end in pairwise(starts_of(widths))]
