"""How far a generator of histories is from the cleaned blocks, in units of their noise."""

from collections.abc import Sequence

import numpy as np
import torch

from fedsynth_common.protocol.counting import Over
from fedsynth_release.histories.expected import Expected, expected_marginals
from fedsynth_release.histories.network import Chains, HistoryShape, blocks_of
from fedsynth_server.aggregation.marginals import VARIANCE_FLOOR, MarginalEstimate
from fedsynth_server.histories.blocks import Block, person_weight
from fedsynth_server.histories.cleaned import CleanBlocks

Key = tuple[str, int]
"""Name of a matrix of `Expected`, and the distance of its events."""


class _Target:
    """Values of a matrix of marginals, and the precision of each; 0 where nothing was measured."""

    def __init__(self, rows: int, columns: int) -> None:
        self.value, self.precision = torch.zeros(rows, columns), torch.zeros(rows, columns)

    def put(self, rows: slice, columns: slice, estimate: MarginalEstimate) -> None:
        self.value[rows, columns] = torch.from_numpy(estimate.frequencies).float()
        self.precision[rows, columns] = 1.0 / max(estimate.variance, VARIANCE_FLOOR)

    def loss(self, expected: torch.Tensor) -> torch.Tensor:
        residual = expected - self.value
        return (self.precision * residual * residual).sum()


class HistoryLoss:
    """Mean squared residual of all measured cells, in units of the noise variance.

    Attributes:
        target_loss: the loss at which a fit ends (`MarginalLoss`).
        noise: standard deviation of the noise in the blocks, as a share of persons.
        excess_scale: `excess` per unit of loss above the target.
    """

    def __init__(self, cleaned: CleanBlocks, shape: HistoryShape, target_loss: float = 0.0) -> None:
        self.target_loss, self.shape = target_loss, shape
        self._places = [*blocks_of(shape.static), *blocks_of(shape.events)]
        self._static = len(shape.static)
        self.targets: dict[Key, _Target] = {}
        self.static, self.events = self._margins(cleaned.one_way)
        self.cells = self.static.value.numel() + self.events.value.numel()
        for block, estimate in zip(cleaned.blocks, cleaned.estimates, strict=True):
            self._add(block, estimate)
        variance = max((e.variance for e in cleaned.estimates), default=VARIANCE_FLOOR)
        self.noise, self.excess_scale = variance**0.5, self.cells * variance
        self.weight = person_weight(shape.max_events)
        self.lags = tuple(lag for name, lag in self.targets if name == "following")
        self.ends = ("ends", 0) in self.targets

    def _margins(self, one_way: Sequence[MarginalEstimate]) -> tuple[_Target, _Target]:
        sizes = sum(self.shape.static), sum(self.shape.events)
        targets = _Target(1, sizes[0]), _Target(1, sizes[1])
        for column, estimate in enumerate(one_way):
            target = targets[column >= self._static]
            target.put(slice(0, 1), self._places[column], estimate)
        return targets

    def _key(self, block: Block) -> Key:
        a, b = (place.column < self._static for place in block.places)
        if block.over is Over.NEXT:
            return "following", block.lag
        if block.family[1]:
            return "ends", 0
        return ("persons" if a and b else "mixed" if a or b else "events"), 0

    def _add(self, block: Block, estimate: MarginalEstimate) -> None:
        sizes = {True: sum(self.shape.static), False: sum(self.shape.events)}
        columns = [place.column for place in block.places]
        key = self._key(block)
        if key not in self.targets:
            self.targets[key] = _Target(*(sizes[c < self._static] for c in columns))
        rows, others = (self._places[column] for column in columns)
        self.targets[key].put(rows, others, estimate)
        self.cells += estimate.frequencies.size

    def expected(self, chains: Chains) -> Expected:
        """The marginals of these chains that the loss looks at."""
        return expected_marginals(chains, self.shape, self.weight, self.lags, self.ends)

    def loss(self, chains: Chains) -> torch.Tensor:
        """Scalar loss; differentiable."""
        expected = self.expected(chains)
        total = self.static.loss(expected.static_margin[None])
        total = total + self.events.loss(expected.event_margin[None])
        for (name, lag), target in self.targets.items():
            found = getattr(expected, name)
            total = total + target.loss(found[lag] if name == "following" else found)
        return total / self.cells

    def excess(self, chains: Chains) -> torch.Tensor:
        """The loss above its target in squared frequency, as `MarginalLoss.excess`; differentiable."""
        return self.excess_scale * torch.relu(self.loss(chains) - self.target_loss)

    def margins(self) -> tuple[np.ndarray, np.ndarray]:
        """The measured one-way marginals of static and of event columns, in codes."""
        return self.static.value[0].numpy(), self.events.value[0].numpy()
