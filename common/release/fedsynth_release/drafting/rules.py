"""Proposes rules that hold in every row of a table.

They are orders of columns, codes with their labels, and columns that are equal, add up or differ by a
narrow factor (`number_rules.py`). Candidates are looked for among the first rows, and each is then
checked on all rows. One is proposed only if chance would break it: an order, if the two columns
overlap and a shuffled table breaks it in one row of twenty; a code that has one label, such as a ward
and its hospital, if the code has five rows on average and a shuffled table breaks that in one row of
twenty. A proposal is for a reviewer, like everything in a draft. What holds in nearly every row is
told and not declared.
"""

from collections.abc import Callable, Iterable
from itertools import combinations, permutations

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Int64Array
from fedsynth_common.encoding.violations import values_of, violations_within_records
from fedsynth_common.errors import InputError
from fedsynth_common.schema.columns import (
    BooleanColumn,
    CategoricalColumn,
    IntegerColumn,
    ModelledColumn,
    NumericColumn,
)
from fedsynth_common.schema.domain import MISSING
from fedsynth_common.schema.rules import FixedCombinations, Inequality, Rule, columns_of
from fedsynth_common.schema.schema import Schema
from fedsynth_common.schema.temporal import DateColumn, DatetimeColumn
from fedsynth_common.schema.ticks import decimals_of
from fedsynth_release.drafting.number_rules import NEARLY, number_rule, sum_rules

LEAST = 100  # rows with both cells
BROKEN_BY_CHANCE = 0.05
ROWS_PER_CODE = 5
MOST_CODES = 256
MOST_RULES = 20


def with_rules(
    schema: Schema, first: pd.DataFrame, chunks: Callable[[], Iterable[pd.DataFrame]]
) -> tuple[Schema, list[tuple[Rule, float]]]:
    """The schema with the rules that hold in every row, and those that nearly do, with the share.

    Args:
        schema: A draft without rules.
        first: The first rows of the table, among which candidates are looked for.
        chunks: Gives all rows.
    """
    candidates = _candidates(schema, first)
    if not candidates:
        return schema, []
    broken: dict[str, int] = {}
    rows = 0
    proposed = _with(schema, candidates)
    names = {name for rule in candidates for name in columns_of(rule)}
    small = Schema(
        name=schema.name,
        columns=tuple(column for column in schema.columns if column.name in names),
        rules=proposed.rules,
    )
    for chunk in chunks():
        rows += len(chunk)
        for name, count in violations_within_records(chunk, small).items():
            broken[name] = broken.get(name, 0) + count
    nearly: list[tuple[Rule, float]] = [
        (rule, 1 - broken[rule.name] / rows)
        for rule in candidates
        if 0 < broken[rule.name] <= (1 - NEARLY) * rows and not isinstance(rule, FixedCombinations)
    ]
    return _with(schema, [rule for rule in candidates if not broken[rule.name]]), nearly


def _with(schema: Schema, rules: list[Rule]) -> Schema:
    return Schema.model_validate({**dict(schema), "rules": tuple(rules)})


def _candidates(schema: Schema, first: pd.DataFrame) -> list[Rule]:
    values: dict[str, Int64Array] = {}
    for column in schema.modelled:
        try:
            values[column.name] = values_of(first[column.name], column)
        except InputError:  # a cell that the encoding will refuse proposes nothing
            continue
    ordered = [
        column
        for column in schema.modelled
        if column.name in values
        and isinstance(column, DateColumn | DatetimeColumn | IntegerColumn | NumericColumn)
    ]
    listed = [
        column
        for column in schema.modelled
        if column.name in values and isinstance(column, CategoricalColumn | BooleanColumn)
    ]
    rng = np.random.default_rng(0)
    rules: list[Rule] = []
    for one, other in combinations(ordered, 2):
        alike = _grid(one) == _grid(other)
        if not alike and not all(
            isinstance(c, IntegerColumn | NumericColumn) for c in (one, other)
        ):
            continue
        if (rule := number_rule(one, other, values, listed, rng)) is not None:
            rules.append(rule)
            continue
        if not alike:
            continue
        for low, high in ((one, other), (other, one)):
            if _in_order(values[low.name], values[high.name], rng):
                name = f"{low.name} before {high.name}"[:200]
                rules.append(Inequality(name=name, low=low.name, high=high.name))
                break
    sums = sum_rules(ordered, values)
    return [*_labels(schema, values, rng), *sums, *rules][:MOST_RULES]


def _grid(column: ModelledColumn) -> object:
    """What two columns share if they can be in an order: a granularity, or the decimals."""
    if isinstance(column, DateColumn | DatetimeColumn):
        return column.granularity
    return decimals_of(column)


def _in_order(low: Int64Array, high: Int64Array, rng: np.random.Generator) -> bool:
    both = (low != MISSING) & (high != MISSING)
    first, second = low[both], high[both]
    if len(first) < LEAST or (first > second).any() or (first == second).all():
        return False
    return bool((first > rng.permutation(second)).mean() > BROKEN_BY_CHANCE)


def _labels(schema: Schema, values: dict[str, Int64Array], rng: np.random.Generator) -> list[Rule]:
    """Pairs of columns of listed values in which each value of one has one value of the other."""
    listed = [
        column
        for column in schema.modelled
        if column.name in values and isinstance(column, CategoricalColumn | BooleanColumn)
        if not (isinstance(column, CategoricalColumn) and column.other)
    ]
    rules: list[Rule] = []
    taken: set[str] = set()
    for pair in combinations(listed, 2):
        for code, label in sorted(permutations(pair), key=lambda two: -_size(two[0])):
            one, other = values[code.name], values[label.name]
            if label.name in taken or not _determines(one, other, _size(code), rng):
                continue
            taken.add(label.name)
            pairs = np.unique(np.stack([one, other], axis=1), axis=0).tolist()
            cells = tuple((_text(key, code), _text(value, label)) for key, value in pairs)
            names = (code.name, label.name)
            title = f"{code.name} and {label.name}"[:200]
            rules.append(FixedCombinations(name=title, columns=names, combinations=cells))
            break
    return rules


def _size(column: ModelledColumn) -> int:
    return len(column.categories) if isinstance(column, CategoricalColumn) else 2


def _determines(codes: Int64Array, labels: Int64Array, size: int, rng: np.random.Generator) -> bool:
    """Whether each code has one label, where chance would give some codes several."""
    if not 3 <= size <= MOST_CODES or len(codes) < ROWS_PER_CODE * size:
        return False
    usual = _usual_label(codes, labels)
    if (usual != labels).any():
        return False
    shuffled = rng.permutation(labels)
    return bool((_usual_label(codes, shuffled) != shuffled).mean() > BROKEN_BY_CHANCE)


def _usual_label(codes: Int64Array, labels: Int64Array) -> Int64Array:
    """For each row, the label that most rows of its code have."""
    rows, code = np.unique(codes, return_inverse=True)
    columns, label = np.unique(labels, return_inverse=True)
    cells = np.bincount(code * len(columns) + label, minlength=len(rows) * len(columns))
    usual: Int64Array = columns[cells.reshape(len(rows), len(columns)).argmax(axis=1)]
    return usual[code]


def _text(value: int, column: CategoricalColumn | BooleanColumn) -> str | None:
    if value == MISSING:
        return None
    if isinstance(column, BooleanColumn):
        return column.true if value else column.false
    return column.categories[value]
