"""Rows to measure on, kept from those to learn from; persons are never on both sides.

Rows of one person resemble each other: split by rows, the held-out side would reward a generator for
copying, and an attack would take a copied person for a lucky guess.
"""

import numpy as np
import pandas as pd

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema


def split_rows(
    frame: pd.DataFrame, share: float, rng: np.random.Generator, person_key: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The kept and the held-out rows, renumbered; `share` of rows, or of persons, is held out.

    Rows without a person count as one person.

    Raises:
        InputError: a side would be empty, or there is no column `person_key`.
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
    held = np.isin(units, rng.permutation(count)[:cut])
    return _rows(frame, ~held), _rows(frame, held)


def split_for(
    frame: pd.DataFrame, share: float, rng: np.random.Generator, schema: Schema
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`split_rows` by the schema's person key, where the table has that column."""
    key = schema.person_key if schema.person_key in frame.columns else None
    return split_rows(frame, share, rng, key)


def _rows(frame: pd.DataFrame, chosen: np.ndarray) -> pd.DataFrame:
    return frame[chosen].reset_index(drop=True)
