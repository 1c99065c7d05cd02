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
from fedsynth_release.decoding import Codebook
from fedsynth_release.measured_associations import (
    CodeValues,
    code_values,
    hidden_errors,
    measured_association,
)

DIGITS = 6
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Signed = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Matrix = tuple[tuple[Share, ...], ...]
SignedMatrix = tuple[tuple[Signed, ...], ...]


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

    @property
    def unknown(self) -> Float64Array | None:
        """The variance of what is unknown of each frequency once noise was removed, if it was."""


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


class MeasuredAssociations(_Part):
    """Square, symmetric tables over the columns in order; see `measured_associations.Association`.

    A pair that was not measured has `known` False, and 0 in the other tables.
    """

    measured: SignedMatrix
    error: Matrix
    generator: SignedMatrix
    known: tuple[tuple[bool, ...], ...]


class MeasuredPairs(_Part):
    """Square, symmetric tables over the columns in order, with 0 on the diagonal.

    Attributes:
        distance: total variation distance of the generator's pair from the measured pair.
        dependence: total variation distance of the measured pair from independent columns; 0 if the
            dependence cannot be told from the noise.
        associations: how strongly columns are associated; None in files of earlier versions.
    """

    distance: Matrix
    dependence: Matrix
    associations: MeasuredAssociations | None = None


class MeasuredTransition(_Part):
    """How a column of events follows itself at the next event; total variation distances.

    Attributes:
        learned: of the generator from what was measured.
        noise: of what was measured from the real events, as expected by the noise that is left.
        chance: of what was measured from events that follow each other by chance.
    """

    learned: Share
    noise: Share
    chance: Share


class Measurements(_Part):
    """The measurements of a study.

    Attributes:
        records: the noisy number of all sites' records.
        cell_error: standard deviation of the noise on the share of one fine cell, before cells were
            put together to codes; None in files of earlier versions.
        columns, pairs: what was measured of them.
        transitions: of histories, for each column; None where it was not measured.
    """

    format_version: Literal[1] = 1
    records: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    cell_error: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    columns: tuple[MeasuredColumn, ...]
    pairs: MeasuredPairs | None = None
    transitions: tuple[MeasuredTransition | None, ...] = ()

    @model_validator(mode="after")
    def _has_all_transitions(self) -> Self:
        if self.transitions and len(self.transitions) != len(self.columns):
            raise ValueError("transitions must have an entry for each column")
        return self

    @model_validator(mode="after")
    def _is_square(self) -> Self:
        size, pairs = len(self.columns), self.pairs
        found = pairs.associations if pairs else None
        tables = (pairs.distance, pairs.dependence) if pairs else ()
        more = (found.measured, found.error, found.generator, found.known) if found else ()
        for matrix in (*tables, *more):
            if len(matrix) != size or any(len(row) != size for row in matrix):
                raise ValueError("pairs must have a row and a column for each column")
        return self

    @classmethod
    def of(
        cls,
        schema: Schema,
        records: float,
        marginals: Sequence[NoisyMarginal],
        soft: Float64Array,
        codebook: Codebook | None = None,
        cell_error: float | None = None,
    ) -> Self:
        """Put together the measured marginals and how far the generator is from them.

        Args:
            schema: the schema of the study.
            records: the noisy number of records.
            marginals: one one-way marginal for each modelled column in order, then the pairs.
            soft: the generator's probabilities (latents, sum of widths).
            codebook: what the codes stand for; without it there are no associations.
            cell_error: standard deviation of the noise on the share of one fine cell.
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
            cell_error=None if cell_error is None else float(f"{cell_error:.4g}"),
            columns=tuple(columns),
            pairs=_pairs(schema, pairs, soft, first, codebook) if pairs else None,
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
    schema: Schema,
    pairs: Sequence[NoisyMarginal],
    soft: Float64Array,
    first: Sequence[Float64Array],
    codebook: Codebook | None,
) -> MeasuredPairs:
    """The tables of all pairs; associations only of pairs that say what is unknown about them."""
    size = len(first)
    starts = np.concatenate([[0], np.cumsum([p.size for p in first])])
    values = _values(schema, codebook)
    distance, dependence, measured, posterior, noise, made = np.zeros((6, size, size))
    known = np.zeros((size, size), dtype=bool)
    for pair in pairs:
        a, b = pair.columns
        joint = _cleaned(pair.frequencies)
        left, right = (soft[:, starts[c] : starts[c + 1]] for c in (a, b))
        learned = left.T @ right / len(soft)
        alone = np.outer(joint.sum(axis=1), joint.sum(axis=0))
        distance[a, b] = distance[b, a] = _tvd(learned, joint)
        dependence[a, b] = dependence[b, a] = _tvd(joint, alone)
        if values and pair.unknown is not None:
            sides = values[a], values[b]
            whole = float(pair.frequencies.sum()) or 1.0
            noises = pair.unknown / whole**2, pair.variance / whole**2
            found = measured_association(joint, *noises, learned, sides)
            both = [a, b], [b, a]
            known[both], measured[both], made[both] = True, found.measured, found.generator
            posterior[both], noise[both] = found.posterior, found.noise
    numbers = np.array([side.number for side in values], dtype=bool)
    return MeasuredPairs(
        distance=_matrix(distance),
        dependence=_matrix(dependence),
        associations=MeasuredAssociations(
            measured=_matrix(measured),
            error=_matrix(hidden_errors(measured, posterior, noise, numbers, known)),
            generator=_matrix(made),
            known=tuple(tuple(row) for row in known.tolist()),
        )
        if known.any()
        else None,
    )


def _values(schema: Schema, codebook: Codebook | None) -> list[CodeValues]:
    if codebook is None:
        return []
    parts = zip(schema.modelled, codebook.views, codebook.shapes, strict=True)
    return [code_values(column, view, shape) for column, view, shape in parts]


def _tvd(p: NDArray[Any], q: NDArray[Any]) -> float:
    return min(1.0, float(0.5 * np.abs(p - q).sum()))


def _matrix(values: Float64Array) -> Matrix:
    return tuple(_rounded(row) for row in np.round(values, 4))
