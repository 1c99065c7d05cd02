"""Values that a schema, a rule or a condition writes as text, as ticks of their column.

Needs no table library: a plan with rules can be checked where records never are.
"""

import re
from fractions import Fraction

from fedsynth_common.schema.columns import ModelledColumn, NumericColumn, OrderedColumn
from fedsynth_common.schema.temporal import DateColumn, DatetimeColumn, iso_tick

_NUMBER = re.compile(r"[+-]?(\d{1,30}\.?\d{0,30}|\.\d{1,30})(e[+-]?\d{1,2})?", re.IGNORECASE)


def decimals_of(column: ModelledColumn) -> int:
    """The digits after the point of a column's tick: 0 unless it declares some.

    >>> from fedsynth_common.schema import IntegerColumn
    >>> decimals_of(IntegerColumn(name="age", minimum=0, maximum=99))
    0
    """
    return column.decimals if isinstance(column, NumericColumn) else 0


def tick_of(text: str, column: OrderedColumn) -> Fraction | None:
    """A value of a condition or rule in ticks; None where it is not a value of this kind.

    Dates are ISO 8601 at the column's granularity, whatever the format of the table.
    """
    if isinstance(column, DateColumn | DatetimeColumn):
        tick = iso_tick(text, column.granularity)
        return None if tick is None else Fraction(tick)
    if not _NUMBER.fullmatch(text):
        return None
    return Fraction(text) * Fraction(10 ** decimals_of(column))
