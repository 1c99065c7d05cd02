"""Proposes rules that hold in every row of a table: orders of columns, and codes with their labels.

Candidates are looked for among the first rows, and each is then checked on all rows. One is proposed
only if chance would break it: an order, if the two columns overlap and a shuffled table breaks it in
one row of twenty; a pair of code and label, if each code has one label, each label one code, and a code
has five rows on average. A proposal is for a reviewer, like everything in a draft.
"""

from collections.abc import Callable, Iterable
from itertools import combinations

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Int64Array
from fedsynth_common.encoding.violations import values_of, violations_within_records
from fedsynth_common.errors import InputError
from fedsynth_common.schema.columns import (
    CategoricalColumn,
    IntegerColumn,
    ModelledColumn,
    NumericColumn,
)
from fedsynth_common.schema.domain import MISSING
from fedsynth_common.schema.rules import FixedCombinations, Inequality, Rule
from fedsynth_common.schema.schema import Schema
from fedsynth_common.schema.temporal import DateColumn, DatetimeColumn
from fedsynth_common.schema.ticks import decimals_of

LEAST = 100  # rows with both cells
BROKEN_BY_CHANCE = 0.05
ROWS_PER_CODE = 5
MOST_CODES = 256
MOST_RULES = 20


def with_rules(
    schema: Schema, first: pd.DataFrame, chunks: Callable[[], Iterable[pd.DataFrame]]
) -> Schema:
    """The schema with the rules that hold in every row.

    Args:
        schema: A draft without rules.
        first: The first rows of the table, among which candidates are looked for.
        chunks: Gives all rows.
    """
    candidates = _candidates(schema, first)
    if not candidates:
        return schema
    broken: dict[str, int] = {}
    proposed = _with(schema, candidates)
    names = {name for rule in candidates for name in _columns(rule)}
    small = Schema(
        name=schema.name,
        columns=tuple(column for column in schema.columns if column.name in names),
        rules=proposed.rules,
    )
    for chunk in chunks():
        for name, count in violations_within_records(chunk, small).items():
            broken[name] = broken.get(name, 0) + count
    return _with(schema, [rule for rule in candidates if not broken[rule.name]])


def _with(schema: Schema, rules: list[Rule]) -> Schema:
    return Schema.model_validate({**dict(schema), "rules": tuple(rules)})


def _columns(rule: Rule) -> tuple[str, ...]:
    if isinstance(rule, Inequality):
        return (rule.low, rule.high)
    return rule.columns if isinstance(rule, FixedCombinations) else ()


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
    rng = np.random.default_rng(0)
    rules: list[Rule] = []
    for one, other in combinations(ordered, 2):
        if _grid(one) != _grid(other):
            continue
        for low, high in ((one, other), (other, one)):
            if _in_order(values[low.name], values[high.name], rng):
                name = f"{low.name} before {high.name}"[:200]
                rules.append(Inequality(name=name, low=low.name, high=high.name))
                break
    return [*_labels(schema, values), *rules][:MOST_RULES]


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


def _labels(schema: Schema, values: dict[str, Int64Array]) -> list[Rule]:
    """Pairs of columns of categories in which each text of one has one text of the other."""
    listed = [
        column
        for column in schema.modelled
        if isinstance(column, CategoricalColumn) and not column.other and column.name in values
    ]
    rules: list[Rule] = []
    taken: set[str] = set()
    for code, label in combinations(listed, 2):
        size = len(code.categories)
        if size != len(label.categories) or not 3 <= size <= MOST_CODES or taken & {label.name}:
            continue
        pairs = np.unique(np.stack([values[code.name], values[label.name]], axis=1), axis=0)
        rows = len(values[code.name])
        if len(pairs) > size + 1 or rows < ROWS_PER_CODE * size or not _one_to_one(pairs):
            continue
        cells = tuple((_text(one, code), _text(other, label)) for one, other in pairs.tolist())
        taken.add(label.name)
        name = f"{code.name} and {label.name}"[:200]
        rules.append(
            FixedCombinations(name=name, columns=(code.name, label.name), combinations=cells)
        )
    return rules


def _one_to_one(pairs: Int64Array) -> bool:
    return all(len(np.unique(pairs[:, side])) == len(pairs) for side in (0, 1))


def _text(value: int, column: CategoricalColumn) -> str | None:
    return None if value == MISSING else column.categories[value]
