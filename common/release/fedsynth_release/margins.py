"""margins.parquet: the noisy shares of all columns and measured pairs, with error bars.

For many users the table of frequencies is the product: how many percent of all records have this
value, or this pair of values, and how sure is that. The file has one row for each cell:

| column | content |
|---|---|
| `column_1`, `value_1` | a column and one of its values, in readable form |
| `column_2`, `value_2` | the other column of a pair; empty in margins of one column |
| `share` | the estimated share, 0 to 1 |
| `standard_error` | how far the share is likely to be from that of the sites' records |

The shares are those that the generator was fitted to: pooled over the sites, and of pairs without
most of their noise. They are post-processing of counts that the sites charged, so the file costs no
privacy budget. Of histories, the rows of columns of events are shares of events, and pairs are those
with a column of persons. Cells of a pair may be slightly negative or sum to a little more or less
than 1, because noise was added and nothing is cut off.

The error of a pair adds up what is known: the noise that is left, the error of both columns, and what
removing the noise is likely to have removed of the relation itself (`_variance`). On five open
tables, 93 % to 99 % of the true shares of pairs lay within 1.96 standard errors; of shares from 0.5 %
on, 88 % to 98 % (simulations/RESULTS.md, "Error bars of pairs").
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fedsynth_common.array_types import Float64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_release.code_labels import code_labels
from fedsynth_release.decoding import Codebook
from fedsynth_release.measured_associations import TYPICAL
from fedsynth_release.measurements import NoisyMarginal

NAMES = ("column_1", "value_1", "column_2", "value_2", "share", "standard_error")
DIGITS = 6
REMOVED = 0.7
"""What removing the noise hides of a relation, as a share of what the raw noise alone would hide."""


def margins_of(
    schema: Schema, codebook: Codebook, marginals: Sequence[NoisyMarginal]
) -> pd.DataFrame:
    """One row a cell of all marginals.

    Args:
        schema: of the generator's columns (`Generator.model_schema`).
        codebook: what the codes stand for.
        marginals: of one column or of two.
    """
    modelled = schema.modelled
    labels = [
        np.array(code_labels(column, view), dtype=object)
        for column, view in zip(modelled, codebook.views, strict=True)
    ]
    alone = {m.columns[0]: m for m in marginals if len(m.columns) == 1}
    parts = []
    for marginal in marginals:
        first, *rest = marginal.columns
        shares = np.asarray(marginal.frequencies, dtype=np.float64)
        variance = _variance(marginal, [alone[column] for column in marginal.columns])
        cells = np.indices(shares.shape).reshape(shares.ndim, -1)
        second = rest[0] if rest else None
        parts.append(
            pd.DataFrame(
                {
                    "column_1": modelled[first].name,
                    "value_1": labels[first][cells[0]],
                    "column_2": None if second is None else modelled[second].name,
                    "value_2": None if second is None else labels[second][cells[1]],
                    "share": np.round(shares.reshape(-1), DIGITS),
                    "standard_error": np.round(np.sqrt(variance.reshape(-1)), DIGITS),
                }
            )
        )
    return pd.concat([part.astype(_types()) for part in parts], ignore_index=True)


def _variance(marginal: NoisyMarginal, alone: Sequence[NoisyMarginal]) -> Float64Array:
    """The variance of each share; `alone` are the marginals of its columns.

    Of a pair whose noise was removed, the posterior variance knows neither the errors of the two
    columns nor that a weak relation may have been taken for noise. If a relation of typical strength
    (Cramér's V, `TYPICAL`) is spread evenly over k x l cells, k the smaller, the share of a cell is off
    by s = V² p q (k - 1) / k l, squared. Raw noise of variance v would hide s v / (s + v) of it.
    """
    raw = np.full(np.shape(marginal.frequencies), marginal.variance)
    if marginal.unknown is None:
        return raw
    p, q = (np.maximum(one.frequencies, 0.0) for one in alone)
    of_columns = np.add.outer(p**2 * alone[1].variance, q**2 * alone[0].variance)
    strength = TYPICAL**2 * np.outer(p, q) * (min(p.size, q.size) - 1) / raw.size
    removed = REMOVED * strength * raw / np.maximum(strength + raw, 1e-300)
    return np.asarray(np.maximum(marginal.unknown, removed) + of_columns)


def _types() -> dict[str, str]:
    return {name: "str" if "_" in name and name[-1] in "12" else "float64" for name in NAMES}


def write_margins(margins: pd.DataFrame, path: Path) -> None:
    """Write the file; texts are stored once each, so that it stays small."""
    fields = [
        pa.field(name, pa.string() if kind == "str" else pa.float32())
        for name, kind in _types().items()
    ]
    table = pa.Table.from_pandas(margins, schema=pa.schema(fields), preserve_index=False)
    pq.write_table(table, path, compression="zstd")


def read_margins(path: Path | pa.BufferReader, source: str = "") -> pd.DataFrame:
    """Read the file.

    Args:
        path: the file, or its bytes.
        source: the name that messages give it; by default its path.

    Raises:
        InputError: it is missing, or not such a file.
    """
    source = source or str(path)
    try:
        frame = pq.read_table(path).to_pandas()
    except (OSError, pa.ArrowException):
        raise InputError(f"{source}: missing, or not a Parquet file; export it again") from None
    if tuple(frame.columns) != NAMES:
        raise InputError(f"{source}: expected the columns {', '.join(NAMES)}; export it again")
    return pd.DataFrame(frame.astype(_types()))
