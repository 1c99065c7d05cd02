"""Gradients of single rows kept as factors: their norms and weighted sums without ever forming them.

The gradient of a linear layer for one row is an outer product of what comes back and what went in, so
its norm is a product of norms (Goodfellow 2015, arXiv:1510.01799), and clipped gradients are summed by
weighting one factor (ghost clipping: Li et al. 2021, arXiv:2110.05679). Here more is known: a row is
one-hot, each of its copies lacks one column, and each column has a block of the heads to itself. With
errors δ_m of block m, features f_m, gradients g_m of the first pre-activation of copy m and G = Σ g_m,

    |heads|² = Σ |δ_m|² (|f_m|² + 1),    |first layer|² = (d - M + 1) |G|² + Σ |G - g_m|²,

the 1 in d - M + 1 being the bias. Layers between the two are small and rare: theirs is formed, a few
rows at a time, because a norm from products of copies would lose digits where the copies cancel.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from fedsynth_common.networks.discriminator import Discriminator, layers_of

GRID_BITS = 24
"""The first layer is rounded to multiples of 2^-24, so that float64 adds its rows without rounding."""


class RowGradients:
    """Gradients of the loss of n rows, each the mean of -log p(column | others) over its M columns.

    A row's loss depends on that row alone. Computed in the type of the network's parameters.
    """

    def __init__(
        self,
        network: Discriminator,
        codes: NDArray[np.uint16],
        order: NDArray[np.int64],
        masked: int,
        widths: Sequence[int],
    ) -> None:
        """Forward and backward pass.

        Args:
            network: the discriminator, on the CPU.
            codes: (n, d), column j in 0..widths[j]-1.
            order: (n, d) a permutation of the columns of each row; the first M are predicted.
            masked: M.
            widths: number of codes of each column.
        """
        self.rows, self.columns = codes.shape
        self.masked, self.widths = masked, list(widths)
        offsets = np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.int64)
        placed = np.take_along_axis(codes.astype(np.int64) + offsets, order, axis=1)
        blanked = order[:, :masked].reshape(-1)
        # the copies, (n M), column by column; 16 bits are sorted fastest
        by_column = np.argsort(blanked.astype(np.uint16), kind="stable")
        self._sizes = np.bincount(blanked, minlength=self.columns).tolist()
        self.predicted = blanked[by_column]
        self.owner = torch.from_numpy(by_column // masked)
        self.place = torch.from_numpy(placed[:, :masked].reshape(-1)[by_column])
        self._shown = torch.from_numpy(placed[:, masked:])
        self._truth = self.place - torch.from_numpy(offsets[self.predicted])
        self._forward(network)
        self._backward(network)

    def _forward(self, network: Discriminator) -> None:
        """Inputs of every layer but the first, for all copies."""
        (first, bias), *deeper = layers_of(network)[:-1]
        weight = on_grid(first).t().contiguous()
        zeros = weight.new_zeros(self.rows, len(weight))
        self._one_hot = zeros.scatter_(1, self._shown, 1.0)  # of what is not predicted
        blanked = weight.index_select(0, self.place)
        whole = torch.addmm(on_grid(bias), self._one_hot, weight)
        whole.index_add_(0, self.owner, blanked)
        self.inputs = [whole.index_select(0, self.owner).sub_(blanked).tanh_()]
        for layer in deeper:
            self.inputs.append(F.linear(self.inputs[-1], *layer).tanh_())

    def _backward(self, network: Discriminator) -> None:
        """Errors of the heads, and gradients of every pre-activation."""
        *hidden, heads = layers_of(network)
        features, self.errors = self.inputs[-1], list[torch.Tensor]()
        back = torch.empty_like(features)
        for weight, bias, part, truth, into in zip(
            torch.split(heads[0], self.widths),
            torch.split(heads[1], self.widths),
            torch.split(features, self._sizes),
            torch.split(self._truth, self._sizes),
            torch.split(back, self._sizes),
            strict=True,
        ):
            error = torch.softmax((part @ weight.t()).add_(bias), dim=1)
            error[torch.arange(len(truth)), truth] -= 1.0
            error /= self.masked
            torch.mm(error, weight, out=into)
            self.errors.append(error)
        self.slopes = [_through_tanh(back, features)]
        for (weight, _), output in zip(hidden[:0:-1], self.inputs[-2::-1], strict=True):
            self.slopes.insert(0, _through_tanh(self.slopes[0] @ weight, output))
        self.total = self._by_row(self.slopes[0])
        self.others = self.total.index_select(0, self.owner).sub_(self.slopes[0])

    def _by_row(self, copies: torch.Tensor) -> torch.Tensor:
        """Sum of the copies' values (n M, ...) over the copies of each row (n, ...)."""
        return copies.new_zeros(self.rows, *copies.shape[1:]).index_add_(0, self.owner, copies)

    def squared_norms(self) -> torch.Tensor:
        """Squared norm of each row's gradient over all parameters (n,)."""
        copies = torch.cat([_squares(error) for error in self.errors])
        copies *= _squares(self.inputs[-1]).add_(1.0)
        norms = self._by_row(copies.add_(_squares(self.others)))
        norms += (self.columns - self.masked + 1) * _squares(self.total)
        for weight, bias in self._between():
            norms += _squares(weight.flatten(1)) + _squares(bias)
        return norms

    def zero(self, rows: torch.Tensor) -> None:
        """Make the gradients of some rows (n,), True for them, zero: NaN included."""
        copies = rows[self.owner].unsqueeze(1)
        for values in (*self.inputs, *self.slopes, self.others):
            values.masked_fill_(copies, 0.0)
        for error, part in zip(self.errors, torch.split(copies, self._sizes), strict=True):
            error.masked_fill_(part, 0.0)
        self.total.masked_fill_(rows.unsqueeze(1), 0.0)

    def weighted_sum(self, weights: torch.Tensor) -> list[torch.Tensor]:
        """Sum of weight (n,) times gradient, in the order and shapes of `network.parameters()`."""
        owned, total = weights[self.owner].unsqueeze(1), weights.unsqueeze(1) * self.total
        first = self._one_hot.t() @ total
        first.index_add_(0, self.place, owned * self.others)
        sums = [first.t(), total.sum(0)]
        for weight, bias in self._between():
            sums += [torch.einsum("n,nij->ij", weights, weight), weights @ bias]
        parts = zip(
            self.errors,
            torch.split(owned, self._sizes),
            torch.split(self.inputs[-1], self._sizes),
            strict=True,
        )
        scaled = [(error * part, features) for error, part, features in parts]
        sums.append(torch.cat([error.t() @ features for error, features in scaled]))
        sums.append(torch.cat([error.sum(0) for error, _ in scaled]))
        return sums

    def _between(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Gradients of the layers between first and heads, formed for each row."""
        found = []
        by_row = torch.argsort(self.owner, stable=True)
        for slope, inputs in zip(self.slopes[1:], self.inputs, strict=False):
            left = slope[by_row].view(self.rows, self.masked, -1)
            right = inputs[by_row].view(self.rows, self.masked, -1)
            found.append((left.transpose(1, 2) @ right, left.sum(1)))
        return found

    def add_to(self, units: Sequence[torch.Tensor], groups: torch.Tensor) -> None:
        """Add each row's gradient to that of its unit.

        Args:
            units: as made by `unit_buffers`.
            groups: (n,) the unit of each row.
        """
        first, bias, *between = units
        flat, width = first.view(-1, first.shape[-1]), first.shape[1]
        shown = (groups.unsqueeze(1) * width + self._shown).reshape(-1)
        flat.index_add_(0, shown, self.total.repeat_interleave(self._shown.shape[1], dim=0))
        owned = groups[self.owner]
        flat.index_add_(0, owned * width + self.place, self.others)
        bias.index_add_(0, groups, self.total)
        for number, parts in enumerate(self._between()):
            for unit, part in zip(between[2 * number : 2 * number + 2], parts, strict=True):
                unit.index_add_(0, groups, part)
        heads = between[2 * (len(self.inputs) - 1) :]
        for weight, error, features, unit in zip(
            heads,
            self.errors,
            torch.split(self.inputs[-1], self._sizes),
            torch.split(owned, self._sizes),
            strict=True,
        ):
            ones = F.pad(features, (0, 1), value=1.0)
            weight.index_add_(0, unit, error.unsqueeze(2) * ones.unsqueeze(1))


def _through_tanh(back: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    """Gradient of what went into tanh: back (1 - output²), in one pass."""
    slope: torch.Tensor = torch.ops.aten.tanh_backward(back, output)
    return slope


def _squares(rows: torch.Tensor) -> torch.Tensor:
    """Squared norm of each row (n, k) -> (n,), without a copy of the rows."""
    return torch.linalg.vector_norm(rows, dim=1).square_()


def on_grid(values: torch.Tensor) -> torch.Tensor:
    """The nearest multiples of 2^-`GRID_BITS`: float64 adds a thousand of up to 2^14 exactly."""
    return torch.round(values * 2.0**GRID_BITS) * 2.0**-GRID_BITS


def unit_buffers(network: Discriminator, widths: Sequence[int], units: int) -> list[torch.Tensor]:
    """Zeros for the gradients of some units: first layer (units, D, H) and its bias, ..., heads.

    The heads' block of each column is a tensor (units, codes, H + 1) of its own, bias last.
    """
    (first, bias), *between = layers_of(network)[:-1]
    shapes: list[tuple[int, ...]] = [tuple(first.t().shape), tuple(bias.shape)]
    shapes += [tuple(part.shape) for layer in between for part in layer]
    shapes += [(width, network.heads.in_features + 1) for width in widths]
    return [first.new_zeros(units, *shape) for shape in shapes]


def from_units(sums: Sequence[torch.Tensor], columns: int) -> list[torch.Tensor]:
    """Sums over the units of `unit_buffers`, in the order and shapes of `network.parameters()`."""
    heads = torch.cat(list(sums[-columns:]))
    first, *between = sums[:-columns]
    return [first.t(), *between, heads[:, :-1], heads[:, -1]]
