"""Norms and weighted sums of the gradients of single rows, computed from the factors of the gradients.

The gradient of a linear layer for one row is the outer product of its output's gradient and its
input, so its norm is a product of norms (Goodfellow 2015, arXiv:1510.01799), and clipped gradients
are summed by weighting one factor (ghost clipping: Li et al. 2021, arXiv:2110.05679). Two more facts
are used: a row is one-hot, each of its copies lacks one column, and each column has a block of the
heads to itself. With errors δ_m of block m, features f_m, gradients g_m of the first pre-activation
of copy m and G = Σ g_m,

    |heads|² = Σ |δ_m|² (|f_m|² + 1),    |first layer|² = (d - M + 1) |G|² + Σ |G - g_m|²,

where the 1 in d - M + 1 is the bias. Layers between the two are small and rare. Their gradients are
formed for each row, because a norm from products of copies would lose digits when the copies cancel.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from fedsynth_common.array_types import Int64Array, UInt16Array
from fedsynth_common.networks.discriminator import Discriminator, layers_of

GRID_BITS = 24
"""The first layer is rounded to multiples of 2^-24, so that float64 adds its rows without rounding."""


class Space:
    """Memory that every piece uses in turn. It is allocated once, and is as large for every piece."""

    def __init__(self) -> None:
        self._held: dict[str, torch.Tensor] = {}

    def take(self, name: str, rows: int, like: torch.Tensor) -> torch.Tensor:
        """A tensor (rows, k), its content undefined, for rows of the size and type of `like` (_, k)."""
        held = self._held.get(name)
        if held is None or held.shape != (rows, like.shape[1]) or held.dtype != like.dtype:
            held = self._held[name] = like.new_empty(rows, like.shape[1])
        return held


class RowGradients:
    """Gradients of the loss of n rows, each the mean of -log p(column | others) over its M columns.

    A row's loss depends on that row alone. Computed in the type of the network's parameters.
    """

    def __init__(
        self,
        network: Discriminator,
        codes: UInt16Array,
        order: Int64Array,
        masked: int,
        widths: Sequence[int],
        space: Space | None = None,
    ) -> None:
        """Forward and backward pass.

        Args:
            network: the discriminator, on the CPU.
            codes: (n, d), column j in 0..widths[j]-1.
            order: (n, d) a permutation of the columns of each row; the first M are predicted.
            masked: M.
            widths: number of codes of each column.
            space: memory to work in; gradients that used it before are lost.
        """
        self.rows, self.columns = codes.shape
        self.masked, self.widths, self._space = masked, list(widths), space or Space()
        offsets = np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.int64)
        self.codes = torch.from_numpy(codes.astype(np.int64))
        placed = np.take_along_axis(self.codes.numpy() + offsets, order, axis=1)
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
        copies, take = len(self.owner), self._space.take
        blanked = torch.index_select(weight, 0, self.place, out=take("apart", copies, weight))
        whole = torch.addmm(on_grid(bias), self._one_hot, weight)
        whole.index_add_(0, self.owner, blanked)
        shown = torch.index_select(whole, 0, self.owner, out=take("inputs", copies, whole))
        self.inputs = [shown.sub_(blanked).tanh_()]
        for layer in deeper:
            self.inputs.append(F.linear(self.inputs[-1], *layer).tanh_())

    def _backward(self, network: Discriminator) -> None:
        """Errors of the heads, and gradients of every pre-activation."""
        *hidden, heads = layers_of(network)
        features, self.errors = self.inputs[-1], list[torch.Tensor]()
        back = self._space.take("back", len(features), features)
        for weight, bias, part, truth, into in zip(
            torch.split(heads[0], self.widths),
            torch.split(heads[1], self.widths),
            self.by_column(features),
            self.by_column(self._truth),
            self.by_column(back),
            strict=True,
        ):
            error = torch.softmax((part @ weight.t()).add_(bias), dim=1)
            error.scatter_add_(1, truth.unsqueeze(1), error.new_full((len(truth), 1), -1.0))
            error /= self.masked
            torch.mm(error, weight, out=into)
            self.errors.append(error)
        self.slopes = [_through_tanh(back, features, into=back)]
        for (weight, _), output in zip(hidden[:0:-1], self.inputs[-2::-1], strict=True):
            self.slopes.insert(0, _through_tanh(self.slopes[0] @ weight, output))
        self.total = self._by_row(self.slopes[0])
        apart = self._space.take("apart", len(self.owner), self.total)
        torch.index_select(self.total, 0, self.owner, out=apart)
        self.others = apart.sub_(self.slopes[0])  # G - g_m of each copy

    def by_column(self, copies: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The copies' values (n M, ...), split by the column that is predicted."""
        return torch.split(copies, self._sizes)

    def _by_row(self, copies: torch.Tensor) -> torch.Tensor:
        """Sum of the copies' values (n M, ...) over the copies of each row (n, ...)."""
        return copies.new_zeros(self.rows, *copies.shape[1:]).index_add_(0, self.owner, copies)

    def squared_norms(self) -> torch.Tensor:
        """Squared norm of each row's gradient over all parameters (n,)."""
        copies = torch.cat([squared_lengths(error) for error in self.errors])
        copies *= squared_lengths(self.inputs[-1]).add_(1.0)
        norms = self._by_row(copies.add_(squared_lengths(self.others)))
        norms += (self.columns - self.masked + 1) * squared_lengths(self.total)
        for weight, bias in self.between():
            norms += squared_lengths(weight.flatten(1)) + squared_lengths(bias)
        return norms

    def zero(self, rows: torch.Tensor) -> None:
        """Make the gradients of some rows (n,), True for them, zero: NaN included."""
        copies = rows[self.owner].unsqueeze(1)
        for values in (*self.inputs, *self.slopes, self.others):
            values.masked_fill_(copies, 0.0)
        for error, part in zip(self.errors, self.by_column(copies), strict=True):
            error.masked_fill_(part, 0.0)
        self.total.masked_fill_(rows.unsqueeze(1), 0.0)

    def weighted_sum(self, weights: torch.Tensor) -> list[torch.Tensor]:
        """Sum of weight (n,) times gradient, in the order and shapes of `network.parameters()`."""
        owned, total = weights[self.owner].unsqueeze(1), weights.unsqueeze(1) * self.total
        first = self._one_hot.t() @ total
        scaled = torch.mul(owned, self.others, out=self._space.take("scaled", len(owned), total))
        first.index_add_(0, self.place, scaled)
        sums = [first.t(), total.sum(0)]
        for weight, bias in self.between():
            sums += [torch.einsum("n,nij->ij", weights, weight), weights @ bias]
        parts = zip(
            self.errors, self.by_column(owned), self.by_column(self.inputs[-1]), strict=True
        )
        errors = [(error * part, features) for error, part, features in parts]
        sums.append(torch.cat([error.t() @ features for error, features in errors]))
        sums.append(torch.cat([error.sum(0) for error, _ in errors]))
        return sums

    def between(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Gradients of the layers between first and heads, formed for each row."""
        if len(self.slopes) == 1:
            return []
        found = []
        by_row = torch.argsort(self.owner, stable=True)
        for slope, inputs in zip(self.slopes[1:], self.inputs, strict=False):
            left = slope[by_row].view(self.rows, self.masked, -1)
            right = inputs[by_row].view(self.rows, self.masked, -1)
            found.append((left.transpose(1, 2) @ right, left.sum(1)))
        return found


def _through_tanh(
    back: torch.Tensor, output: torch.Tensor, into: torch.Tensor | None = None
) -> torch.Tensor:
    """Gradient of what went into tanh: back (1 - output²), in one pass."""
    into = torch.empty_like(back) if into is None else into
    torch.ops.aten.tanh_backward(back, output, grad_input=into)
    return into


def squared_lengths(rows: torch.Tensor) -> torch.Tensor:
    """Squared norm of each row (n, k) -> (n,), without a copy of the rows."""
    lengths: torch.Tensor = torch.linalg.vector_norm(rows, dim=1)
    return lengths.square_()


def on_grid(values: torch.Tensor) -> torch.Tensor:
    """The nearest multiples of 2^-`GRID_BITS`: float64 adds a thousand of up to 2^14 exactly."""
    return torch.round(values * 2.0**GRID_BITS) * 2.0**-GRID_BITS
