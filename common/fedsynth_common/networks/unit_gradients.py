"""Gradients of persons with several rows, for clipping: norms of sums of rows, cross terms included."""

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from fedsynth_common.array_types import Int64Array
from fedsynth_common.networks.gradients import RowGradients, squared_lengths


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
        places, most = self._places()
        features = rows.by_column(rows.inputs[-1])
        parts = zip(rows.errors, features, rows.by_column(places), most, strict=True)
        for error, feature, place, each in parts:
            ones = F.pad(feature, (0, 1), value=1.0)
            back, there = (self._spread(part, place, each) for part in (error, ones))
            norms += squared_lengths((back.transpose(1, 2) @ there).flatten(1))
        return norms

    def _places(self) -> tuple[torch.Tensor, list[int]]:
        """Where each copy goes among all persons' copies of its column; the most that a person has."""
        predicted, owner = self._rows.predicted, self._groups.numpy()[self._rows.owner.numpy()]
        key = predicted * self._units + owner
        order = np.argsort(key, kind="stable")
        first = np.searchsorted(key[order], key)  # of the same person and column
        rank = np.empty_like(key)
        rank[order] = np.arange(len(key))
        rank -= first
        most = np.ones(self._rows.columns, np.int64)
        np.maximum.at(most, predicted, rank + 1)
        return torch.from_numpy(owner * most[predicted] + rank), most.tolist()

    def _spread(self, values: torch.Tensor, place: torch.Tensor, each: int) -> torch.Tensor:
        """A column's copies (n, k), `each` places for a person: (units, each, k), zero where none is."""
        spread = values.new_zeros(self._units * each, values.shape[1])
        return spread.index_copy_(0, place, values).view(self._units, each, -1)

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
