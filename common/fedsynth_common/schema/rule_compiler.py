"""Checks the declared rules of a schema against its columns, and compiles them (`compiled_rules.py`).

A plan comes from outside, so checking it takes time in proportion to its length. What a rule names is
looked up once per column and text, and the lists together hold no more than `MAX_LISTED` cells.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from fedsynth_common.schema.columns import (
    BooleanColumn,
    CategoricalColumn,
    IdColumn,
    ModelledColumn,
    TextColumn,
)
from fedsynth_common.schema.compiled_rules import (
    CompiledCombinations,
    CompiledImplication,
    CompiledRule,
    Membership,
)
from fedsynth_common.schema.domain import MISSING, domain_of
from fedsynth_common.schema.order_rules import (
    difference_of,
    grid,
    order_of,
    ratio_of,
    refuse,
    sum_of,
)
from fedsynth_common.schema.rules import (
    MAX_LISTED,
    Difference,
    FixedCombinations,
    Inequality,
    MissingIf,
    OneHot,
    RangeIf,
    Ratio,
    Rule,
    Sum,
    Unique,
    When,
    columns_of,
)
from fedsynth_common.schema.tick_set import TickSet
from fedsynth_common.schema.ticks import tick_of


class Declared(Protocol):
    """What compiling asks of a schema, which itself compiles its rules when it is made."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The declared rules."""

    @property
    def modelled(self) -> tuple[ModelledColumn, ...]:
        """The columns that are encoded, in order."""

    @property
    def surrogates(self) -> tuple[IdColumn | TextColumn, ...]:
        """The columns that are made up when records are drawn."""


def compile_rules(schema: Declared) -> tuple[CompiledRule, ...]:
    """The rules between modelled columns.

    Raises:
        InputError: a rule that does not fit its columns; says which and why.
    """
    names = [rule.name for rule in schema.rules]
    for rule in schema.rules:
        if names.count(rule.name) > 1:
            refuse(rule, "is declared more than once")
    _refuse_too_many(schema.rules)
    looked_up = _LookedUp(schema)
    return tuple(form for rule in schema.rules for form in _compile(rule, schema, looked_up))


def _refuse_too_many(rules: Sequence[Rule]) -> None:
    listed = 0
    for rule in rules:
        if isinstance(rule, FixedCombinations):
            listed += len(rule.combinations) * len(rule.columns)
        if listed > MAX_LISTED:
            refuse(
                rule,
                f"the combinations of the rules up to this one have more than {MAX_LISTED} cells "
                "(combinations x columns, added up); list fewer, or split wide rules into narrow ones",
            )


class _LookedUp:
    """The modelled columns of a schema as rules name them: each text is looked up once."""

    def __init__(self, schema: Declared) -> None:
        self.index = {column.name: place for place, column in enumerate(schema.modelled)}
        self._columns = schema.modelled
        self._made: dict[int, _Column] = {}

    def __getitem__(self, place: int) -> "_Column":
        if place not in self._made:
            self._made[place] = _Column(self._columns[place])
        return self._made[place]


class _Column:
    def __init__(self, column: ModelledColumn) -> None:
        self.declared, self.domain = column, domain_of(column)
        self.values: dict[str, int] = {label: code for code, label in enumerate(self.domain.labels)}
        self.singles: dict[str | None, int] = {}


def _compile(rule: Rule, schema: Declared, columns_by_place: _LookedUp) -> Sequence[CompiledRule]:
    if isinstance(rule, Unique):
        if rule.column not in {column.name for column in schema.surrogates}:
            refuse(rule, f"column {rule.column!r} is no id or text with a pattern or provider")
        return ()
    index = columns_by_place.index
    unknown = [name for name in columns_of(rule) if name not in index]
    if unknown:
        refuse(rule, f"{unknown[0]!r} is not one of the modelled columns")
    places = tuple(index[name] for name in columns_of(rule))
    if len(set(places)) != len(places):
        refuse(rule, "names a column twice")
    looked_up = tuple(columns_by_place[place] for place in places)
    columns = tuple(column.declared for column in looked_up)
    if isinstance(rule, FixedCombinations):
        rows = [
            [_single(rule, text, column) for text, column in zip(row, looked_up, strict=True)]
            for row in rule.combinations
        ]
        return (CompiledCombinations(rule.name, places, np.array(rows, dtype=np.int64)),)
    if isinstance(rule, OneHot):
        if any(not isinstance(column, BooleanColumn) or column.nullable for column in columns):
            refuse(rule, "every column must be boolean and not nullable")
        return (CompiledCombinations(rule.name, places, np.eye(len(places), dtype=np.int64)),)
    if isinstance(rule, Inequality):
        return (order_of(rule, places, columns),)
    if isinstance(rule, Difference):
        given = rule.when
        when = None if given is None else _membership(rule, given, places[2], looked_up[2])
        return difference_of(rule, places, columns, when)
    if isinstance(rule, Ratio):
        return ratio_of(rule, places, columns)
    if isinstance(rule, Sum):
        return (sum_of(rule, places, columns),)
    return _implications(rule, places, looked_up)


