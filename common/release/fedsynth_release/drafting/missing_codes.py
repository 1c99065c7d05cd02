"""Finds numbers that may stand for a missing value: 999 among ages, -1 among counts.

They are only proposed. Such a value becomes an atom, so that it does not widen the bounds of the column
and no number between it and the others is drawn; whether it means "missing" is for a person to say.
"""

import re

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array

_CODE = re.compile(r"99+|88+|77+|-1|-7+|-8+|-9+")
LEAST_CELLS, LEAST_VALUES = 5, 5


def missing_codes(ticks: Int64Array, counts: Float64Array, unit: int) -> list[int]:
    """The ticks of such numbers, ascending; each stands far from all other values.

    Args:
        ticks: the values of cells, (values,).
        counts: how many cells have each, (values,).
        unit: ticks of one whole.

    >>> ages = np.arange(18, 95)
    >>> missing_codes(np.append(ages, 999), np.full(78, 20.0), 1)
    [999]
    >>> missing_codes(np.append(ages, 99), np.full(78, 20.0), 1)
    []
    """
    values = np.unique(ticks)
    coded = np.array(
        [value % unit == 0 and _CODE.fullmatch(str(value // unit)) is not None for value in values]
    )
    rest = values[~coded]
    if not coded.any() or len(rest) < LEAST_VALUES:
        return []
    low, high = int(rest[0]), int(rest[-1])
    reach = (high - low) / 2
    found = []
    for value in values[coded].tolist():
        far = value > high + reach or value < low - reach or value < 0 <= low
        if far and counts[ticks == value].sum() >= LEAST_CELLS:
            found.append(value)
    return found
