"""Makes a pseudonymised table: the real training rows without their id columns.

Many tables are shared after only their names were removed; this table shows the risk of that.
Almost every attack should have its best success on it. Risk reductions are stated in comparison
with it.
"""

import pandas as pd

from fedsynth_common.schema import Schema


def pseudonymised(train: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """The modelled columns of `train`, in schema order; the rows stay as they are."""
    return train[[column.name for column in schema.modelled]].reset_index(drop=True)
