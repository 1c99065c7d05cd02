"""Encodes records as fine codes, once, under the public schema.

Nothing is learned from the records. A cell that does not fit the schema is repaired by a public rule,
and the repairs are counted for the site's own operator. The counts are private and never leave the
site.

| cell | becomes |
|---|---|
| number, date or duration out of bounds | the nearest bound |
| more decimals than declared, or off the grid of the step | the nearest representable number |
| a time finer than the granularity | cut to it |
| text for a number, a date or a duration | missing if nullable, else refused |
| unknown category | `other` if declared, else refused |
| unknown boolean | refused |
| missing, or a mark of a missing cell (`NA`, `missing_marks`) | missing if nullable, else refused |

A cell's code depends on that cell alone, and not on the type in which its table stores it. 1, 1.0,
1.00 and true are the same number, and so is the text `1`. A whole number is the category of its
digits, and `1.0` is category `1` unless `1.0` is listed itself.

A refusal names the column and the number of cells, and never a cell's value.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import pandas as pd

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array, UInt16Array
from fedsynth_common.encoding.values import scaled
from fedsynth_common.encoding.written import without_marks
from fedsynth_common.errors import InputError
from fedsynth_common.schema.columns import (
    BooleanColumn,
    CategoricalColumn,
    IntegerColumn,
    ModelledColumn,
    NumericColumn,
    OrderedColumn,
)
from fedsynth_common.schema.domain import FineDomain, domain_of
from fedsynth_common.schema.schema import Schema
from fedsynth_common.tables import factorise, whole_number

Extra = Literal["refuse", "ignore"]


@dataclass(frozen=True, kw_only=True)
class RepairCounts:
    """How many cells of a column were changed to fit the schema. Private to the site.

    Attributes:
        clamped: Numbers and dates moved to the nearest bound.
        rounded: Numbers with more decimals or off the grid, times with more detail than declared.
        unknown: Texts that are not a listed category, now `other`.
        unparsable: Texts where a number, date or duration was expected, now missing.
    """

    clamped: int = 0
    rounded: int = 0
    unknown: int = 0
    unparsable: int = 0

    @property
    def total(self) -> int:
        """All repairs together."""
        return sum(asdict(self).values())


@dataclass(frozen=True, eq=False)
class EncodedTable:
    """Fine codes (n, d) of the modelled columns, and the repairs per column."""

    codes: UInt16Array
    repairs: dict[str, RepairCounts]


def encode(frame: pd.DataFrame, schema: Schema, extra: Extra = "refuse") -> EncodedTable:
    """Encode a table.

    Args:
        frame: The records; ids may be present or absent, in any column order.
        schema: The public schema.
        extra: Whether columns that the schema does not know are refused or ignored.

    Raises:
        InputError: the columns are not those of the schema, or cells cannot be repaired.
    """
    check_columns(frame, schema, extra)
    codes = np.empty((len(frame), len(schema.modelled)), dtype=np.uint16)
    repairs = {}
    for index, column in enumerate(schema.modelled):
        codes[:, index], repairs[column.name] = encode_column(frame[column.name], column)
    return EncodedTable(codes, repairs)


def encode_column(series: pd.Series, column: ModelledColumn) -> tuple[UInt16Array, RepairCounts]:
    """Fine codes of one column.

    Raises:
        InputError: cells that cannot be repaired.
    """
    domain = domain_of(column)
    if isinstance(column, CategoricalColumn | BooleanColumn):
        return _encode_labels(series, column, domain)
    return _encode_numbers(series, column, domain)


def check_columns(
    frame: pd.DataFrame, schema: Schema, extra: Extra = "refuse", partial: bool = False
) -> None:
    """Refuse a table whose columns are not those of the schema.

    Raises:
        InputError: columns are missing (unless `partial`), occur twice, or are not in the schema.
    """
    names = [str(name) for name in frame.columns]
    if len(set(names)) != len(names):
        raise InputError("the table has several columns of the same name")
    missing = [column.name for column in schema.modelled if column.name not in names]
    if missing and not partial:
        raise InputError(f"the table lacks columns of the schema: {_listed(missing)}")
    declared = {column.name for column in schema.columns}
    unknown = [name for name in names if name not in declared]
    if unknown and extra == "refuse":
        raise InputError(
            f"the table has columns that the schema does not know: {_listed(unknown)}; "
            "remove them or declare them"
        )


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more


def _encode_labels(
    series: pd.Series, column: CategoricalColumn | BooleanColumn, domain: FineDomain
) -> tuple[UInt16Array, RepairCounts]:
    cells, texts = factorise(without_marks(series, column))
    code_of = _codes_of_texts(column, domain)
    read = (code_of.get(text, code_of.get(whole_number(text), -1)) for text in texts)
    lookup = np.array([*read, -1], dtype=np.int64)
    codes = lookup[cells]
    missing = cells < 0
    unknown = (codes < 0) & ~missing
    count = int(unknown.sum())
    if count:
        if domain.other is None:
            raise InputError(
                f"column {domain.name!r}: {_cells(count)} not listed in the schema; "
                "list the value or declare the column categorical with other = true"
            )
        codes[unknown] = domain.other
    return _with_missing(codes, missing, domain), RepairCounts(unknown=count)


def _codes_of_texts(
    column: CategoricalColumn | BooleanColumn, domain: FineDomain
) -> dict[str, int]:
    """The code of each declared text, and of what says the same in another type.

    Declared `1.0` is also 1. A boolean is true or false whatever the column calls it, and where it calls
    them so, 1 and 0 are booleans as well. A declared text always means itself.
    """
    codes = {whole_number(label): code for code, label in enumerate(domain.labels)}
    if isinstance(column, BooleanColumn):
        codes |= {"false": 0, "true": 1}
        if domain.labels == ("false", "true"):  # and so they are in CSV files of pandas and of R
            codes |= {"0": 0, "1": 1, "False": 0, "True": 1, "FALSE": 0, "TRUE": 1}
    return codes | {label: code for code, label in enumerate(domain.labels)}


def _encode_numbers(
    series: pd.Series, column: OrderedColumn, domain: FineDomain
) -> tuple[UInt16Array, RepairCounts]:
    ticks, absent, counts = whole_ticks(series, column, domain)
    if counts.unparsable and domain.missing is None:
        kind = "a number" if isinstance(column, NumericColumn | IntegerColumn) else column.kind
        raise InputError(f"column {domain.name!r}: {_cells(counts.unparsable)} not {_a(kind)}")
    return _with_missing(codes_of_ticks(ticks, domain), absent, domain), counts


def whole_ticks(
    series: pd.Series, column: OrderedColumn, domain: FineDomain
) -> tuple[Int64Array, BoolArray, RepairCounts]:
    """The nearest tick within bounds of every cell, which cells have none, and the repairs."""
    read = scaled(series, column)
    absent = np.isnan(read.ticks)
    ticks, clamped, rounded = _to_ticks(np.where(absent, 0.0, read.ticks), domain)
    counts = RepairCounts(
        clamped=int((clamped & ~absent).sum()),
        rounded=int((rounded & ~absent).sum()),
        unparsable=read.unreadable,
    )
    return ticks, absent, counts


def _to_ticks(scaled: Float64Array, domain: FineDomain) -> tuple[Int64Array, BoolArray, BoolArray]:
    """Nearest tick within bounds; which values were clamped, which were rounded."""
    low, high = int(domain.ticks[0]), int(domain.ticks[-1]) - 1
    nearest = np.rint(scaled)
    atom = np.zeros(len(nearest), dtype=bool)
    if domain.atoms:
        atom = np.isin(nearest, domain.atom_ticks)
    if domain.step > 1:  # an atom may lie off the grid
        grid = low + domain.step * np.rint((scaled - low) / domain.step)
        nearest = np.where(atom, nearest, grid)
    # an atom may lie out of the bounds: 9999-12-31 for "no end"
    clamped = ((nearest < low) | (nearest > high)) & ~atom
    # a decimal fraction times a power of ten misses its tick by a few units in the last place
    rounded = ~clamped & (np.abs(scaled - nearest) > 1e-9 * np.maximum(1.0, np.abs(scaled)))
    within = np.where(clamped, np.clip(nearest, low, high), nearest)
    return within.astype(np.int64), clamped, rounded


def codes_of_ticks(ticks: Int64Array, domain: FineDomain) -> Int64Array:
    """Fine codes of ticks within bounds: the atom where there is one, else the leaf."""
    codes = domain.atoms + np.searchsorted(domain.ticks, ticks, side="right") - 1
    if domain.atoms:
        atom = np.searchsorted(domain.atom_ticks, ticks)
        atom = np.minimum(atom, domain.atoms - 1)
        codes = np.where(domain.atom_ticks[atom] == ticks, atom, codes)
    return np.asarray(codes, dtype=np.int64)


def _with_missing(codes: Int64Array, missing: BoolArray, domain: FineDomain) -> UInt16Array:
    if domain.missing is not None:
        codes = np.where(missing, domain.missing, codes)
    elif missing.any():
        raise InputError(
            f"column {domain.name!r}: {_cells(int(missing.sum()))} missing; "
            "fill them or declare nullable = true"
        )
    return codes.astype(np.uint16)


def _cells(count: int) -> str:
    return "1 cell is" if count == 1 else f"{count} cells are"


def _a(kind: str) -> str:
    return kind if kind.startswith("a ") else f"a {kind} as the schema declares it"
