"""One table with everything in it that storage could disagree about, and its schema."""

import datetime
import decimal
import random

from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    DateColumn,
    DatetimeColumn,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
)

SCHEMA = Schema(
    name="mixed",
    columns=(
        IdColumn(name="patient"),
        CategoricalColumn(
            name="ward", categories=("a", "Straße", 'q"uote', "x,y", "007"), nullable=True
        ),
        CategoricalColumn(name="code", categories=("9007199254740993", "1", "2"), nullable=True),
        BooleanColumn(name="smoker", nullable=True),
        IntegerColumn(name="age", minimum=0, maximum=99, nullable=True),
        IntegerColumn(name="visits", minimum=0, maximum=50),
        NumericColumn(name="price", minimum=0.0, maximum=100.0, decimals=2, nullable=True),
        NumericColumn(name="pulse", minimum=0.0, maximum=1.0, decimals=9, nullable=True),
        NumericColumn(name="single", minimum=0.0, maximum=1.0, decimals=8, nullable=True),
        DateColumn(name="admitted", minimum="2015-01-01", maximum="2024-12-31", nullable=True),
        DatetimeColumn(
            name="seen",
            minimum="2015-01-01T00:00",
            maximum="2024-12-31T23:59",
            granularity="minute",
            nullable=True,
        ),
    ),
    person_key="patient",
    rows_per_person=2,
)
NAMES = [column.name for column in SCHEMA.columns]


def rows(count: int = 400) -> list[dict[str, object]]:
    """Typed values; None is missing. Some are out of bounds, some finer than declared."""
    rng = random.Random(0)
    start = datetime.datetime(2014, 6, 1)
    made = []
    for number in range(count):
        moment = start + datetime.timedelta(minutes=rng.randrange(6_000_000))
        row = {
            "patient": f"p{number // 3}",
            "ward": rng.choice(["a", "Straße", 'q"uote', "x,y", "007", "unknown one"]),
            "code": rng.choice([9007199254740993, 9007199254740992, 1, 2]),
            "smoker": rng.random() < 0.5,
            "age": rng.randrange(-5, 120),
            "visits": rng.randrange(51),
            "price": decimal.Decimal(rng.randrange(12_000)).scaleb(-2),
            "pulse": rng.choice([rng.random(), 0.1 + 0.2, 0.5 + 5e-10, 2.5e-9]),
            "single": rng.choice([0.1, 0.25, 0.7]),
            "admitted": moment.date(),
            "seen": moment.replace(second=rng.choice([0, 0, 30])),
        }
        nullable = {c.name for c in SCHEMA.modelled if c.nullable}
        made.append(
            {k: None if k in nullable and rng.random() < 0.1 else v for k, v in row.items()}
        )
    return made


def csv_text(value: object) -> str:
    """A value as a database's own export writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
