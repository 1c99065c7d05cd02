"""Encodes tables as inputs of classifiers.

The two learners of `utility` need different inputs, so there are two encodings of the same cells:

- `cells` has one float column for each modelled column. Numbers stay as they are, categories become
  indices of their levels, and missing cells become NaN. Gradient boosting bins numbers itself and
  splits on sets of categories.
- `linear` is a sparse matrix for logistic regression. Numbers are standardised and clipped at 10
  standard deviations; a missing number becomes 0 with an indicator column. Categories become
  one-hot columns.

The levels come from the public schema. The means and standard deviations come from the table given
to `fit`. In "train on synthetic, test on real" this is the synthetic table, so the test rows have
no influence on the encoding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from fedsynth_common.array_types import BoolArray, Float64Array
from fedsynth_common.schema import ModelledColumn, Schema
from fedsynth_release.evaluation.discretise import cell_column, level_codes, named_levels, numbers

# scikit-learn's boosting splits on sets of at most this many levels; more are used as numbers
_MAX_SET_LEVELS = 255
_CLIP = 10.0


@dataclass(frozen=True)
class Features:
    """The encoding of tables of one schema for classifiers.

    Attributes:
        columns: The modelled columns in schema order.
        centres: The mean of each column (0 for categories).
        spreads: The standard deviation of each column (1 for categories and constants).
    """

    columns: tuple[ModelledColumn, ...]
    centres: Float64Array
    spreads: Float64Array

    @classmethod
    def fit(cls, schema: Schema, train: pd.DataFrame) -> "Features":
        """Take the means and standard deviations of numbers from `train`."""
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
    def sets(self) -> BoolArray:
        """Which columns of `cells` contain indices of levels without an order."""
        widths = np.array([len(named_levels(column)) for column in self.columns])
        return (widths > 0) & (widths <= _MAX_SET_LEVELS)

    def cells(self, frame: pd.DataFrame) -> Float64Array:
        """The cells (n x d): numbers or indices of levels; missing cells are NaN."""
        matrix = np.empty((len(frame), len(self.columns)))
        for j, column in enumerate(self.columns):
            raw = cell_column(frame, column.name)
            if named_levels(column):
                codes = level_codes(raw, column)
                matrix[:, j] = np.where(codes < 0, np.nan, codes)
            else:
                matrix[:, j] = numbers(raw, column)
        return matrix

    def linear(self, cells: Float64Array, keep: Sequence[int]) -> Any:
        """The columns `keep` of `cells` for linear models, as a float32 CSR matrix."""
        blocks = [
            _one_hot(cells[:, j], len(named_levels(self.columns[j])))
            if named_levels(self.columns[j])
            else _standardised(cells[:, j], self.centres[j], self.spreads[j])
            for j in keep
        ]
        return sparse.hstack(blocks, format="csr", dtype=np.float32)


def _one_hot(codes: Float64Array, width: int) -> Any:
    rows = np.flatnonzero(~np.isnan(codes))
    ones = np.ones(len(rows), dtype=np.float32)
    return sparse.csr_matrix((ones, (rows, codes[rows].astype(int))), shape=(len(codes), width))


def _standardised(values: Float64Array, centre: float, spread: float) -> Any:
    missing = np.isnan(values)
    scaled = np.clip((np.where(missing, centre, values) - centre) / spread, -_CLIP, _CLIP)
    return sparse.csr_matrix(np.column_stack([scaled, missing]).astype(np.float32))
