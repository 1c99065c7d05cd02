"""Rules about two numbers or dates: their order, difference and ratio, compiled to orders of ticks.

A difference or a ratio between two bounds is two orders, one for each bound.
"""

from fractions import Fraction
from math import ceil, floor
from typing import NoReturn

from fedsynth_common.errors import InputError
from fedsynth_common.schema.columns import (
    BooleanColumn,
    CategoricalColumn,
    IntegerColumn,
    ModelledColumn,
    NumericColumn,
)
from fedsynth_common.schema.compiled_rules import CompiledInequality, CompiledSum, Membership
from fedsynth_common.schema.domain import domain_of
from fedsynth_common.schema.rules import Difference, Inequality, Ratio, Rule, Sum
from fedsynth_common.schema.temporal import DateColumn, DatetimeColumn, DurationColumn


def refuse(rule: Rule, fault: str) -> NoReturn:
    """The error of a rule that does not fit its columns."""
    raise InputError(f"rule {rule.name!r}: {fault}")


def order_of(
    rule: Inequality, places: tuple[int, ...], columns: tuple[ModelledColumn, ...]
) -> CompiledInequality:
    """Low <= high, or < if strict."""
    units = _units(rule, columns)
    return CompiledInequality(rule.name, places[0], places[1], int(rule.strict), units)


def difference_of(
    rule: Difference,
    places: tuple[int, ...],
    columns: tuple[ModelledColumn, ...],
    when: Membership | None,
) -> tuple[CompiledInequality, ...]:
    """Column - minus from minimum to maximum: two orders with a gap."""
    columns = columns[:2]
    if any(isinstance(column, CategoricalColumn) for column in columns):
        refuse(rule, "both columns must be numbers, or dates (times, durations) of one granularity")
    units, scale = _units(rule, columns), 10 ** max(_decimals(column) for column in columns)
    least, most = (Fraction(str(bound)) * scale for bound in (rule.minimum, rule.maximum))
    if ceil(least) > floor(most):
        refuse(rule, "no difference that the columns' decimals can have lies between the bounds")
    minus, column = places[:2]
    return (
        CompiledInequality(rule.name, minus, column, ceil(least), units, when),
        CompiledInequality(rule.name, column, minus, -floor(most), units[::-1], when),
    )


def ratio_of(
    rule: Ratio, places: tuple[int, ...], columns: tuple[ModelledColumn, ...]
) -> tuple[CompiledInequality, ...]:
    """Of * minimum <= column <= of * maximum: two orders with other units."""
    if any(grid(column) != "number" for column in columns):
        refuse(rule, "both columns must be numbers")
    whole, part = places
    unit_whole, unit_part = _units(rule, columns)
    low, high = (Fraction(str(bound)) for bound in (rule.minimum, rule.maximum))
    lower = (unit_whole * low.numerator, unit_part * low.denominator)
    upper = (unit_part * high.denominator, unit_whole * high.numerator)
    for column, *units in zip(columns, lower, reversed(upper), strict=True):
        if max(map(abs, domain_of(column).reach)) * max(map(abs, units)) >= 2**61:
            refuse(rule, "a bound has too many digits for such large columns; round it")
    return (
        CompiledInequality(rule.name, whole, part, 0, lower),
        CompiledInequality(rule.name, part, whole, 0, upper),
    )


def sum_of(rule: Sum, places: tuple[int, ...], columns: tuple[ModelledColumn, ...]) -> CompiledSum:
    """Total = sum of the parts."""
    kinds = {grid(column) for column in columns}
    if len(kinds) > 1 or not (
        isinstance(columns[0], NumericColumn | IntegerColumn | DurationColumn)
    ):
        refuse(rule, "all columns must be numbers, or durations of one unit")
    most = max(_decimals(column) for column in columns)
    units = tuple(10 ** (most - _decimals(column)) for column in columns)
    largest = sum(
        max(map(abs, domain_of(column).reach)) * unit
        for column, unit in zip(columns, units, strict=True)
    )
    if largest >= 2**61:
        refuse(rule, "the columns are too large, or their decimals too far apart")
    return CompiledSum(rule.name, places, units)


def _units(rule: Rule, columns: tuple[ModelledColumn, ...]) -> tuple[int, int]:
    """By how much the ticks of two columns are multiplied to be compared."""
    low, high = columns
    if grid(low) is None or grid(low) != grid(high):
        fault = "both columns must be numbers, or dates (times, durations) of one granularity"
        refuse(rule, fault + ", or ordered categories with one list and without 'other'")
    most = max(_decimals(column) for column in columns)
    units = (10 ** (most - _decimals(low)), 10 ** (most - _decimals(high)))
    for column, unit in zip(columns, units, strict=True):
        if max(map(abs, domain_of(column).reach)) * unit >= 2**61:
            refuse(rule, "the columns' decimals are too far apart")
    return units


def _decimals(column: ModelledColumn) -> int:
    return column.decimals if isinstance(column, NumericColumn) else 0


def grid(column: ModelledColumn) -> object:
    """What two columns must share to be compared; None where nothing can be."""
    if isinstance(column, CategoricalColumn):
        return column.categories if column.ordered and not column.other else None
    if isinstance(column, DateColumn | DatetimeColumn):
        return column.granularity
    if isinstance(column, DurationColumn):
        return f"duration in {column.unit}s"
    return None if isinstance(column, BooleanColumn) else "number"
