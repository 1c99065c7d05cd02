"""Rules between columns that hold in every record, and in every record that is drawn.

A rule is public knowledge like a bound: "a discharge is not before its admission", "nobody who is
male is pregnant". It is declared, never learned, and says nothing about any record. The sampler keeps
rules by construction; a site's records that break one are counted for the site alone.

| rule | holds for a record when |
|---|---|
| `fixed_combinations` | the cells of `columns` are one of the listed `combinations` (null: missing) |
| `inequality` | `low` <= `high`, or < if `strict`; or one of the two is missing |
| `difference` | `column` minus `minus` lies from `minimum` to `maximum`; or one of the two is missing |
| `ratio` | `column` lies from `minimum` times `of` to `maximum` times `of`; or one is missing |
| `sum` | `total` is the sum of the `parts`; or one of them is missing |
| `range_if` | where `when` holds, `then` holds, or its column is missing |
| `missing_if` | where `when` holds, `column` is missing; with `only`, nowhere else |
| `one_hot` | exactly one of the boolean `columns` is true |
| `unique` | no other record has the same cell; for ids and texts with a surrogate only |

A `difference` may have a condition `when`, and holds in all records that do not meet it. With
minimum = maximum = 0 two columns are equal under a condition. It counts in the columns' own units
(numbers, days, minutes).

`when` and `then` are conditions on one column: listed `values`, or `minimum` and/or `maximum` (both
included), or `missing`. Values and bounds are written as in the table, dates in ISO 8601. Whether a
rule fits its columns is checked by the schema, whose messages name the rule.
"""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fedsynth_common.schema.column_base import Description, Name, Text
from fedsynth_common.schema.columns import MAX_CATEGORIES

MAX_COMBINATIONS = 4096
MAX_LISTED = 1_000_000
"""Cells (combinations x columns) that the `fixed_combinations` of a schema hold together."""
Bound = (
    Annotated[str, Field(max_length=100)]
    | Annotated[int, Field(ge=-(2**62), le=2**62)]
    | Annotated[float, Field(allow_inf_nan=False)]
)
Amount = Annotated[int | float, Field(ge=-(2**53), le=2**53, allow_inf_nan=False)]
Factor = Annotated[int | float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Columns = Annotated[tuple[Name, ...], Field(min_length=2, max_length=64)]


class When(BaseModel):
    """A condition on one column; a missing cell meets it only if `missing` says so.

    >>> When(column="age", maximum=17).maximum
    17
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    column: Name
    values: Annotated[tuple[Text, ...], Field(max_length=MAX_CATEGORIES)] = ()
    minimum: Bound | None = None
    maximum: Bound | None = None
    missing: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        bounded = self.minimum is not None or self.maximum is not None
        if bool(self.values) + bounded + self.missing != 1:
            raise ValueError("expected values, or minimum and/or maximum, or missing = true")
        return self


class _Rule(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    name: Name
    description: Description = ""


RuleT = TypeVar("RuleT", bound=_Rule)


def _checked(rule: RuleT, minimum: float, maximum: float) -> RuleT:
    if minimum > maximum:
        raise ValueError(f"minimum {minimum} is above maximum {maximum}")
    return rule


class FixedCombinations(_Rule):
    """The columns' cells together are one of a public list."""

    rule: Literal["fixed_combinations"] = "fixed_combinations"
    columns: Columns
    combinations: Annotated[
        tuple[tuple[Text | None, ...], ...], Field(min_length=1, max_length=MAX_COMBINATIONS)
    ]

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if any(len(combination) != len(self.columns) for combination in self.combinations):
            raise ValueError(f"every combination must have {len(self.columns)} cells")
        if len(set(self.combinations)) != len(self.combinations):
            raise ValueError("combinations must be distinct")
        return self


class Inequality(_Rule):
    """One column is never above another."""

    rule: Literal["inequality"] = "inequality"
    low: Name
    high: Name
    strict: bool = False


class Difference(_Rule):
    """One column is another plus an amount between two bounds."""

    rule: Literal["difference"] = "difference"
    column: Name
    minus: Name
    minimum: Amount
    maximum: Amount
    when: When | None = None

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        return _checked(self, self.minimum, self.maximum)


class Ratio(_Rule):
    """One column is another times a factor between two bounds."""

    rule: Literal["ratio"] = "ratio"
    column: Name
    of: Name
    minimum: Factor
    maximum: Factor

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if not self.maximum:
            raise ValueError("maximum must be above 0")
        return _checked(self, self.minimum, self.maximum)


class Sum(_Rule):
    """A total and its parts."""

    rule: Literal["sum"] = "sum"
    total: Name
    parts: Columns


class RangeIf(_Rule):
    """A record that meets a condition on one column meets a condition on another."""

    rule: Literal["range_if"] = "range_if"
    when: When
    then: When


class MissingIf(_Rule):
    """A record that meets a condition on one column has no value in another."""

    rule: Literal["missing_if"] = "missing_if"
    when: When
    column: Name
    only: bool = False


class OneHot(_Rule):
    """Exactly one of several booleans is true."""

    rule: Literal["one_hot"] = "one_hot"
    columns: Columns


class Unique(_Rule):
    """No value occurs twice."""

    rule: Literal["unique"] = "unique"
    column: Name


Rule = Annotated[
    FixedCombinations
    | Inequality
    | Difference
    | Ratio
    | Sum
    | RangeIf
    | MissingIf
    | OneHot
    | Unique,
    Field(discriminator="rule"),
]


def columns_of(rule: Rule) -> tuple[str, ...]:
    """The columns a rule is about."""
    if isinstance(rule, FixedCombinations | OneHot):
        return rule.columns
    if isinstance(rule, Inequality):
        return (rule.low, rule.high)
    if isinstance(rule, Difference):
        condition = (rule.when.column,) if rule.when else ()
        return (rule.minus, rule.column, *condition)
    if isinstance(rule, Ratio):
        return (rule.of, rule.column)
    if isinstance(rule, Sum):
        return (rule.total, *rule.parts)
    if isinstance(rule, RangeIf):
        return (rule.when.column, rule.then.column)
    if isinstance(rule, MissingIf):
        return (rule.when.column, rule.column)
    return (rule.column,)
