"""Makes a table that leaks on purpose, the positive control of every attack.

With probability `copies` (0.5) a record is a copy of a random training row in which each cell is
redrawn from its column with probability `noise` (0.05). Otherwise its columns are drawn
independently. The marginals are right and single rows look plausible, so no figure of fidelity
reveals the leak. If an attack does not notice this table, it would not notice a real leak either,
and then it says nothing about another table.
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
    """Draw `n` rows; on average a share `copies` of them are near copies of training rows.

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
        copied_cells = copied & (rng.random(n) >= noise)
        both = pd.concat([train[name], fresh[name]], ignore_index=True)
        places = np.where(copied_cells, source, len(train) + np.arange(n))
        columns[name] = both.array.take(places)
    return pd.DataFrame(columns)
