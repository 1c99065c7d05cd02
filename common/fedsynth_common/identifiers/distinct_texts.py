"""Counts distinct texts of a column that comes in chunks, with bounded memory.

The K smallest 64-bit hashes of all texts are kept (K minimum values: Bar-Yossef et al., RANDOM 2002;
Beyer et al., SIGMOD 2007). With fewer than K texts the count is exact; with more, the K-th smallest
hash lies at a share of about K / count of the range. (K - 1) / share therefore estimates the count, with
a relative error of 1 / sqrt(K - 2): 0.4 percent for K = 65,536.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fedsynth_common.array_types import UInt64Array

K = 1 << 16
_RANGE = 2.0**64
_LONGEST = 200  # longer texts count as if they had this length


class DistinctTexts:
    """How many distinct texts there were, and their median length."""

    def __init__(self) -> None:
        self._hashes: UInt64Array = np.empty(0, dtype=np.uint64)
        self._lengths = np.zeros(_LONGEST + 1, dtype=np.int64)

    @property
    def count(self) -> int:
        """Number of distinct texts: exact below `K`, else an estimate."""
        if len(self._hashes) < K:
            return len(self._hashes)
        return int((K - 1) / (float(self._hashes[-1]) / _RANGE))

    @property
    def median_length(self) -> float:
        """Median length of the distinct texts; 0 if there are none."""
        total = int(self._lengths.sum())
        if not total:
            return 0.0
        below = np.cumsum(self._lengths)
        middle = np.searchsorted(below, [(total - 1) // 2 + 1, total // 2 + 1])
        return float(middle.mean())

    def add(self, texts: Sequence[str]) -> list[str]:
        """Count a chunk's distinct texts; returns those not known to have been there before."""
        if not texts:
            return []
        hashes = pd.util.hash_array(np.array(texts, dtype=object), categorize=False)
        place = np.searchsorted(self._hashes, hashes)
        known = np.zeros(len(hashes), dtype=bool)
        if len(self._hashes):
            known = self._hashes[np.minimum(place, len(self._hashes) - 1)] == hashes
        new = [text for text, seen in zip(texts, known.tolist(), strict=True) if not seen]
        sizes = np.minimum([len(text) for text in new], _LONGEST).astype(np.int64)
        self._lengths += np.bincount(sizes, minlength=_LONGEST + 1)
        self._hashes = np.union1d(self._hashes, hashes[~known])[:K]
        return new
