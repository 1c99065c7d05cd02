"""Which columns can cut a table into cohorts, checked when a schema is read."""

from collections.abc import Sequence

from fedsynth_common.schema.cohorts import Cohorts
from fedsynth_common.schema.columns import (
    CategoricalColumn,
    Column,
    IdColumn,
)
from fedsynth_common.schema.temporal import DateColumn, DatetimeColumn


def check_cohorts(cohorts: Cohorts, columns: Sequence[Column], person_key: str | None) -> None:
    """Refuse cohorts of a column that cannot cut the table.

    Raises:
        ValueError: no such column, one of another kind, dates that are too coarse, or a person key.
    """
    place = f"cohorts: column {cohorts.column!r}"
    column = next((c for c in columns if c.name == cohorts.column), None)
    if column is None:
        raise ValueError(f"{place} is not declared")
    if person_key is not None:
        # rows of one person may lie in several cohorts: then ε adds up over them, and the cap of one
        # cohort would promise that person more than it keeps
        raise ValueError(
            f"{place}: a table with a person_key cannot be cut into cohorts, because the rows of a "
            "person may lie in several of them; leave the cohorts out"
        )
    if isinstance(column, CategoricalColumn):
        if cohorts.every is not None:
            raise ValueError(f"{place} is categorical: each category is a cohort; leave out every")
        return
    if not isinstance(column, DateColumn | DatetimeColumn | IdColumn):
        raise ValueError(
            f"{place}: expected a date, a time, a categorical column, or one of kind 'id' that holds "
            "the day of arrival"
        )
    if cohorts.every is None:
        raise ValueError(f'{place}: every: expected "month", "quarter" or "year"')
    if isinstance(column, DateColumn) and column.granularity == "year" and cohorts.every != "year":
        raise ValueError(f'{place} holds years: every: expected "year"')
