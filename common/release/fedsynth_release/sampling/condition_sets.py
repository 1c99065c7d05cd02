"""Computes which values of each column the conditions allow, so that no draw is wasted.

For texts, a condition allows a set of fine cells. For numbers it allows a set of ticks, and this
set may cut a leaf in two. Values are uniform inside a leaf, so a cut leaf counts with the share of
its values that is allowed, and it is decoded to these values only. Every record then takes a single
draw, even under a rare condition.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fedsynth_common.array_types import Float64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    DateColumn,
    DatetimeColumn,
    FineDomain,
    OrderedColumn,
    Schema,
    domain_of,
)
from fedsynth_common.schema.temporal import EXAMPLES
from fedsynth_common.schema.tick_set import TickSet
from fedsynth_common.schema.ticks import tick_of
from fedsynth_release.decoding import Codebook
from fedsynth_release.decoding.cell_ticks import leaf_values
from fedsynth_release.decoding.codebook import group_totals
from fedsynth_release.decoding.values import text_of
from fedsynth_release.sampling.conditions import Condition, column_names, listed_names

_CUT: dict[str, Callable[[Fraction], int]] = {  # the lowest tick of the upper side of the cut
    "<": math.ceil,
    "<=": lambda value: math.floor(value) + 1,
    ">": lambda value: math.floor(value) + 1,
    ">=": math.ceil,
}


@dataclass(frozen=True, eq=False)
class ConditionSet:
    """The values that conditions allow in one column.

    Attributes:
        cells: For each fine cell, the share of its values that is allowed. This is 0 or 1, except
            for a leaf that a condition cuts in two.
        ticks: The allowed values, including those of atoms; None for a column of texts.
    """

    cells: Float64Array
    ticks: TickSet | None


def condition_sets(conditions: Sequence[Condition], schema: Schema) -> dict[int, ConditionSet]:
    """What all conditions on a column together allow, by the index of the modelled column.

    Raises:
        InputError: a condition names no modelled column, or its operator or value does not suit the
            column.
    """
    index = {name: place for place, name in enumerate(column_names(schema))}
    allowed: dict[int, ConditionSet] = {}
    for condition in conditions:
        if condition.column not in index:
            fault = "is not modelled (an id, or not in the schema); expected one of "
            fault = f"column {condition.column!r} {fault}{listed_names(list(index))}"
            raise _fault(condition, fault)
        place = index[condition.column]
        column = schema.modelled[place]
        domain = domain_of(column)
        if isinstance(column, CategoricalColumn | BooleanColumn):
            here = _labels(condition, column, domain)
        else:
            here = _numbers(condition, column, domain)
        allowed[place] = _both(allowed[place], here, domain) if place in allowed else here
    return allowed


def allowed_of_codes(
    codebook: Codebook, place: int, allowed: ConditionSet
) -> tuple[Float64Array, Float64Array]:
    """P(allowed | code) for each code of a column, and the shape restricted to what is allowed."""
    view, shape = codebook.views[place], codebook.shapes[place]
    total, part = group_totals(view, shape), shape * allowed.cells
    mass = group_totals(view, part)
    mass[mass < np.finfo(float).tiny / np.finfo(float).eps] = 0.0  # too small to divide by
    some = mass[view] > 0
    # a code in which nothing is allowed is never drawn, so its shape may stay as it is
    restricted = np.where(some, part / np.where(some, mass[view], 1.0), shape)
    return mass / total, restricted


def with_shapes(codebook: Codebook, shapes: Mapping[int, Float64Array]) -> Codebook:
    """The codebook with other shapes of some columns, by their index."""
    changed = tuple(shapes.get(place, shape) for place, shape in enumerate(codebook.shapes))
    return Codebook(codebook.views, changed)


def opposite(allowed: ConditionSet, domain: FineDomain) -> ConditionSet:
    """All values of the column that are not allowed, and missing unless it is allowed."""
    if allowed.ticks is None:
        return ConditionSet(1.0 - allowed.cells, None)
    missing = domain.missing is not None and not allowed.cells[-1]
    return _of_ticks(allowed.ticks.outside(*domain.reach), missing, domain)


def _both(one: ConditionSet, other: ConditionSet, domain: FineDomain) -> ConditionSet:
    if one.ticks is None or other.ticks is None:
        return ConditionSet(one.cells * other.cells, None)
    missing = domain.missing is not None and bool(one.cells[-1] * other.cells[-1])
    return _of_ticks(one.ticks & other.ticks, missing, domain)


def _fault(condition: Condition, fault: str) -> InputError:
    return InputError(f"condition {str(condition)!r}: {fault}")


def _wants_missing(condition: Condition, domain: FineDomain) -> bool:
    if condition.operator.endswith("missing") and domain.missing is None:
        raise _fault(condition, f"column {domain.name!r} is not nullable, so no value is missing")
    return condition.operator == "is missing"


def _labels(
    condition: Condition, column: CategoricalColumn | BooleanColumn, domain: FineDomain
) -> ConditionSet:
    cells = np.zeros(domain.width)
    if _wants_missing(condition, domain):
        cells[-1] = 1.0
        return ConditionSet(cells, None)
    if condition.operator in _CUT:
        return ConditionSet(_beyond(condition, column, domain), None)
    for value in condition.values:
        cells[_named(condition, value, column, domain)] = 1.0
    if condition.operator in ("!=", "not in", "is not missing"):
        cells[: len(domain.labels)] = 1.0 - cells[: len(domain.labels)]
    return ConditionSet(cells, None)


def _named(
    condition: Condition,
    value: str,
    column: CategoricalColumn | BooleanColumn,
    domain: FineDomain,
) -> list[int]:
    """The cells of a category; for a group of a code list, the cells of all its categories."""
    if value in domain.labels:
        return [domain.labels.index(value)]
    parents = column.parents if isinstance(column, CategoricalColumn) else ()
    if value not in parents:
        fault = f"category {value!r} of column {domain.name!r} is not declared"
        raise _fault(condition, f"{fault}; expected one of {listed_names(domain.labels)}")
    return [cell for cell, parent in enumerate(parents) if parent == value]


def _beyond(
    condition: Condition, column: CategoricalColumn | BooleanColumn, domain: FineDomain
) -> Float64Array:
    """The categories below or above another one, in a column of ordered categories."""
    if not isinstance(column, CategoricalColumn) or not column.ordered:
        fault = (
            f"{condition.operator!r} is for numbers; expected =, !=, 'in', 'not in' or 'is missing'"
        )
        raise _fault(condition, f"column {domain.name!r} holds texts and {fault}")
    if condition.values[0] not in column.categories:
        fault = f"category {condition.values[0]!r} of column {domain.name!r} is not declared"
        raise _fault(condition, f"{fault}; expected one of {listed_names(column.categories)}")
    cut = _CUT[condition.operator](Fraction(column.categories.index(condition.values[0])))
    order = np.arange(domain.width)
    side = order < cut if condition.operator in ("<", "<=") else order >= cut
    return np.where(side & (order < len(column.categories)), 1.0, 0.0)


def _numbers(condition: Condition, column: OrderedColumn, domain: FineDomain) -> ConditionSet:
    low, high = domain.reach
    missing = _wants_missing(condition, domain)
    every = TickSet([low], [low if missing else high])
    values = [_in_ticks(condition, value, column) for value in condition.values]
    if condition.operator in _CUT:
        cut = min(max(_CUT[condition.operator](values[0]), low), high)
        below = condition.operator in ("<", "<=")
        return _of_ticks(TickSet([low], [cut]) if below else TickSet([cut], [high]), False, domain)
    for value, text in zip(values, condition.values, strict=True):
        if value.denominator > 1 or not low <= value < high:
            kind = "a number" if column.kind in ("numeric", "integer") else f"a {column.kind}"
            fault = f"column {domain.name!r} never holds {text}; expected {kind} between "
            fault += f"{text_of(low, column)} and {text_of(high - 1, column)}"
            fault += f", at most {domain.decimals} decimals" if kind == "a number" else ""
            raise _fault(condition, fault)
    points = [int(value) for value in values]
    listed = condition.operator in ("=", "in")
    return _of_ticks(TickSet.of(points) if listed else every.without(points), missing, domain)


def _in_ticks(condition: Condition, text: str, column: OrderedColumn) -> Fraction:
    tick = tick_of(text, column)
    if tick is None and isinstance(column, DateColumn | DatetimeColumn):
        fault = f"column {column.name!r} holds a {column.kind}; expected ISO 8601 such as "
        raise _fault(condition, f"{fault}{EXAMPLES[column.granularity]!r}, not {text!r}")
    if tick is None:
        raise _fault(condition, f"column {column.name!r} holds numbers; expected one, not {text!r}")
    return tick


def _of_ticks(ticks: TickSet, missing: bool, domain: FineDomain) -> ConditionSet:
    values = leaf_values(domain)
    first, last = domain.ticks[:-1], domain.ticks[1:]
    allowed = values & ticks
    share = (allowed.rank(last) - allowed.rank(first)) / (values.rank(last) - values.rank(first))
    cells = [ticks.contains(domain.atom_ticks).astype(float), share]
    if domain.missing is not None:
        cells.append(np.array([float(missing)]))
    return ConditionSet(np.concatenate(cells), ticks)
