"""An analysis file: which means, shares and models to compute, and of which columns.

The file is TOML (or JSON) with a list `analyses`. It names columns and values of the public schema
and holds no formula, so that reading it never runs a program.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fedsynth_common.errors import InputError
from fedsynth_common.schema import BooleanColumn, CategoricalColumn, ModelledColumn, Schema
from fedsynth_common.validated import read_settings
from fedsynth_release.evaluation.discretise import named_levels

Name = Annotated[str, Field(min_length=1, max_length=200)]
Values = Annotated[tuple[Name, ...], Field(max_length=1000)]
Terms = Annotated[tuple[Name, ...], Field(min_length=1, max_length=50)]


class _Declared(BaseModel):
    """What all analyses have: `name` is the heading of the result."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Name


class Means(_Declared):
    """The mean of a column of numbers, in every group of `by` or in all rows."""

    kind: Literal["means"]
    outcome: Name
    by: Name | None = None


class Proportions(_Declared):
    """The share of rows whose `outcome` is one of `values`, in every group of `by` or in all rows."""

    kind: Literal["proportions"]
    outcome: Name
    values: Values = ()
    by: Name | None = None


class Linear(_Declared):
    """A linear regression of a column of numbers on `terms`."""

    kind: Literal["linear"]
    outcome: Name
    terms: Terms


class Logistic(_Declared):
    """A logistic regression: whether `outcome` is one of `values`, on `terms`."""

    kind: Literal["logistic"]
    outcome: Name
    values: Values = ()
    terms: Terms


class Cox(_Declared):
    """Proportional hazards: the time until `event` is one of `values`; other rows are censored."""

    kind: Literal["cox"]
    time: Name
    event: Name
    values: Values = ()
    terms: Terms


Analysis = Annotated[
    Means | Proportions | Linear | Logistic | Cox,
    Field(discriminator="kind"),
]


class AnalysisFile(BaseModel):
    """All analyses of a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    analyses: Annotated[tuple[Analysis, ...], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _names_differ(self) -> "AnalysisFile":
        if len({one.name for one in self.analyses}) != len(self.analyses):
            raise ValueError("every analysis needs a name of its own")
        return self


def read_analyses(path: Path, schema: Schema) -> tuple[Analysis, ...]:
    """The analyses of a file, checked against the schema of the tables.

    Raises:
        InputError: the file cannot be read, or an analysis does not fit the schema.
    """
    declared = read_settings(path, AnalysisFile, str(path)).analyses
    for one in declared:
        check_analysis(one, schema, f"{path}: analysis {one.name!r}")
    return declared


def check_analysis(analysis: Analysis, schema: Schema, source: str) -> None:
    """Refuse an analysis whose columns are not of the kind that it needs.

    Raises:
        InputError: naming `source`, the column and what is expected of it.
    """
    modelled = {column.name: column for column in schema.modelled}

    def column(field: str, name: str) -> ModelledColumn:
        if name not in modelled:
            raise InputError(f"{source}: {field} {name!r} is not a modelled column of the schema")
        return modelled[name]

    def refuse_unless(good: bool, field: str, name: str, expected: str) -> None:
        if not good:
            raise InputError(f"{source}: {field} {name!r}: expected {expected}")

    if isinstance(analysis, Cox):
        numbers, answers = {"time": analysis.time}, {"event": analysis.event}
    elif isinstance(analysis, Means | Linear):
        numbers, answers = {"outcome": analysis.outcome}, {}
    else:
        numbers, answers = {}, {"outcome": analysis.outcome}
    for field, name in numbers.items():
        number = not named_levels(column(field, name))
        refuse_unless(number, field, name, "a column of numbers, dates or times")
    for field, name in answers.items():
        wanted = () if isinstance(analysis, Means | Linear) else analysis.values
        _check_values(column(field, name), wanted, f"{source}: {field} {name!r}")
    if isinstance(analysis, Means | Proportions):
        if analysis.by is not None:
            groups = bool(named_levels(column("by", analysis.by)))
            refuse_unless(groups, "by", analysis.by, "a category, or a column of yes and no")
        return
    for name in analysis.terms:
        column("terms", name)
        refuse_unless(
            name not in (*numbers.values(), *answers.values()), "terms", name, "another column"
        )
    refuse_unless(
        len(set(analysis.terms)) == len(analysis.terms), "terms", analysis.name, "each column once"
    )


def _check_values(column: ModelledColumn, values: tuple[str, ...], source: str) -> None:
    """Refuse values that an outcome cannot have, or none where there is no usual one."""
    levels = named_levels(column)
    if not values and not isinstance(column, BooleanColumn):
        raise InputError(f"{source}: say which values count as yes, such as values = ['1']")
    if levels:
        if strange := [value for value in values if value not in levels]:
            kind = "categories" if isinstance(column, CategoricalColumn) else "two texts"
            raise InputError(f"{source}: {strange[0]!r} is not one of its {kind} in the schema")
        return
    for value in values:
        try:
            float(value)
        except ValueError:
            raise InputError(f"{source}: {value!r} is not a number, as its column is") from None
