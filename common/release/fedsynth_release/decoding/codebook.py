"""A codebook says which fine cells form one code, and how likely each is inside its code.

The *view* of a column maps each fine cell to its code. Bins of numbers and merged rare categories
are examples of codes that contain several fine cells. The *shape* is the distribution of the fine
cells inside their code; it is used to decode. Both are public, because they are computed from the
schema and from noisy histograms, and post-processing costs no privacy budget.

Guarantees, checked on construction because a codebook may come from a file: every view uses all
codes from 0 to w-1; shapes are finite, not negative, and sum to 1 inside each code; arrays are
read-only copies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fedsynth_common.array_types import Float64Array, UInt16Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import domains
from fedsynth_common.schema.schema import Schema
from fedsynth_release.decoding.cell_draws import CellDraws


@dataclass(frozen=True, eq=False)
class Codebook:
    """One view and one shape for each modelled column, in order."""

    views: tuple[UInt16Array, ...]
    shapes: tuple[Float64Array, ...]
    _draws: dict[int, CellDraws] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.views) != len(self.shapes):
            raise InputError("codebook: the number of views and of shapes differs")
        for index, (view, shape) in enumerate(zip(self.views, self.shapes, strict=True)):
            _check(index, np.asarray(view), np.asarray(shape))
        views = tuple(np.array(view, dtype=np.uint16) for view in self.views)
        shapes = tuple(np.array(shape, dtype=np.float64) for shape in self.shapes)
        for view, shape in zip(views, shapes, strict=True):
            view.flags.writeable = False
            shape.flags.writeable = False
        object.__setattr__(self, "views", views)
        object.__setattr__(self, "shapes", shapes)

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of codes of each column."""
        return tuple(int(view.max()) + 1 for view in self.views)

    @property
    def offsets(self) -> tuple[int, ...]:
        """The first position of each column in the one-hot row (one entry per column)."""
        return tuple(int(start) for start in np.cumsum((0, *self.widths))[:-1])

    @property
    def total(self) -> int:
        """D, the width of the one-hot row."""
        return sum(self.widths)

    def apply(self, fine: UInt16Array) -> UInt16Array:
        """Codes (n, d) of fine codes (n, d).

        Raises:
            InputError: `fine` has another number of columns, or a fine code that its column lacks.
        """
        self._check_columns(fine)
        codes = np.empty(fine.shape, dtype=np.uint16)
        for index, view in enumerate(self.views):
            if len(fine) and int(fine[:, index].max()) >= len(view):
                raise InputError(f"codebook: column {index} has fine codes of another schema")
            codes[:, index] = view[fine[:, index]]
        return codes

    def to_fine(self, codes: UInt16Array, rng: np.random.Generator) -> UInt16Array:
        """Draw a fine code from the shape of each code; `apply(to_fine(c)) == c` for every draw.

        Raises:
            InputError: `codes` has another number of columns, or a code that its column lacks.
        """
        self._check_columns(codes)
        fine = np.empty(codes.shape, dtype=np.uint16)
        for index, width in enumerate(self.widths):
            if len(codes) and int(codes[:, index].max()) >= width:
                raise InputError(f"codebook: column {index} has codes of another codebook")
            fine[:, index] = self.cells_of(index, codes[:, index], rng)
        return fine

    def cells_of(self, index: int, codes: UInt16Array, rng: np.random.Generator) -> UInt16Array:
        """Draw a fine code for each code of one column."""
        if index not in self._draws:
            self._draws[index] = CellDraws.of(self.views[index], self.shapes[index])
        return self._draws[index].draw(codes, rng)

    @classmethod
    def identity(cls, schema: Schema) -> "Codebook":
        """The codebook in which every fine cell is a code of its own."""
        widths = [domain.width for domain in domains(schema)]
        views = tuple(np.arange(width, dtype=np.uint16) for width in widths)
        return cls(views, tuple(np.ones(width) for width in widths))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The codebook as named arrays, for a safetensors file."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for index, (view, shape) in enumerate(zip(self.views, self.shapes, strict=True)):
            arrays[f"codebook.view.{index}"] = view
            arrays[f"codebook.shape.{index}"] = shape
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "Codebook":
        """Read the codebook from named arrays; arrays with other names are ignored.

        Raises:
            InputError: arrays are missing, or they are not a codebook.
        """
        count = sum(name.startswith("codebook.view.") for name in arrays)
        try:
            views = [arrays[f"codebook.view.{index}"] for index in range(count)]
            shapes = [arrays[f"codebook.shape.{index}"] for index in range(count)]
        except KeyError as error:
            raise InputError(f"codebook: array {error.args[0]!r} is missing") from None
        return cls(tuple(views), tuple(shapes))

    def _check_columns(self, codes: UInt16Array) -> None:
        if codes.ndim != 2 or codes.shape[1] != len(self.views):
            raise InputError(f"codebook: expected {len(self.views)} columns of codes")


def group_totals(view: npt.NDArray[Any], values: Float64Array) -> Float64Array:
    """The sum of `values` over the cells of each code."""
    return np.asarray(np.bincount(view, weights=values), dtype=np.float64)


def _check(index: int, view: npt.NDArray[Any], shape: npt.NDArray[Any]) -> None:
    fault = ""
    if view.ndim != 1 or not len(view) or view.shape != shape.shape:
        fault = "view and shape must be two lists of the same length"
    elif not np.issubdtype(view.dtype, np.integer) or not np.issubdtype(shape.dtype, np.floating):
        fault = "the view must be whole numbers and the shape real numbers"
    elif not np.array_equal(np.unique(view), np.arange(int(view.max()) + 1)):
        fault = "the view must use every code from 0 on"
    elif not np.isfinite(shape).all() or (shape < 0).any():
        fault = "the shape must be finite and not negative"
    elif not np.allclose(group_totals(view, shape), 1.0, atol=1e-4):
        fault = "the shape must sum to 1 inside each code"
    if fault:
        raise InputError(f"codebook: column {index}: {fault}")
