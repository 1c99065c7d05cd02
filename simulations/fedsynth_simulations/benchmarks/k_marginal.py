"""NIST's k-marginal score of synthetic census records, as SDNist 2.4 computes it.

The score is published in NIST's Collaborative Research Cycle (Task, Bhagat and Howarth 2023, "SDNist v2:
Deidentified Data Report Tool", doi:10.18434/mds2-2943; `sdnist/metrics/kmarginal.py`, with the bins of
`sdnist/report/dataset/binning.py`). SDNist pins versions of its libraries that do not go together with
ours, so the score is written again here:

    score = 500 (2 - mean over pairs (a, b) of sum |t - s|),

where t and s are the shares of the target's and of the synthetic records in the cells of (PUMA, a, b). a
and b go over all columns but PUMA and INDP. So 1000 is equality, and 0 means that no cell is shared.
Numbers are cut at the twentieths of the *target's* values; an income-to-poverty ratio of 501 ("above")
is a bin of its own, and so is "N" of every column.
"""

from itertools import combinations

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.errors import InputError

NUMBERS = ("AGEP", "POVPIP", "PINCP", "PWGTP", "WGTP")
GROUP, LEFT_OUT = "PUMA", ("PUMA", "INDP")
ABOVE = {"POVPIP": 501.0}
"""A value that says "more than that": it is a bin of its own."""
BINS = 20


def k_marginal(target: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    """The score of synthetic records, 0 to 1000; missing cells are "N".

    Raises:
        InputError: the synthetic table lacks a column of the target, or has no rows.
    """
    if missing := sorted(set(target.columns) - set(synthetic.columns)):
        raise InputError(f"k-marginal: the synthetic table has no column {missing[0]!r}")
    if not len(synthetic):
        raise InputError("k-marginal: the synthetic table has no rows")
    codes = [_codes(target[name], synthetic[name], name) for name in target.columns]
    by_name = dict(zip(target.columns, codes, strict=True))
    columns = [name for name in sorted(target.columns) if name not in LEFT_OUT]
    size = len(target)
    differences = [
        _difference([by_name[name] for name in (GROUP, a, b)], size)
        for a, b in combinations(columns, 2)
    ]
    return 500 * (2 - float(np.mean(differences)))


def _difference(columns: list[Int64Array], size: int) -> float:
    """Sum of |t - s| over the cells of three columns; the first `size` rows are the target's."""
    cells = np.zeros(len(columns[0]), dtype=np.int64)
    for codes in columns:
        cells = cells * (int(codes.max()) + 1) + codes
    _, cells = np.unique(cells, return_inverse=True)
    most = int(cells.max()) + 1
    here, there = (np.bincount(part, minlength=most) for part in (cells[:size], cells[size:]))
    return float(np.abs(here / size - there / (len(cells) - size)).sum())


def _codes(target: pd.Series, synthetic: pd.Series, name: str) -> Int64Array:
    """Codes of both columns, the target's first."""
    both = pd.concat([target, synthetic], ignore_index=True)
    if name not in NUMBERS:
        texts = both.astype("str").where(both.notna(), "N")
        return np.asarray(pd.factorize(texts)[0], dtype=np.int64)
    values = np.asarray(pd.to_numeric(both, errors="coerce"), dtype=np.float64)
    edges = _edges(values[: len(target)], ABOVE.get(name))
    codes = np.searchsorted(edges, values, side="left") + 1
    return np.where(np.isnan(values), 0, codes).astype(np.int64)


def _edges(values: Float64Array, above: float | None) -> Float64Array:
    """The largest target value of every bin but the last."""
    known = values[~np.isnan(values)]
    low = known[known < above] if above is not None else known
    ranks = pd.Series(low).rank(pct=True).to_numpy()
    bins = np.minimum((BINS * ranks).astype(np.int64), BINS - 1)
    largest: Float64Array = np.array([low[bins == number].max() for number in np.unique(bins)])
    return largest if above is not None else largest[:-1]
