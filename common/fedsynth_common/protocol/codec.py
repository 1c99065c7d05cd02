"""The byte layouts of the vault's messages: little-endian arrays whose length the reader knows.

A reader states how many entries it expects and refuses any other number, so that a malformed message
is refused before it is used. This module needs numpy only.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedsynth_common.array_types import Float32Array, Int32Array, Int64Array, UInt16Array
from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.protocol import vault_pb2 as pb

COUNT_LIMIT = 2**31 - 1
WEIGHT_LIMIT, MOMENT_LIMIT = 1e4, 1e8
"""Largest magnitudes of a discriminator's weights and of Adam's moments, in both directions."""


def pack(array: NDArray[Any], dtype: str) -> bytes:
    """Array to little-endian bytes of `dtype` ("u2", "f4" or "i4"), in row-major order."""
    return np.ascontiguousarray(array, dtype=f"<{dtype}").tobytes()


def _unpack(data: bytes, dtype: str, size: int) -> NDArray[Any]:
    kind = np.dtype(f"<{dtype}")
    if len(data) != size * kind.itemsize:
        raise RefusalError(ErrorCode.PAYLOAD)
    return np.frombuffer(data, dtype=kind).astype(kind.newbyteorder("="))


def unpack_floats(data: bytes, size: int, limit: float) -> Float32Array:
    """`size` float32 values, all finite and at most `limit` in magnitude.

    Raises:
        RefusalError: ERR_PAYLOAD for another length, a non-finite or a huge value.
    """
    values = _unpack(data, "f4", size)
    if not np.isfinite(values).all() or (values.size and np.abs(values).max() > limit):
        raise RefusalError(ErrorCode.PAYLOAD)
    return values


def unpack_codes(data: bytes, size: int) -> UInt16Array:
    """`size` uint16 codes; RefusalError(ERR_PAYLOAD) for another length."""
    return _unpack(data, "u2", size)


def pack_counts(counts: Int64Array) -> bytes:
    """Noisy counts as int32; values beyond its range are clamped (post-processing)."""
    return pack(np.clip(counts, -COUNT_LIMIT, COUNT_LIMIT), "i4")


def unpack_counts(data: bytes, size: int) -> Int32Array:
    """`size` noisy counts; RefusalError(ERR_PAYLOAD) for another length."""
    return _unpack(data, "i4", size)


def pack_views(views: Sequence[UInt16Array]) -> list[pb.View]:
    """Views (fine code -> group) as messages."""
    return [pb.View(groups=pack(view, "u2")) for view in views]


def unpack_view(view: pb.View, fine_width: int) -> UInt16Array:
    """One view over `fine_width` fine codes.

    Raises:
        RefusalError: ERR_PAYLOAD unless its groups are 0..w-1, each used.
    """
    groups = unpack_codes(view.groups, fine_width)
    if groups.max(initial=0) + 1 != np.unique(groups).size:
        raise RefusalError(ErrorCode.PAYLOAD)
    return groups
