"""The part of the marginal loss that is about three-way marginals.

For rows P (D, B) of the generator the expected table of columns a, b and c is the mean over the rows
of P_a (x) P_b (x) P_c. Triples that have their first two columns in common are computed together: the
product of these two columns' rows is one matrix, and the rest is products of matrices. The gradient is
written out, as in `marginal_loss.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_server.aggregation.marginals import VARIANCE_FLOOR, MarginalEstimate


@dataclass(frozen=True)
class _Block:
    """All triples that begin with columns a and b: target and precision (groups of a x b, of all c)."""

    first: slice
    second: slice
    third: torch.Tensor
    target: torch.Tensor
    precision: torch.Tensor
    columns: tuple[tuple[int, ...], ...]


class ThreeWayLoss:
    """Sum of squared residuals of three-way cells, each in units of its noise variance.

    Attributes:
        cells: how many there are.
    """

    def __init__(
        self,
        marginals: Sequence[MarginalEstimate],
        groups: Sequence[Int64Array],
        device: str = "cpu",
    ) -> None:
        sizes = [int(of.max()) + 1 for of in groups]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        self.slices = [slice(int(a), int(b)) for a, b in pairwise(starts)]
        index = np.concatenate([of + s for of, s in zip(groups, starts[:-1], strict=True)])
        self.index = torch.from_numpy(index).to(device)
        self.size, self.cells = int(starts[-1]), sum(m.frequencies.size for m in marginals)
        by_pair: dict[tuple[int, int], list[MarginalEstimate]] = {}
        for marginal in marginals:
            a, b, _ = marginal.columns
            by_pair.setdefault((a, b), []).append(marginal)
        self.blocks = [self._block(a, b, of, device) for (a, b), of in by_pair.items()]

    def _block(self, a: int, b: int, of: Sequence[MarginalEstimate], device: str) -> _Block:
        rows = [
            torch.arange(self.slices[m.columns[2]].start, self.slices[m.columns[2]].stop)
            for m in of
        ]
        flat = [torch.from_numpy(m.frequencies).float().flatten(0, 1) for m in of]
        precision = [
            torch.full((part.shape[1],), 1.0 / max(m.variance, VARIANCE_FLOOR))
            for m, part in zip(of, flat, strict=True)
        ]
        return _Block(
            self.slices[a],
            self.slices[b],
            torch.cat(rows).to(device),
            torch.cat(flat, 1).to(device),
            torch.cat(precision).to(device),
            tuple(m.columns for m in of),
        )

    def grouped(self, soft: torch.Tensor) -> torch.Tensor:
        """Rows by group (groups, B) of rows by code (D, B)."""
        return soft.new_zeros(self.size, soft.shape[1]).index_add_(0, self.index, soft)

    def residual(self, soft: torch.Tensor) -> tuple[float, torch.Tensor]:
        """The loss of soft rows by code (D, B), and its gradient (D, B)."""
        rows = self.grouped(soft)
        slopes, total = torch.zeros_like(rows), 0.0
        for block in self.blocks:
            one, two, third = rows[block.first], rows[block.second], rows[block.third]
            both = (one.unsqueeze(1) * two.unsqueeze(0)).flatten(0, 1)
            left = torch.addmm(block.target, both, third.t(), beta=-1.0, alpha=1.0 / rows.shape[1])
            weighted = left * block.precision
            total += float((weighted * left).sum())
            weighted *= 2.0 / rows.shape[1]
            slopes.index_add_(0, block.third, weighted.t() @ both)
            back = (weighted @ third).view(len(one), len(two), -1)
            slopes[block.first] += (back * two.unsqueeze(0)).sum(1)
            slopes[block.second] += (back * one.unsqueeze(1)).sum(0)
        return total, slopes.index_select(0, self.index)

    def expected(self, soft: torch.Tensor) -> dict[tuple[int, ...], Float64Array]:
        """The tables of soft rows by code (D, B), by columns."""
        rows, tables = self.grouped(soft), {}
        for block in self.blocks:
            one, two = rows[block.first], rows[block.second]
            both = (one.unsqueeze(1) * two.unsqueeze(0)).flatten(0, 1)
            cells = (both @ rows[block.third].t() / rows.shape[1]).double().cpu().numpy()
            widths = [self.slices[c[2]].stop - self.slices[c[2]].start for c in block.columns]
            parts = np.split(cells, np.cumsum(widths)[:-1], axis=1)
            for columns, part in zip(block.columns, parts, strict=True):
                tables[columns] = part.reshape(len(one), len(two), -1)
        return tables