def _implications(
    rule: RangeIf | MissingIf, places: tuple[int, ...], columns: tuple[_Column, ...]
) -> tuple[CompiledImplication, ...]:
    when = _membership(rule, rule.when, places[0], columns[0])
    if isinstance(rule, RangeIf):
        then = _membership(rule, rule.then, places[1], columns[1])
        return (CompiledImplication(rule.name, when, Membership(places[1], then.members, True)),)
    if not columns[1].declared.nullable:
        refuse(rule, f"column {columns[1].declared.name!r} is not nullable")
    nothing = TickSet([], [])
    forms = [CompiledImplication(rule.name, when, Membership(places[1], nothing, True))]
    if rule.only:
        otherwise = Membership(when.place, when.members, when.missing, negated=True)
        present = Membership(places[1], nothing, True, negated=True)
        forms.append(CompiledImplication(rule.name, otherwise, present))
    return tuple(forms)


def _membership(rule: Rule, when: When, place: int, looked_up: _Column) -> Membership:
    column, domain = looked_up.declared, looked_up.domain
    if when.missing:
        if not column.nullable:
            refuse(rule, f"column {column.name!r} is not nullable: no value is ever missing")
        return Membership(place, TickSet([], []), True)
    if when.values:
        members = TickSet.of(_value(rule, text, looked_up) for text in when.values)
    else:
        low, high = domain.reach
        if isinstance(column, BooleanColumn) or grid(column) is None:
            refuse(rule, f"column {column.name!r} has no order: give values, not bounds")
        if when.minimum is not None:
            low = min(high, max(low, _bound(rule, when.minimum, looked_up, up=True)))
        if when.maximum is not None:
            high = min(high, _bound(rule, when.maximum, looked_up, up=False) + 1)
        members = TickSet([low], [max(low, high)])
    if not len(members):
        refuse(rule, f"no value of column {column.name!r} is between these bounds")
    return Membership(place, members, False)


def _bound(rule: Rule, bound: str | int | float, looked_up: _Column, *, up: bool) -> int:
    """The first tick inside a bound."""
    column = looked_up.declared
    if isinstance(column, CategoricalColumn):
        return _value(rule, str(bound), looked_up)
    text = bound if isinstance(bound, str) else repr(bound)
    tick = None if isinstance(column, BooleanColumn) else tick_of(text, column)
    if tick is None:
        refuse(rule, f"{text!r} is not a value of column {column.name!r}, a {column.kind}")
    return -(-tick.numerator // tick.denominator) if up else tick.numerator // tick.denominator


def _value(rule: Rule, text: str, looked_up: _Column) -> int:
    """One declared value of a column."""
    if text in looked_up.values:
        return looked_up.values[text]
    column, domain = looked_up.declared, looked_up.domain
    if isinstance(column, CategoricalColumn | BooleanColumn):
        refuse(rule, f"{text!r} is not declared in column {column.name!r}")
    tick = tick_of(text, column)
    first, last = map(int, domain.ticks[[0, -1]])
    inside = tick is not None and (first <= tick < last or int(tick) in domain.atom_ticks)
    if tick is None or tick.denominator > 1 or not inside:
        refuse(rule, f"{text!r} is not a value of column {column.name!r}, a {column.kind}")
    looked_up.values[text] = int(tick)
    return int(tick)


def _single(rule: Rule, text: str | None, looked_up: _Column) -> int:
    """A value that has a cell for itself, so that the noisy counts know about it."""
    if text in looked_up.singles:
        return looked_up.singles[text]
    column, domain = looked_up.declared, looked_up.domain
    if text is None:
        if not column.nullable:
            refuse(rule, f"column {column.name!r} is not nullable: no value is ever missing")
        return MISSING
    value = _value(rule, text, looked_up)
    if domain.ordered and value not in domain.atom_ticks:
        leaf = int(np.searchsorted(domain.ticks, value, side="right")) - 1
        if domain.ticks[leaf + 1] - domain.ticks[leaf] > 1:
            fault = f"column {column.name!r} has too many values for fixed combinations"
            refuse(rule, f"{fault}; narrow its bounds, or declare {text!r} an atom")
    looked_up.singles[text] = value
    return value
