"""The public schema: what every site and the coordinator agree on before any record is read."""

from fedsynth_common.schema.cohorts import Cohort, Cohorts
from fedsynth_common.schema.columns import (
    BooleanColumn,
    CategoricalColumn,
    Column,
    IdColumn,
    IntegerColumn,
    ModelledColumn,
    NumericColumn,
    OrderedColumn,
    TextColumn,
)
from fedsynth_common.schema.domain import FineDomain, domain_of
from fedsynth_common.schema.histories import Histories, HistoryLayout
from fedsynth_common.schema.history_schema import history_schema, layout_of
from fedsynth_common.schema.rules import (
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
)
from fedsynth_common.schema.schema import Schema, domains
from fedsynth_common.schema.temporal import DateColumn, DatetimeColumn, DurationColumn

__all__ = [
    "BooleanColumn",
    "CategoricalColumn",
    "Cohort",
    "Cohorts",
    "Column",
    "DateColumn",
    "DatetimeColumn",
    "Difference",
    "DurationColumn",
    "FineDomain",
    "FixedCombinations",
    "Histories",
    "HistoryLayout",
    "IdColumn",
    "Inequality",
    "IntegerColumn",
    "MissingIf",
    "ModelledColumn",
    "NumericColumn",
    "OneHot",
    "OrderedColumn",
    "RangeIf",
    "Ratio",
    "Rule",
    "Schema",
    "Sum",
    "TextColumn",
    "Unique",
    "When",
    "domain_of",
    "domains",
    "history_schema",
    "layout_of",
]
