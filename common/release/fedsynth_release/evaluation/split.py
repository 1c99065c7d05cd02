"""Splits a table into rows to learn from and held-out rows to measure on, never splitting a person.

The rows of one person resemble each other. If they were on both sides, the held-out rows would
reward a generator for copying, and an attack could not tell a copied person from a lucky guess.
"""

import numpy as np
import pandas as pd

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema


def split_rows(
    frame: pd.DataFrame, share: float, rng: np.random.Generator, person_key: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The remaining and the held-out rows, renumbered; `share` of the rows or persons is held out.

    All rows without a person count as one person.

    Raises:
        InputError: one of the two tables would be empty, or there is no column `person_key`.
    """
    units = np.arange(len(frame))
    if person_key is not None:
        if person_key not in frame.columns:
            raise InputError(f"the table has no column {person_key!r} to tell people apart")
        units = pd.factorize(frame[person_key], use_na_sentinel=False)[0]
    count = int(units.max()) + 1 if len(units) else 0
    cut = round(count * share)
    if not 0 < cut < count:
        raise InputError(f"a share of {share:g} of {count} records or persons leaves a side empty")
    held_out = np.isin(units, rng.permutation(count)[:cut])
    return _rows(frame, ~held_out), _rows(frame, held_out)


def split_for(
    frame: pd.DataFrame, share: float, rng: np.random.Generator, schema: Schema
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`split_rows` by the schema's person key, where the table has that column."""
    key = schema.person_key if schema.person_key in frame.columns else None
    return split_rows(frame, share, rng, key)


def _rows(frame: pd.DataFrame, chosen: np.ndarray) -> pd.DataFrame:
    return frame[chosen].reset_index(drop=True)
