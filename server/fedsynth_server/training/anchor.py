"""The anchor: how far a generator's marginals are from the noisy ones, in units of their noise.

For soft rows P (B, D) of the generator the expected pair marginals are the blocks of PᵀP / B (GEM:
Liu, Vietri & Wu 2021); marginals of three columns (a, b, y) are the same blocks with each row
weighted by its probability of y. The loss is the mean over all measured cells of
(expected - measured)² / variance, so that a generator equal to the real distribution has a loss of
about one, whatever ε is.
"""

from collections.abc import Sequence

import numpy as np
import torch

from fedsynth_server.marginals import Marginal

VARIANCE_FLOOR = 1e-4**2
"""Frequencies are not fitted to better than this: a sample of 10,000 rows would not show it."""


class _PairBlocks:
    """Targets and weights of pair marginals as (D, D) matrices, for rows weighted by one code."""

    def __init__(self, starts: Sequence[int], size: int, stratum: int | None) -> None:
        self.starts = starts
        self.stratum = stratum
        self.target = torch.zeros(size, size)
        self.weight = torch.zeros(size, size)

    def add(self, columns: tuple[int, int], frequencies: torch.Tensor, precision: float) -> None:
        """Place one pair marginal into its block."""
        rows, cols = (
            slice(self.starts[c], self.starts[c] + n)
            for c, n in zip(columns, frequencies.shape, strict=True)
        )
        self.target[rows, cols] = frequencies
        self.weight[rows, cols] = precision

    def loss(self, soft: torch.Tensor) -> torch.Tensor:
        """Weighted squared residuals of all cells in the blocks."""
        left = soft if self.stratum is None else soft * soft[:, self.stratum, None]
        residual = left.T @ soft / len(soft) - self.target
        return (self.weight * residual.square()).sum()


class Anchor:
    """Mean squared residual of all measured cells, in units of the noise variance."""

    def __init__(self, marginals: Sequence[Marginal], widths: Sequence[int]) -> None:
        self.starts = [int(s) for s in np.concatenate([[0], np.cumsum(widths)[:-1]])]
        self.size = int(sum(widths))
        self.first_target, self.first_weight = torch.zeros(self.size), torch.zeros(self.size)
        self.blocks: dict[int | None, _PairBlocks] = {}
        self.cells = sum(marginal.frequencies.size for marginal in marginals)
        self.order = max(len(marginal.columns) for marginal in marginals)
        unit = self.cells * max(m.variance for m in marginals if len(m.columns) == self.order)
        self.softening = unit * (8.0 if self.order == 1 else 1.0)
        for marginal in marginals:
            self._add(marginal)

    def _add(self, marginal: Marginal) -> None:
        values = torch.from_numpy(marginal.frequencies).float()
        precision = 1.0 / max(marginal.variance, VARIANCE_FLOOR)
        match marginal.columns:
            case (column,):
                part = slice(self.starts[column], self.starts[column] + values.numel())
                self.first_target[part], self.first_weight[part] = values, precision
            case (a, b):
                self._stratum(None).add((a, b), values, precision)
            case (a, b, y):
                for code in range(values.shape[2]):
                    stratum = self._stratum(self.starts[y] + code)
                    stratum.add((a, b), values[:, :, code], precision)
            case other:
                raise ValueError(f"anchor: marginals of 1 to 3 columns, got {len(other)}")

    def _stratum(self, position: int | None) -> _PairBlocks:
        if position not in self.blocks:
            self.blocks[position] = _PairBlocks(self.starts, self.size, position)
        return self.blocks[position]

    def softened(self, soft: torch.Tensor) -> torch.Tensor:
        """The loss in units of squared frequency: one unit for a residual of 1 in the highest order.

        In units of the noise the anchor is stiff at large ε: its gradient drowns every other term and
        an optimiser that scales by the gradient's size stands still. One-way margins alone count
        eightfold, as they are all that holds a generator then.
        """
        return self.loss(soft) * self.softening

    def loss(self, soft: torch.Tensor) -> torch.Tensor:
        """Scalar loss of soft rows (B, D); differentiable."""
        residual = soft.mean(0) - self.first_target
        terms = [(self.first_weight * residual.square()).sum()]
        terms += [blocks.loss(soft) for blocks in self.blocks.values()]
        return torch.stack(terms).sum() / self.cells
