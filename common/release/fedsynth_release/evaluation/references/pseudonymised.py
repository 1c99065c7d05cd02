"""Pseudonymised rows: the real training rows without their id columns, otherwise as they are.

What "we removed the names" amounts to. Every attack should have nearly its best success here; it is
the upper end of the scale on which a risk reduction is stated.
"""

import pandas as pd

from fedsynth_common.schema import Schema


def pseudonymised(train: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """The modelled columns of `train`, in schema order, rows as they are."""
    return train[[column.name for column in schema.modelled]].reset_index(drop=True)
