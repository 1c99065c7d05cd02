"""Turns fine codes back into a table of values.

A leaf is decoded to one of the values (ticks) inside it, drawn uniformly. Atoms are left out, since
an atom has a cell of its own. Integers therefore stay integers, decimals are as declared, and no
value leaves the bounds. `encode(decode(c)) == c` holds for every code that has a value of its own.
A leaf whose only values are atoms has none; it is decoded to its atom.

Categories and booleans are decoded to their texts, the `other` cell to "other", and missing to
<NA>.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa

from fedsynth_common.array_types import BoolArray, Int64Array, UInt16Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema.columns import BooleanColumn, CategoricalColumn, ModelledColumn
from fedsynth_common.schema.domain import MISSING, FineDomain, domain_of
from fedsynth_common.schema.schema import Schema
from fedsynth_common.schema.tick_set import TickSet
from fedsynth_common.tables import as_number
from fedsynth_release.decoding.cell_ticks import CellTicks, leaf_values
from fedsynth_release.decoding.values import series_of


def decode(
    codes: UInt16Array,
    schema: Schema,
    rng: np.random.Generator,
    within: Mapping[int, TickSet] = MappingProxyType({}),
) -> pd.DataFrame:
    """Decode fine codes to a table of the modelled columns.

    Args:
        codes: Fine codes (n, d).
        schema: The public schema.
        rng: Draws the values inside leaves.
        within: By column index, the values that the leaves of a column of numbers may decode to. A
            column that is not listed may take all its values. Every leaf among the codes must
            contain an allowed value.

    Raises:
        InputError: the codes are not fine codes of this schema.
    """
    values = draw_values(codes, schema, rng, within)
    return pd.DataFrame(
        {
            column.name: column_of(cells, column)
            for column, cells in zip(schema.modelled, values, strict=True)
        }
    )


def draw_values(
    codes: UInt16Array,
    schema: Schema,
    rng: np.random.Generator,
    within: Mapping[int, TickSet] = MappingProxyType({}),
) -> list[Int64Array]:
    """Decode fine codes to whole numbers: ticks, or the indices of texts, one array per column.

    Missing cells are `MISSING`. `sampling/rule_repair.py` works on these numbers.
    """
    if codes.ndim != 2 or codes.shape[1] != len(schema.modelled):
        raise InputError(f"expected {len(schema.modelled)} columns of fine codes")
    values = []
    for index, column in enumerate(schema.modelled):
        domain = domain_of(column)
        fine = codes[:, index].astype(np.int64)
        if len(fine) and int(fine.max()) >= domain.width:
            raise InputError(f"column {column.name!r}: fine codes of another schema")
        values.append(values_of_cells(fine, domain, rng, within.get(index)))
    return values


@lru_cache(maxsize=8192)
def _cell_ticks(domain: FineDomain) -> CellTicks:
    return CellTicks.of(domain, leaf_values(domain))


def values_of_cells(
    fine: Int64Array, domain: FineDomain, rng: np.random.Generator, allowed: TickSet | None = None
) -> Int64Array:
    """Decode fine cells of one column; if `allowed` is given, leaves decode to its values only."""
    if not domain.ordered:
        return fine if domain.missing is None else np.where(fine == domain.missing, MISSING, fine)
    return ticks_of_cells(domain, allowed).draw(fine, rng)


def ticks_of_cells(domain: FineDomain, allowed: TickSet | None = None) -> CellTicks:
    """What the cells of a number decode to; if `allowed` is given, leaves only to its values."""
    return _cell_ticks(domain) if allowed is None else CellTicks.of(domain, allowed)


def column_of(values: Int64Array, column: ModelledColumn) -> pd.Series:
    """The values of a column in the form in which a table contains them."""
    missing = values == MISSING
    if isinstance(column, CategoricalColumn | BooleanColumn):
        labels = domain_of(column).labels
        texts = pa.array([*labels, None], type=pa.large_string())
        cells = texts.take(pa.array(np.where(missing, len(labels), values)))
        series = pd.Series(pd.array(cells, dtype="str"))  # Arrow's take, not a Python text per cell
        return series if column.stored_as is None else _stored(series, values, missing, column)
    return series_of(np.where(missing, 0, values), missing, column)


def _stored(
    texts: pd.Series,
    values: Int64Array,
    missing: BoolArray,
    column: CategoricalColumn | BooleanColumn,
) -> pd.Series:
    """The labels in the type that the schema names; nullable columns in pandas' nullable types."""
    if isinstance(column, BooleanColumn):
        flags = (values == 1) & ~missing
        return pd.Series(pd.arrays.BooleanArray(flags, missing) if column.nullable else flags)
    if column.stored_as == "category":
        kind = pd.CategoricalDtype(list(domain_of(column).labels), ordered=column.ordered)
        return texts.astype(kind)
    if column.stored_as == "number":
        return pd.Series(as_number(texts))
    whole = np.where(missing, 0, as_number(texts)).astype(np.int64)
    return pd.Series(pd.arrays.IntegerArray(whole, missing) if column.nullable else whole)
