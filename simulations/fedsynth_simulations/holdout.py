"""The split that every benchmark uses: a fifth of the rows is held out and never given to a site.

The split depends only on the number of rows. Figures of different days, methods and machines are
therefore about the same test rows.
"""

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Int64Array
from fedsynth_common.errors import InputError


def benchmark_split(rows: int) -> tuple[Int64Array, Int64Array]:
    """The row numbers of the train set and of the test set; every row is in exactly one of them.

    >>> train, test = benchmark_split(10)
    >>> len(train), len(test)
    (8, 2)
    """
    shuffled = np.random.default_rng(0).permutation(rows)
    return shuffled[rows // 5 :], shuffled[: rows // 5]


def split_table(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The train and the test rows of `frame`, renumbered.

    Raises:
        InputError: fewer than five rows, so that there is nothing to test on.
    """
    if len(frame) < 5:
        raise InputError(f"a benchmark needs at least 5 rows to hold out a fifth, got {len(frame)}")
    train, test = benchmark_split(len(frame))
    return _rows(frame, train), _rows(frame, test)


def person_split(frame: pd.DataFrame, person_key: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Hold out a fifth of the *people* with all their rows; otherwise like `split_table`.

    The rows of one person resemble each other. If they were on both sides, the test set would
    reward a generator for copying. All rows without a person count as one person.

    Raises:
        InputError: there is no such column, or there are fewer than five people.
    """
    if person_key not in frame.columns:
        raise InputError(f"the table has no column {person_key!r} to tell people apart")
    codes, people = pd.factorize(frame[person_key], use_na_sentinel=False)
    if len(people) < 5:
        raise InputError(f"a benchmark needs at least 5 people to hold out, got {len(people)}")
    held_out = np.isin(codes, benchmark_split(len(people))[1])
    return _rows(frame, np.flatnonzero(~held_out)), _rows(frame, np.flatnonzero(held_out))


def _rows(frame: pd.DataFrame, rows: Int64Array) -> pd.DataFrame:
    return frame.iloc[rows].reset_index(drop=True)
