"""Local DP-SGD steps of the discriminator: a record's columns are predicted from its other columns.

Each step draws a Poisson sample of privacy units at the plan's public rate, and for every row of theirs
some columns, uniformly at random. The loss of a row depends on that row alone, and the joint gradient of
a unit's rows is clipped once, so adding or removing a unit moves the sum by at most C: were the blanked
columns samples of their own, it would move by up to as many times C.

Adam's moments travel with the weights: both are functions of noisy gradients only, so both are DP.
What returns has the length of what came, whatever the records are; if a non-finite number appears
all the same, the incoming values return.

Batches are computed in pieces of a size that follows from the plan and the schema alone, the last one
filled up with rows of weight zero, so that memory does not tell how many records there are or how many
of them are one person's. Everything is float64, and weights are kept where the rounding of a row's
gradient, which may depend on the rest of the batch, is bounded (`privacy/rounding.py`); the noise is
larger by as much.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from fedsynth_client.records.records import Records
from fedsynth_client.vault.assignment import Assignment, Sizes, rounding_of, slack_of
from fedsynth_client.vault.dpsgd import GuardedDPOptimizer
from fedsynth_common.array_types import Float32Array, Float64Array, Int64Array, UInt16Array
from fedsynth_common.networks import Discriminator, flatten, load_flat
from fedsynth_common.networks.gradients import RowGradients, Space
from fedsynth_common.networks.unit_gradients import UnitGradients
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.clipping import clip_and_sum
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.privacy.rounding import row_limit
from fedsynth_common.privacy.sampling import poisson_sample
from fedsynth_common.protocol.plan import ADAM_BETAS


@dataclass(frozen=True)
class Piece:
    """Part of a batch: whole units, their rows, and the unit (0, 1, ...) of each row in order."""

    rows: Int64Array
    groups: Int64Array
    last: bool


class Trainer:
    """Discriminator and optimiser of one message."""

    def __init__(self, order: Assignment, randomness: Randomness) -> None:
        self._order, self._randomness = order, randomness
        self.network = Discriminator(sum(order.widths), order.plan.hidden).double()
        load_flat(self.network, order.weights)
        self.sizes = Sizes.of(order)
        self._space = Space()
        plan, parameters = order.plan, self.network.parameters()
        adam = torch.optim.Adam(parameters, lr=plan.learning_rate, betas=ADAM_BETAS)
        set_moments(adam, order.moments, order.message * plan.steps_per_message)
        self.optimizer = GuardedDPOptimizer(
            adam,
            noise_multiplier=plan.noise_multiplier,
            clipping_norm=plan.clipping_norm,
            expected_batch=plan.expected_batch,
            slack=slack_of(order),
            randomness=randomness,
        )

    def step(self, records: Records) -> None:
        """One noisy gradient and one step of Adam, undone where it leaves the bound of rounding.

        To look at the new weights costs nothing: they follow from noisy gradients.
        """
        plan = self._order.plan
        before = [parameter.detach().clone() for parameter in self.network.parameters()]
        self.private_gradient(records)
        self.optimizer.original_optimizer.step()
        if not rounding_of(self.network, self._order) <= row_limit(plan.hidden) / 2:
            with torch.no_grad():
                for parameter, value in zip(self.network.parameters(), before, strict=True):
                    parameter.copy_(value)

    def private_gradient(self, records: Records) -> Float64Array:
        """(clipped sum over a Poisson sample + noise) / L, also left in each parameter's `grad`."""
        self.optimizer.zero_grad()
        generator = self._randomness.generator()
        for piece in self._pieces(records):
            self.optimizer.add(self._clipped(records, piece, generator), last=piece.last)
            if not piece.last:
                self.optimizer.zero_grad()
        return torch.cat([p.grad.reshape(-1) for p in self.optimizer.params]).numpy()

    def _pieces(self, records: Records) -> Iterator[Piece]:
        """A Poisson sample in pieces of whole units; one empty piece if nobody was drawn.

        Takes at most `memory.SAMPLED_BYTES` a record, which the vault made sure of at its start.
        """
        rate = self._order.plan.sampling_rate
        sample = poisson_sample(records.units, rate, self._randomness)
        rows, groups = records.rows_of(sample)
        if groups is None:
            groups = np.arange(len(rows))
        if np.bincount(groups).max(initial=0) > self._order.rows_per_person:
            raise PrivacyError("a person has more rows than the schema allows")
        ends, last, first = array("q", [0]), 0, 0
        sizes = np.bincount(groups, minlength=len(sample)).cumsum()
        for unit, end in enumerate(sizes.tolist()):
            full = end - ends[-1] > self.sizes.rows or unit - first == self.sizes.units
            if full and unit > first:
                ends.append(last)
                first = unit
            last = end
        ends.append(len(rows))
        for a, b in pairwise(ends):
            yield Piece(rows[a:b], groups[a:b] - groups[a : a + 1], last=b == len(rows))

    def _clipped(
        self, records: Records, piece: Piece, generator: np.random.Generator
    ) -> list[torch.Tensor]:
        """Sum of the clipped gradients of a piece, in the shapes of the parameters."""
        order, gradients = self._order, self._gradients(records, piece.rows, generator)
        groups = np.zeros(self.sizes.rows, np.int64)  # nobody: rows that fill up the piece
        groups[: len(piece.rows)] = piece.groups + 1
        if order.rows_per_person == 1:
            used = torch.from_numpy(groups > 0)
            return clip_and_sum(gradients, used, order.plan.clipping_norm)
        units = int(groups.max()) + 1  # persons, and nobody
        together = UnitGradients(gradients, groups, units)
        return clip_and_sum(together, torch.arange(units) > 0, order.plan.clipping_norm)

    def _gradients(
        self, records: Records, rows: Int64Array, generator: np.random.Generator
    ) -> RowGradients:
        """Gradients of some rows, filled up to the size of a piece, each with columns of its own."""
        order, shape = self._order, (self.sizes.rows, len(self._order.widths))
        codes = np.zeros(shape, np.uint16)
        codes[: len(rows)] = _through(order.views, records.take(rows))
        chosen = generator.random(shape).argsort(axis=1)
        return RowGradients(self.network, codes, chosen, order.masked, order.widths, self._space)


