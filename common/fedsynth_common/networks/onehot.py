"""Codes to one-hot rows, the input of the discriminator and the output of the generator."""

from collections.abc import Sequence

import numpy as np
import torch

from fedsynth_common.array_types import UInt16Array


def one_hot(codes: UInt16Array, widths: Sequence[int]) -> torch.Tensor:
    """One-hot rows.

    Args:
        codes: (n, d) codes, column j in 0..widths[j]-1.
        widths: number of codes of each column.

    Returns:
        float32 tensor (n, sum(widths)) with exactly d ones in each row.

    >>> one_hot(np.array([[1, 0]], dtype=np.uint16), [2, 3]).tolist()
    [[0.0, 1.0, 1.0, 0.0, 0.0]]
    """
    offsets = np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.int64)
    positions = torch.from_numpy(codes.astype(np.int64) + offsets)
    rows = torch.zeros(len(codes), int(sum(widths)))
    return rows.scatter_(1, positions, 1.0)
