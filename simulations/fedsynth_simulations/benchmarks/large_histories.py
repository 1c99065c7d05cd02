"""What `large` measures of a table of histories: its schema, and all marginals of a study of it."""

from collections.abc import Iterable, Iterator
from itertools import combinations, product

import numpy as np

from fedsynth_client.vault.measure import Axis, Marginal
from fedsynth_common.protocol.counting import Over
from fedsynth_common.schema import (
    Histories,
    IdColumn,
    IntegerColumn,
    ModelledColumn,
    Schema,
    layout_of,
)

PERSON, DAY = "person", "day"
_DAYS = 3650


def of_persons(columns: Iterable[ModelledColumn], events: int) -> Schema:
    """The columns with a person key and days: the first half static, at most 2 x `events` a person."""
    listed = tuple(columns)
    of_event = tuple(column.name for column in listed[len(listed) // 2 :])
    return Schema(
        name="large",
        columns=(
            IdColumn(name=PERSON),
            IntegerColumn(name=DAY, minimum=0, maximum=_DAYS),
            *listed,
        ),
        person_key=PERSON,
        histories=Histories(
            order=DAY, max_events=2 * events, events=(DAY, *of_event), largest_gap=1000
        ),
    )


def persons_and_days(count: int, persons: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Cells of both columns: anybody's event of any day in any row."""
    return {PERSON: rng.integers(0, persons, count), DAY: rng.integers(0, _DAYS + 1, count)}


def blocks(schema: Schema, axes: list[Axis]) -> Iterator[Marginal]:
    """Pairs over persons, over events, and from an event to the next; `axes` has one a column."""
    layout = layout_of(schema)
    static, events = ([axes[place] for place in part] for part in (layout.static, layout.events))
    for pair in combinations(static, 2):
        yield Marginal(pair, 100, Over.PERSONS)
    for pair in (*combinations(events, 2), *product(static, events)):
        yield Marginal(pair, 100, Over.EVENTS)
    for earlier, later in product(events, repeat=2):
        after = Axis(later.column, later.width, later.view, at=1)
        yield Marginal((earlier, after), 100, Over.NEXT, lag=1)
