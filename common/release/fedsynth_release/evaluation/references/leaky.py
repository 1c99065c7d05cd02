"""A generator that leaks on purpose: the positive control of every attack.

With probability `copies` (0.5) a record is a copy of a random training row in which each cell is
redrawn from its column with probability `noise` (0.05); otherwise its columns are drawn
independently. Marginals are right and single rows look plausible, so no figure of fidelity warns; an
attack that does not notice this table would not notice a real leak either, and its silence about
another table means nothing.
"""

import numpy as np
import pandas as pd

from fedsynth_common.errors import InputError
from fedsynth_release.evaluation.references.independent import independent_columns


def leaky_table(
    train: pd.DataFrame,
    n: int,
    rng: np.random.Generator,
    *,
    copies: float = 0.5,
    noise: float = 0.05,
) -> pd.DataFrame:
    """`n` rows, a share `copies` of them near copies of training rows.

    Raises:
        InputError: `train` is empty or `n` negative.
    """
    if not len(train) or n < 0:
        raise InputError(f"cannot draw {n} rows from a table of {len(train)}")
    fresh = independent_columns(train, n, rng)
    copied = rng.random(n) < copies
    source = np.where(copied, rng.integers(len(train), size=n), 0)
    columns = {}
    for name in train.columns:
        kept = copied & (rng.random(n) >= noise)
        both = pd.concat([train[name], fresh[name]], ignore_index=True)
        places = np.where(kept, source, len(train) + np.arange(n))
        columns[name] = both.array.take(places)
    return pd.DataFrame(columns)
