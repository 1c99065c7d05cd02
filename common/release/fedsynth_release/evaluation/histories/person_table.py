"""Persons as the rows of a flat table, so that attacks and the detector see whole persons.

A row has the static columns, the number of events, and the columns of the first events of a person,
side by side, and of the last event; where a person has fewer events, the cells are missing. An attacker
who knows everything about a person knows such a row.
"""

import numpy as np
import pandas as pd

from fedsynth_common.schema import ModelledColumn, Schema
from fedsynth_common.schema.histories import NUMBER_OF_EVENTS
from fedsynth_release.evaluation.histories.model_rows import HistoryRows, event_columns

MOST_EVENTS = 6
"""First events whose columns are in a row; the last event is always there."""
LAST = "last event"


def person_schema(rows: HistoryRows) -> Schema:
    """The schema of `person_table`."""
    histories, columns = rows.schema.histories, rows.compared.modelled
    events = event_columns(rows.schema)
    static = columns[: len(columns) - len(events)]
    count = min(histories.max_events if histories else 1, MOST_EVENTS)
    wide: list[ModelledColumn] = []
    for when in (*(f"event {k + 1}" for k in range(count)), LAST):
        for column in events:
            changed = {"name": f"{column.name} ({when})", "nullable": True}
            wide.append(column.model_copy(update=changed))
    return Schema(name=rows.schema.name, columns=(*static, *wide))


def person_table(rows: HistoryRows) -> pd.DataFrame:
    """One row a person, in the columns of `person_schema`."""
    first = rows.first
    sizes = np.diff(np.append(first, len(rows.place)))
    columns: dict[str, object] = {}
    of_event = {column.name for column in event_columns(rows.schema)}
    for column in rows.compared.modelled:
        if column.name == NUMBER_OF_EVENTS or column.name not in of_event:
            columns[column.name] = rows.frame[column.name].array.take(first)
    for column in person_schema(rows).modelled[len(columns) :]:
        name, _, when = column.name.rpartition(" (")
        at = first + sizes - 1 if when == f"{LAST})" else first + int(when[6:-1]) - 1
        absent = at >= first + sizes
        cells = rows.frame[name].array
        columns[column.name] = cells.take(np.where(absent, -1, at), allow_fill=True)
    return pd.DataFrame(columns)