def discriminate(
    records: Records, order: Assignment, randomness: Randomness
) -> tuple[Float32Array, Float32Array]:
    """Run the message's DP-SGD steps; returns weights and moments, as long as they came."""
    trainer = Trainer(order, randomness)
    for _ in range(order.plan.steps_per_message):
        trainer.step(records)
    weights = flatten(trainer.network)
    moments = get_moments(trainer.optimizer.original_optimizer)
    if np.isfinite(weights).all() and np.isfinite(moments).all():
        return weights, moments
    return order.weights, order.moments


def _through(views: tuple[UInt16Array, ...], codes: UInt16Array) -> UInt16Array:
    """Fine codes (n, d) seen through one view per column."""
    seen = np.empty(codes.shape, np.uint16)
    for column, view in enumerate(views):
        seen[:, column] = view[codes[:, column]]
    return seen


def set_moments(adam: torch.optim.Adam, moments: Float32Array, steps: int) -> None:
    """Give Adam the first and second moments and the step count of earlier messages."""
    parameters, start = adam.param_groups[0]["params"], 0
    halves = torch.tensor(moments, dtype=parameters[0].dtype).chunk(2)
    for parameter in parameters:
        part = slice(start, start + parameter.numel())
        adam.state[parameter] = {
            "step": torch.tensor(float(steps)),
            "exp_avg": halves[0][part].view_as(parameter).clone(),
            "exp_avg_sq": halves[1][part].view_as(parameter).clamp(min=0.0).clone(),
        }
        start += parameter.numel()


def get_moments(adam: torch.optim.Optimizer) -> Float32Array:
    """First then second moments, in the order of the parameters."""
    parameters = adam.param_groups[0]["params"]
    keys = ("exp_avg", "exp_avg_sq")
    parts = [adam.state[p][key].reshape(-1) for key in keys for p in parameters]
    vector: Float32Array = torch.cat(parts).float().numpy()
    return vector
