"""Trains the discriminator on the records with DP-SGD, and returns its weights.

The discriminator predicts some columns of a record from the others. Of histories, the rows are a
person's events, each with the events before it (`networks/event_windows.py`). Each step draws a Poisson
sample of privacy units at the plan's public rate, and for every row of these units it draws the columns
to predict, uniformly at random. The loss of a row depends on that row alone, or on its person's events
alone. The gradients of a unit's rows and columns are added up and clipped once, so adding or removing a
unit moves the sum by at most the clipping norm C. If every predicted column were clipped by itself, a
row with M predicted columns could move the sum by M C.

Adam's moments are sent together with the weights. Both are computed from noisy gradients only, so both
are differentially private. The reply is as long as the request, whatever the records are. If a number
that is not finite appears all the same, the values of the request are returned.

A batch is computed in pieces, whose size follows from the plan and the schema alone. The last piece is
filled up with rows of weight zero. So the memory that is used does not tell how many records there are,
or how many of them belong to one person. All numbers are float64. The rounding of a row's gradient may
depend on the rest of the batch; the weights are kept in a range where it is bounded
(`privacy/rounding.py`), and the noise is larger by the same amount.
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
from fedsynth_common.privacy.gradient_sum import gradient_units, noisy_units
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
    """The discriminator and the optimiser during one message."""

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
        """Compute one noisy gradient and take one step of Adam.

        The step is undone if its weights leave the range where rounding is bounded. This test costs
        no privacy, because the weights are computed from noisy gradients.
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

    def clipped_sum(self, records: Records) -> Float64Array:
        """The clipped sum over a Poisson sample (p,), without noise: for `gradient_sum` alone."""
        generator, total = self._randomness.generator(), np.zeros(self._order.weights.size)
        for piece in self._pieces(records):
            parts = self._clipped(records, piece, generator)
            total += torch.cat([part.reshape(-1) for part in parts]).numpy()
        return total

    def _pieces(self, records: Records) -> Iterator[Piece]:
        """A Poisson sample in pieces of whole units; one empty piece if no unit was drawn.

        It takes at most `memory.SAMPLED_BYTES` a record, which the vault tested when it started.
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
        """Gradients of some rows, filled up to the size of a piece; columns are drawn for each row."""
        order, shape = self._order, (self.sizes.rows, len(self._order.widths))
        codes, seen = np.zeros(shape, np.uint16), _through(order.views, records.take(rows))
        if order.windows is None:
            codes[: len(rows)] = seen
            chosen = generator.random(shape).argsort(axis=1)
        else:
            codes[: len(rows)] = order.windows.rows(seen, _persons_of(records, rows))
            chosen = order.windows.order(generator, self.sizes.rows)
        return RowGradients(self.network, codes, chosen, order.masked, order.widths, self._space)


def discriminate(
    records: Records, order: Assignment, randomness: Randomness
) -> tuple[Float32Array, Float32Array]:
    """Run the DP-SGD steps of a message; return weights and moments of the request's length."""
    trainer = Trainer(order, randomness)
    for _ in range(order.plan.steps_per_message):
        trainer.step(records)
    weights = flatten(trainer.network)
    moments = get_moments(trainer.optimizer.original_optimizer)
    if np.isfinite(weights).all() and np.isfinite(moments).all():
        return weights, moments
    return order.weights, order.moments


def gradient_share(
    records: Records, order: Assignment, shares: int, most: int, randomness: Randomness
) -> Int64Array:
    """One site's part of a summed step: its clipped sum in units, with its share of the noise (p,).

    Args:
        records: the site's.
        order: a checked request.
        shares: of how many sites the noise is made.
        most: a public bound on each number before the noise.
        randomness: where sample and noise come from.
    """
    plan, parameters = order.plan, order.weights.size
    units = gradient_units(plan.noise_multiplier, shares, parameters, slack_of(order))
    total = Trainer(order, randomness).clipped_sum(records)
    return noisy_units(total, plan.clipping_norm, units, most, randomness)


def _persons_of(records: Records, rows: Int64Array) -> Int64Array:
    """Whose each of the given rows is."""
    if records.person is None:
        raise PrivacyError("training on histories needs the person of each row")
    return records.person[rows]


def _through(views: tuple[UInt16Array, ...], codes: UInt16Array) -> UInt16Array:
    """The codes (n, d) of fine codes (n, d), by the view of each column."""
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
    """The first moments and then the second ones, in the order of the parameters."""
    parameters = adam.param_groups[0]["params"]
    keys = ("exp_avg", "exp_avg_sq")
    parts = [adam.state[p][key].reshape(-1) for key in keys for p in parameters]
    vector: Float32Array = torch.cat(parts).float().numpy()
    return vector
