"""The user's columns of events from the values of the model columns.

The order of the events is its value at the first event plus the gaps since, and a column that grows is
its first value plus its increases. Both are cut at the upper bound that the schema declares. Gaps and
increases are never negative, so events are in order and what grows never falls, in every history.
"""

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Int64Array
from fedsynth_common.schema import Schema, domain_of, layout_of
from fedsynth_release.decoding.decoder import column_of


def user_columns(
    values: list[Int64Array], schema: Schema, person: Int64Array, before: bool = False
) -> pd.DataFrame:
    """The modelled columns that the schema declares.

    Args:
        values: by model column the values of the events (events,).
        schema: the user's.
        person: whose each event is (events,); a person's events are together and in order.
        before: whether the events come after others, whose last values stand in the places of the
            values at the first event. Every step then counts; otherwise a first event has none.
    """
    layout, histories = layout_of(schema), schema.histories
    places = {source: place for place, source in enumerate(layout.sources) if source}
    summed = {}
    if histories is not None:
        summed = dict(zip(histories.grows, layout.grows, strict=True))
        summed[histories.order] = layout.first_order, layout.gap
    columns = {}
    for column in schema.modelled:
        cells = values[places[column.name]]
        if column.name in summed:
            start, step = summed[column.name]
            cells = _sums(values[start], values[step], person, before)
            cells = np.minimum(cells, int(domain_of(column).ticks[-1]) - 1)
        columns[column.name] = column_of(cells, column)
    return pd.DataFrame(columns)


def _sums(start: Int64Array, steps: Int64Array, person: Int64Array, before: bool) -> Int64Array:
    """A person's start plus all steps so far."""
    steps = steps.copy()
    first = np.flatnonzero(np.diff(person, prepend=-1))
    if not before:
        steps[first] = 0
    total = np.cumsum(steps)
    own = np.repeat(first, np.diff(np.append(first, len(person))))
    return np.asarray(start + total - total[own] + steps[own])
