"""Local DP-SGD steps of the discriminator: a record's columns are predicted from its other columns.

Each step draws a Poisson sample of privacy units at the plan's public rate, and for every row of theirs
some columns, uniformly at random. The loss of a row depends on that row alone, and the joint gradient of
a unit's rows is clipped once, so adding or removing a unit moves the sum by at most C: were the blanked
columns samples of their own, it would move by up to as many times C.

Adam's moments travel with the weights: both are functions of noisy gradients only, so both are DP.
What returns has the length of what came, whatever the records are; if a non-finite number appears
all the same, the incoming values return.

Every row is computed by matrix products of its own (`_each`). One product over the whole batch rounds
a row differently depending on how many others there are; weights crafted for cancellation turn that
last bit into another gradient, and the removal of one record into a move of 2.9 C (measured).
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from opacus import GradSampleModule
from torch import nn
from torch.nn.functional import pad

from fedsynth_client.records.code_store import Codes
from fedsynth_client.records.person_keys import Index
from fedsynth_client.records.records import Records
from fedsynth_client.vault.dpsgd import GuardedDPOptimizer
from fedsynth_common.networks import (
    Discriminator,
    column_blocks,
    flatten,
    load_flat,
    one_hot,
    prediction,
)
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.privacy.sampling import poisson_sample
from fedsynth_common.protocol.plan import ADAM_BETAS, DiscriminatorPlan

Floats = NDArray[np.float32]
# Opacus hooks the first layer, whose inputs are records and need no gradient: nothing is missed
warnings.filterwarnings("ignore", message="Full backward hook is firing")
_LINE = 16  # float32 values in a cache line of 64 bytes
_PIECE_FLOATS = 1 << 21  # per-sample gradients held at once (8 MB): memory and cache, not privacy


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A checked request. `message` counts the discriminate messages of the study from 0."""

    plan: DiscriminatorPlan
    views: tuple[Codes, ...]
    widths: tuple[int, ...]
    weights: Floats
    moments: Floats
    message: int


@dataclass(frozen=True)
class Piece:
    """Part of a batch that fits in memory: whole units, their rows and each row's blanked columns."""

    codes: Codes
    blanked: Index
    groups: Index | None
    units: int


