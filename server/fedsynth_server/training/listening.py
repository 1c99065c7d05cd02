"""Whether the first messages of the discriminators say more than noise: the choice after listening.

The generator holds the pairs of columns. What the sites' predictor says beyond the generator's own is a
log ratio r of every column, and null training says how large r is if there is nothing to say
(`null_training.py`). Over the generator's rows and all columns,

    s = sum_j E[r_j²] / sum_j E[r_null,j²]

is about 1 where there is nothing beyond the generator, or where noise hides it. The columns are taken
together since a single column's ratio moves by a fifth from one noise to the next. Where noise hides
everything now, it goes on hiding most of it: the discriminators' remaining messages have the same noise.

All of this is post-processing of what the sites sent, and costs nothing.
"""

import torch

from fedsynth_common.networks import Discriminator
from fedsynth_server.training.log_ratio import LogRatio

HEARD = 1.1
"""The least s that counts as heard: see "Listen first, then decide" in simulations/RESULTS.md."""


def loudness(log_ratio: LogRatio, null: Discriminator, rows: torch.Tensor) -> float:
    """How much larger the log ratio is than noise alone makes it: s above.

    Args:
        log_ratio: of the sites' predictor and the generator's.
        null: what the sites' training would have made of the generator's rows.
        rows: codes of the generator's rows (columns, n).
    """
    squares, noise = log_ratio.squares(null, rows)
    return float(squares.sum() / noise.sum().clamp(min=1e-12))
