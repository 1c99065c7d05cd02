"""Short texts for the codes of a column, as reports and tables of margins show them."""

import math

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array, UInt16Array
from fedsynth_common.schema import FineDomain, ModelledColumn, NumericColumn, domain_of
from fedsynth_common.schema.temporal import NUMPY_UNIT, DateColumn, DatetimeColumn


def code_labels(column: ModelledColumn, view: UInt16Array) -> list[str]:
    """A short text for every code of a column.

    >>> from fedsynth_common.schema import IntegerColumn
    >>> column = IntegerColumn(name="age", minimum=0, maximum=3, nullable=True)
    >>> code_labels(column, np.array([0, 0, 0, 1, 2], dtype=np.uint16))
    ['0 – 2', '3', 'missing']
    """
    domain = domain_of(column)
    cells = [np.flatnonzero(view == code) for code in range(int(view.max()) + 1)]
    return [_label(column, domain, cells_of_code) for cells_of_code in cells]


def _label(column: ModelledColumn, domain: FineDomain, cells: Int64Array) -> str:
    first, last = int(cells[0]), int(cells[-1])
    if len(cells) == 1 and first == domain.missing:
        return "missing"
    if not domain.ordered:
        labels = [domain.labels[cell] for cell in cells if cell < len(domain.labels)]
        return labels[0] if len(labels) == 1 else f"{len(labels)} rare values"
    if len(cells) == 1 and first < domain.atoms:
        return value_text(column, int(domain.atom_ticks[first]))
    low = int(domain.ticks[max(0, first - domain.atoms)])
    high = int(domain.ticks[min(last - domain.atoms, domain.leaves - 1) + 1]) - 1
    ends = value_text(column, low), value_text(column, high)
    label = ends[0] if low == high else " – ".join(ends)
    # frequent values inside the range can have codes of their own, which are not part of this one
    return label if last - first + 1 == len(cells) else f"rest of {label}"


def value_text(column: ModelledColumn, tick: int) -> str:
    """A tick of an ordered column as a text for people: a number, a date or a time."""
    if isinstance(column, DateColumn | DatetimeColumn):
        return str(np.datetime64(tick, NUMPY_UNIT[column.granularity])).replace("T", " ")
    if isinstance(column, NumericColumn) and column.decimals:
        return number_text(tick / 10**column.decimals)
    return str(tick)


def edge_texts(column: ModelledColumn, edges: Float64Array) -> list[str]:
    """The upper ends of intervals of a column of numbers or moments, each the last value inside."""
    if isinstance(column, DateColumn | DatetimeColumn):
        return [value_text(column, math.floor(edge)) for edge in edges.tolist()]
    return [number_text(edge) for edge in edges.tolist()]


def number_text(value: float) -> str:
    """A number with about four digits, and without an exponent if it is below a million."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"
