"""measurements.json: the noisy marginals that all sites measured together, for a report.

The coordinator has no real records. Its report therefore compares the generator with the noisy
marginals from which the generator learned. The counts are pooled over the sites, divided by the
noisy number of records and made consistent. All this is post-processing of differentially private
counts, so it costs no privacy budget. The comparison shows how well the generator learned what was
measured; `error` shows how far the measurement itself may be from the truth.

Guarantees: the frequencies of a column are not negative and sum to one; the columns are those of
the schema in order; `from_json(to_json(m)) == m`; figures are rounded to six digits.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fedsynth_common.array_types import Float64Array
from fedsynth_common.limits import MAX_STATEMENT_BYTES
from fedsynth_common.schema import Schema
from fedsynth_common.validated import read_model

DIGITS = 6
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Matrix = tuple[tuple[Share, ...], ...]


class NoisyMarginal(Protocol):
    """A marginal pooled over the sites: its columns, its frequencies and their noise variance."""

    @property
    def columns(self) -> tuple[int, ...]:
        """The indices of the columns among the modelled columns."""

    @property
    def frequencies(self) -> Float64Array:
        """The frequencies, with one axis for each column."""

    @property
    def variance(self) -> float:
        """The variance of the noise on one frequency."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MeasuredColumn(_Part):
    """The frequencies of one column's codes; `error` is the standard deviation of one frequency."""

    name: str
    frequencies: tuple[Share, ...] = Field(min_length=1)
    error: Annotated[float, Field(ge=0, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        if abs(sum(self.frequencies) - 1.0) > 1e-3:
            raise ValueError("frequencies must sum to one")
        return self


class MeasuredPairs(_Part):
    """Two square, symmetric tables over the columns in order, with 0 on the diagonal.

    Attributes:
        distance: total variation distance of the generator's pair from the measured pair.
        dependence: total variation distance of the measured pair from independent columns; 0 if the
            dependence cannot be told from the noise.
    """

    distance: Matrix
    dependence: Matrix


class Measurements(_Part):
    """The measurements of a study; `records` is the noisy number of all sites' records."""

    format_version: Literal[1] = 1
    records: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    columns: tuple[MeasuredColumn, ...]
    pairs: MeasuredPairs | None = None

    @model_validator(mode="after")
    def _is_square(self) -> Self:
        size = len(self.columns)
        for matrix in (self.pairs.distance, self.pairs.dependence) if self.pairs else ():
            if len(matrix) != size or any(len(row) != size for row in matrix):
                raise ValueError("pairs must have a row and a column for each column")
        return self

    @classmethod
    def of(
        cls, schema: Schema, records: float, marginals: Sequence[NoisyMarginal], soft: Float64Array
    ) -> Self:
        """Put together the measured marginals and how far the generator is from them.

        Args:
            schema: the schema of the study.
            records: the noisy number of records.
            marginals: one one-way marginal for each modelled column in order, then the pairs.
            soft: the generator's probabilities (latents, sum of widths).
        """
        names = [column.name for column in schema.modelled]
        first = [_cleaned(marginal.frequencies) for marginal in marginals[: len(names)]]
        columns = [
            MeasuredColumn(name=name, frequencies=_rounded(p), error=_error(marginal.variance))
            for name, p, marginal in zip(names, first, marginals, strict=False)
        ]
        pairs = [marginal for marginal in marginals if len(marginal.columns) == 2]
        return cls(
            records=round(float(records), 1),
            columns=tuple(columns),
            pairs=_pairs(pairs, first, soft) if pairs else None,
        )

    def to_json(self) -> str:
        """The text of the file."""
        return self.model_dump_json() + "\n"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            InputError: the file is missing, cannot be read or is damaged.
        """
        return read_model(path, cls, MAX_STATEMENT_BYTES, "damaged")


def _cleaned(frequencies: Float64Array) -> Float64Array:
    """The frequencies cut at 0 and scaled to sum to one."""
    positive = np.maximum(np.asarray(frequencies, dtype=np.float64), 0.0)
    total = positive.sum()
    return positive / total if total > 0 else np.full_like(positive, 1.0 / positive.size)


def _rounded(values: Float64Array) -> tuple[float, ...]:
    return tuple(float(v) for v in np.round(values, DIGITS))


def _error(variance: float) -> float:
    return float(f"{np.sqrt(variance):.4g}")


def _pairs(
    pairs: Sequence[NoisyMarginal], first: Sequence[Float64Array], soft: Float64Array
) -> MeasuredPairs:
    size = len(first)
    starts = np.concatenate([[0], np.cumsum([p.size for p in first])])
    distance, dependence = np.zeros((size, size)), np.zeros((size, size))
    for pair in pairs:
        a, b = pair.columns
        measured = _cleaned(pair.frequencies)
        left, right = (soft[:, starts[c] : starts[c + 1]] for c in (a, b))
        learned = left.T @ right / len(soft)
        alone = np.outer(measured.sum(axis=1), measured.sum(axis=0))
        distance[a, b] = distance[b, a] = _tvd(learned, measured)
        dependence[a, b] = dependence[b, a] = _tvd(measured, alone)
    return MeasuredPairs(distance=_matrix(distance), dependence=_matrix(dependence))


def _tvd(p: NDArray[Any], q: NDArray[Any]) -> float:
    return min(1.0, float(0.5 * np.abs(p - q).sum()))


def _matrix(values: Float64Array) -> Matrix:
    return tuple(_rounded(row) for row in np.round(values, 4))
