"""Gradients of persons with several rows, for clipping: the norms of sums over a person's rows."""

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from fedsynth_common.array_types import Int64Array
from fedsynth_common.networks.gradients import RowGradients, squared_lengths

_VALUES = 1 << 22
"""Float64 values (32 MiB) for the copies of the persons that are multiplied at a time."""


class UnitGradients:
    """Gradients of persons, each the sum of those of the person's rows.

    Only their norms need the sums, and those are formed block by block: of all persons, one column's
    heads or one column's part of the first layer at a time.
    """

    def __init__(self, rows: RowGradients, groups: Int64Array, units: int) -> None:
        """Group rows by person.

        Args:
            rows: with all rows of each person.
            groups: (n,) the person of each row, 0..units-1.
            units: number of persons.
        """
        self._rows, self._units = rows, units
        self._groups = torch.from_numpy(groups)

    def squared_norms(self) -> torch.Tensor:
        """Squared norm of each person's gradient over all parameters (units,)."""
        rows, groups = self._rows, self._groups
        norms = self._norms(rows.total)
        for weight, bias in rows.between():
            norms += self._norms(weight.flatten(1)) + self._norms(bias)
        codes = zip(rows.codes.t(), rows.widths, rows.by_column(rows.owner), strict=True)
        for (code, width, owner), apart in zip(codes, rows.by_column(rows.others), strict=True):
            first = rows.total.index_copy(0, owner, apart)
            norms += self._norms(first, groups * width + code, width)
        features, owners = rows.by_column(rows.inputs[-1]), rows.by_column(rows.owner)
        for error, feature, owner in zip(rows.errors, features, owners, strict=True):
            norms += self._head_norms(error, feature, self._groups[owner])
        return norms

    def _head_norms(
        self, back: torch.Tensor, features: torch.Tensor, units: torch.Tensor
    ) -> torch.Tensor:
        """Squared norms (units,) of the gradients of one column's heads, from its copies (n, ...).

        Each person's copies are multiplied with each other. They are filled up with zeros to the number
        of copies of the person with the most. Only as many persons are multiplied at a time as fit into
        the memory, because all of them could need a thousand times the rows of a piece.
        """
        there = F.pad(features, (0, 1), value=1.0)
        order = torch.argsort(units, stable=True)
        counts = torch.bincount(units, minlength=self._units)
        ends = torch.cumsum(counts, 0)
        each = max(1, int(counts.max()))
        block = max(1, _VALUES // (each * (back.shape[1] + there.shape[1])))
        norms = back.new_zeros(self._units)
        for start in range(0, self._units, block):
            end = min(start + block, self._units)
            chosen = order[int(ends[start] - counts[start]) : int(ends[end - 1])]
            unit = units[chosen]
            rank = torch.arange(len(chosen)) - (
                ends[unit] - counts[unit] - ends[start] + counts[start]
            )
            place = (unit - start) * each + rank
            left, right = (_spread(v[chosen], place, end - start, each) for v in (back, there))
            norms[start:end] = squared_lengths((left.transpose(1, 2) @ right).flatten(1))
        return norms

    def _norms(
        self, values: torch.Tensor, places: torch.Tensor | None = None, each: int = 1
    ) -> torch.Tensor:
        """Squared norms (units,) of sums of rows' values (n, k), `each` places to a person."""
        sums = values.new_zeros(self._units * each, values.shape[1])
        sums.index_add_(0, self._groups if places is None else places, values)
        return squared_lengths(sums.view(self._units, -1))

    def zero(self, units: torch.Tensor) -> None:
        """Make the gradients of some persons (units,), True for them, zero: NaN included."""
        self._rows.zero(units[self._groups])

    def weighted_sum(self, weights: torch.Tensor) -> list[torch.Tensor]:
        """Sum of weight (units,) times gradient, in the order and shapes of `network.parameters()`."""
        return self._rows.weighted_sum(weights[self._groups])


def _spread(values: torch.Tensor, place: torch.Tensor, units: int, each: int) -> torch.Tensor:
    """Copies (n, k), `each` places for a person: (units, each, k), zero where none is."""
    spread = values.new_zeros(units * each, values.shape[1])
    return spread.index_copy_(0, place, values).view(units, each, -1)
