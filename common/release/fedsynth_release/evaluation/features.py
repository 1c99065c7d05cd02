"""Tables as inputs of classifiers.

Two views of the same cells, because the two learners of `utility` want different things:

- `trees`: one float column per modelled column, numbers as they are, level indices for categories,
  NaN for missing. Gradient boosting bins numbers itself and splits on categories as sets.
- `linear`: a sparse matrix with standardised numbers (clipped at 10 standard deviations, missing =
  0 plus an indicator) and one-hot levels, for logistic regression.

Levels come from the public schema; means and standard deviations from the table given to `fit`,
which in "train on synthetic, test on real" is the synthetic one: the test rows decide nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from fedsynth_common.schema import ModelledColumn, Schema
from fedsynth_release.evaluation.discretise import cell_column, level_codes, named_levels, numbers

Floats = npt.NDArray[np.float64]

# scikit-learn's histogram boosting treats at most this many levels as a set; beyond, as a number.
_MAX_SET_LEVELS = 255
_CLIP = 10.0


@dataclass(frozen=True)
class Features:
    """Encoding of a table for classifiers.

    Attributes:
        columns: The modelled columns in schema order.
        centres: Mean per column (0 for categories).
        spreads: Standard deviation per column (1 for categories and constants).
    """

    columns: tuple[ModelledColumn, ...]
    centres: Floats
    spreads: Floats

    @classmethod
    def fit(cls, schema: Schema, train: pd.DataFrame) -> "Features":
        """Means and standard deviations of the numbers of `train`."""
        centres, spreads = [], []
        for column in schema.modelled:
            values = np.empty(0)
            if not named_levels(column):
                values = numbers(cell_column(train, column.name), column)
                values = values[~np.isnan(values)]
            centres.append(float(values.mean()) if len(values) else 0.0)
            spreads.append(float(values.std()) or 1.0 if len(values) else 1.0)
        return cls(schema.modelled, np.array(centres), np.array(spreads))

    @property
    def sets(self) -> npt.NDArray[np.bool_]:
        """Which columns of `trees` hold level indices that have no order."""
        widths = np.array([len(named_levels(column)) for column in self.columns])
        return (widths > 0) & (widths <= _MAX_SET_LEVELS)

    def cells(self, frame: pd.DataFrame) -> Floats:
        """The `trees` view (n x d): numbers or level indices, NaN where missing."""
        matrix = np.empty((len(frame), len(self.columns)))
        for j, column in enumerate(self.columns):
            raw = cell_column(frame, column.name)
            if named_levels(column):
                codes = level_codes(raw, column)
                matrix[:, j] = np.where(codes < 0, np.nan, codes)
            else:
                matrix[:, j] = numbers(raw, column)
        return matrix

    def linear(self, cells: Floats, keep: Sequence[int]) -> Any:
        """The `linear` view of `cells` (scipy CSR, float32), restricted to the columns `keep`."""
        blocks = [
            _one_hot(cells[:, j], len(named_levels(self.columns[j])))
            if named_levels(self.columns[j])
            else _standardised(cells[:, j], self.centres[j], self.spreads[j])
            for j in keep
        ]
        return sparse.hstack(blocks, format="csr", dtype=np.float32)


def _one_hot(codes: Floats, width: int) -> Any:
    rows = np.flatnonzero(~np.isnan(codes))
    ones = np.ones(len(rows), dtype=np.float32)
    return sparse.csr_matrix((ones, (rows, codes[rows].astype(int))), shape=(len(codes), width))


def _standardised(values: Floats, centre: float, spread: float) -> Any:
    missing = np.isnan(values)
    scaled = np.clip((np.where(missing, centre, values) - centre) / spread, -_CLIP, _CLIP)
    return sparse.csr_matrix(np.column_stack([scaled, missing]).astype(np.float32))
