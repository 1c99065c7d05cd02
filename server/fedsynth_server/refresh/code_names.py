"""What a code of a study stands for, in words: a category, a range of numbers or dates, or several."""

import numpy as np

from fedsynth_common.array_types import UInt16Array
from fedsynth_common.schema import DateColumn, DatetimeColumn, FineDomain, ModelledColumn, domain_of
from fedsynth_common.schema.temporal import NUMPY_UNIT


def code_names(column: ModelledColumn, view: UInt16Array) -> list[str]:
    """The name of each code of a column under a view of its fine cells.

    >>> from fedsynth_common.schema import BooleanColumn, IntegerColumn
    >>> code_names(BooleanColumn(name="b", true="yes", false="no"), np.arange(2, dtype=np.uint16))
    ['no', 'yes']
    >>> code_names(IntegerColumn(name="n", minimum=0, maximum=3), np.array([0, 0, 0, 1], np.uint16))
    ['0 to 2', '3']
    """
    domain = domain_of(column)
    return [
        _name(column, domain, np.flatnonzero(view == code)) for code in range(int(view.max()) + 1)
    ]


def _name(column: ModelledColumn, domain: FineDomain, cells: np.ndarray) -> str:
    if domain.missing is not None and domain.missing in cells:
        return "missing" if len(cells) == 1 else "missing and others"
    if not domain.ordered:
        if len(cells) == 1:
            return str(domain.labels[cells[0]])
        return f"{len(cells)} rarer categories"
    low, high = zip(*(_range(domain, int(cell)) for cell in cells), strict=True)
    first, last = _written(column, domain, min(low)), _written(column, domain, max(high))
    return first if first == last else f"{first} to {last}"


def _range(domain: FineDomain, cell: int) -> tuple[int, int]:
    """The first and the last tick of a cell."""
    if cell < domain.atoms:
        return int(domain.atom_ticks[cell]), int(domain.atom_ticks[cell])
    leaf = cell - domain.atoms
    return int(domain.ticks[leaf]), int(domain.ticks[leaf + 1]) - 1


def _written(column: ModelledColumn, domain: FineDomain, tick: int) -> str:
    if isinstance(column, DateColumn | DatetimeColumn):
        return str(np.datetime64(tick, NUMPY_UNIT[column.granularity]))
    return f"{tick / 10.0**domain.decimals:.{domain.decimals}f}"
