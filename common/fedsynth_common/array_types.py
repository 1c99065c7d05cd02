"""The types of numpy arrays that pass between functions, named by what they hold."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

BoolArray: TypeAlias = NDArray[np.bool_]
Float32Array: TypeAlias = NDArray[np.float32]
Float64Array: TypeAlias = NDArray[np.float64]
Int32Array: TypeAlias = NDArray[np.int32]
Int64Array: TypeAlias = NDArray[np.int64]
UInt16Array: TypeAlias = NDArray[np.uint16]
UInt64Array: TypeAlias = NDArray[np.uint64]
