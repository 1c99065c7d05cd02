"""Which columns can cut a table into cohorts, checked when a schema is read."""

from collections.abc import Sequence

from fedsynth_common.schema.cohorts import Cohorts
from fedsynth_common.schema.columns import (
    CategoricalColumn,
    Column,
    IdColumn,
)
from fedsynth_common.schema.temporal import DateColumn, DatetimeColumn


def check_cohorts(
    cohorts: Cohorts, columns: Sequence[Column], person_key: str | None, histories: bool = False
) -> None:
    """Refuse cohorts of a column that cannot cut the table.

    Raises:
        ValueError: no such column, one of another kind, dates that are too coarse, histories, or persons
            without a bound on their cohorts.
    """
    place = f"cohorts: column {cohorts.column!r}"
    column = next((c for c in columns if c.name == cohorts.column), None)
    if column is None:
        raise ValueError(f"{place} is not declared")
    _check_persons(cohorts, person_key, histories, place)
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


def _check_persons(cohorts: Cohorts, person_key: str | None, histories: bool, place: str) -> None:
    """Persons may be in several cohorts: a bound on their number is what a whole person is promised."""
    if person_key is None:
        if cohorts.per_person is not None:
            raise ValueError(f"{place}: per_person needs a person_key")
        return
    if histories:
        raise ValueError(
            f"{place}: histories cannot be cut into cohorts, because a person's history goes on over "
            "them and a refresh has no way yet to continue it; leave the cohorts out"
        )
    if cohorts.per_person is None:
        raise ValueError(
            f"{place}: with a person_key the rows of a person may lie in several cohorts; say with "
            'per_person in how many of them they are used, such as "per_person": 4'
        )
    if cohorts.every is None:
        raise ValueError(
            f"{place}: with a person_key the column must hold dates and every be given: a person's "
            "first cohorts are used, and categories have no order in time"
        )