class Trainer:
    """Discriminator and optimiser of one message."""

    def __init__(self, order: Assignment, randomness: Randomness) -> None:
        self._order, self._randomness = order, randomness
        network = Discriminator(sum(order.widths), order.plan.hidden)
        load_flat(network, order.weights)
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                layer.forward = partial(_alone, layer)  # type: ignore[method-assign]
        self._blocks = column_blocks(order.widths)
        self.network = GradSampleModule(network, loss_reduction="sum", strict=True)
        self.network.GRAD_SAMPLERS = {nn.Linear: _gradients}
        adam = torch.optim.Adam(network.parameters(), lr=order.plan.learning_rate, betas=ADAM_BETAS)
        set_moments(adam, order.moments, order.message * order.plan.steps_per_message)
        self.optimizer = GuardedDPOptimizer(
            adam,
            noise_multiplier=order.plan.noise_multiplier,
            clipping_norm=order.plan.clipping_norm,
            expected_batch=order.plan.expected_batch,
            randomness=randomness,
        )

    def step(self, records: Records) -> None:
        """One noisy gradient and one step of Adam."""
        self.private_gradient(records)
        self.optimizer.original_optimizer.step()

    def private_gradient(self, records: Records) -> Floats:
        """(clipped sum over a Poisson sample + noise) / L, also left in each parameter's `grad`."""
        self.optimizer.zero_grad()
        pieces = list(self._pieces(records))
        for number, piece in enumerate(pieces, start=1):
            self._differentiate(piece)
            self.optimizer.signal_skip_step(do_skip=number < len(pieces))
            self.optimizer.pre_step()
            if number < len(pieces):
                self.optimizer.zero_grad()
        vector: Floats = torch.cat([p.grad.reshape(-1) for p in self.optimizer.params]).numpy()
        return vector

    def _differentiate(self, piece: Piece) -> None:
        """Leave the gradient of every row in `grad_sample`.

        A row is one sample of as many copies (B, M, D) as it has columns to predict: `_gradients` sums
        over them.
        """
        rows = one_hot(piece.codes, self._order.widths).unsqueeze(1)
        blank = self._blocks[torch.from_numpy(piece.blanked)]
        copies = rows.expand(-1, piece.blanked.shape[1], -1)
        loss = -prediction(self.network, copies, blank).mean(dim=1)
        torch.autograd.backward(loss.sum())
        if piece.groups is not None:
            self.optimizer.set_groups(torch.from_numpy(piece.groups), piece.units)

    def _pieces(self, records: Records) -> Iterator[Piece]:
        """A Poisson sample in pieces of whole units; one empty piece if nobody was drawn."""
        order = self._order
        sample = poisson_sample(records.units, order.plan.sampling_rate, self._randomness)
        generator = self._randomness.generator()
        size = max(1, _PIECE_FLOATS // max(1, order.weights.size * records.rows_per_unit))
        for start in range(0, max(1, len(sample)), size):
            rows, groups = records.rows_of(sample[start : start + size])
            chance = generator.random((len(rows), len(order.widths)))
            blanked = chance.argsort(axis=1)[:, : order.plan.masked_columns]
            codes = _through(order.views, records.take(rows))
            yield Piece(codes, blanked, groups, len(sample[start : start + size]))


def _alone(layer: nn.Linear, rows: torch.Tensor) -> torch.Tensor:
    """`layer` of rows (B, fan in) or their copies (B, M, fan in), the same bits whatever else is there.

    Both sides are filled up to whole cache lines, since a product also rounds by the alignment of its
    operands, and with it by a row's place. The weight is detached: Opacus takes its gradient from
    hooks, autograd's is not needed.
    """
    copies = rows if rows.ndim == 3 else rows.unsqueeze(1)
    wide, tall = -layer.in_features % _LINE, -layer.out_features % _LINE
    weight = pad(layer.weight.detach().t(), (0, tall, 0, wide))
    filled = pad(copies, (0, wide))
    product = _each(filled, weight.expand(len(filled), -1, -1))
    outputs = product[..., : layer.out_features] + layer.bias
    return outputs.reshape(*rows.shape[:-1], layer.out_features)


def _each(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Matrix products of left (B, k, m) and right (B, m, n), each row's by a call of its own.

    A batched product is not that: fewer rows than threads are shared out otherwise, and round so.
    For no rows at all it serves: it gives the shape, and a path to the gradient.
    """
    products = [a @ b for a, b in zip(left, right, strict=True)]
    return torch.stack(products) if products else torch.bmm(left, right)


def _gradients(
    layer: nn.Linear, activations: list[torch.Tensor], backprops: torch.Tensor
) -> dict[torch.Tensor, torch.Tensor]:
    """Gradient of `layer` for every row, summed over its copies, filled up like `_alone`.

    In place of Opacus' own, whose sums over the copies round by a row's place. A column of ones beside
    the inputs gives the bias.
    """
    inputs = pad(activations[0], (0, _LINE - layer.in_features % _LINE), value=1.0)
    outputs = pad(backprops, (0, -layer.out_features % _LINE))
    product = _each(outputs.transpose(1, 2), inputs)[:, : layer.out_features]
    bias = product[..., layer.in_features]
    return {layer.weight: product[..., : layer.in_features], layer.bias: bias}


def discriminate(
    records: Records, order: Assignment, randomness: Randomness
) -> tuple[Floats, Floats]:
    """Run the message's DP-SGD steps; returns weights and moments, as long as they came."""
    trainer = Trainer(order, randomness)
    for _ in range(order.plan.steps_per_message):
        trainer.step(records)
    weights = flatten(trainer.network)
    moments = get_moments(trainer.optimizer.original_optimizer)
    if np.isfinite(weights).all() and np.isfinite(moments).all():
        return weights, moments
    return order.weights, order.moments


def _through(views: tuple[Codes, ...], codes: Codes) -> Codes:
    """Fine codes (n, d) seen through one view per column."""
    seen = np.empty(codes.shape, np.uint16)
    for column, view in enumerate(views):
        seen[:, column] = view[codes[:, column]]
    return seen


def set_moments(adam: torch.optim.Adam, moments: Floats, steps: int) -> None:
    """Give Adam the first and second moments and the step count of earlier messages."""
    halves = torch.from_numpy(moments.copy()).chunk(2)
    start = 0
    for parameter in adam.param_groups[0]["params"]:
        part = slice(start, start + parameter.numel())
        adam.state[parameter] = {
            "step": torch.tensor(float(steps)),
            "exp_avg": halves[0][part].view_as(parameter).clone(),
            "exp_avg_sq": halves[1][part].view_as(parameter).clamp(min=0.0).clone(),
        }
        start += parameter.numel()


def get_moments(adam: torch.optim.Optimizer) -> Floats:
    """First then second moments, in the order of the parameters."""
    parameters = adam.param_groups[0]["params"]
    keys = ("exp_avg", "exp_avg_sq")
    parts = [adam.state[p][key].reshape(-1) for key in keys for p in parameters]
    vector: Floats = torch.cat(parts).numpy()
    return vector
