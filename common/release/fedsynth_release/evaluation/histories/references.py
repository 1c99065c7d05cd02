"""Reference tables of histories: events dealt to persons at random, and independent columns.

In both, every person keeps the number of events. The events of a person are put in order afterwards,
like those of any table (`model_rows`).

- `dealt` gives whole events to other persons. It is right within an event and about the static
  columns, and is what a generator of single events gives.
- `independent` gives away every column by itself, static columns from person to person.
"""

import numpy as np
import pandas as pd

from fedsynth_common.schema import Schema
from fedsynth_common.tables import factorise
from fedsynth_release.evaluation.discretise import cell_column
from fedsynth_release.evaluation.histories.model_rows import event_columns


def dealt(frame: pd.DataFrame, schema: Schema, rng: np.random.Generator) -> pd.DataFrame:
    """Every person has the events of random persons; `frame` is in the user's columns."""
    rows = rng.permutation(len(frame))
    moved = {c.name: frame[c.name].array.take(rows) for c in event_columns(schema)}
    return frame.assign(**moved)


def independent(frame: pd.DataFrame, schema: Schema, rng: np.random.Generator) -> pd.DataFrame:
    """Every cell is of a random person, or of a random event, column by column."""
    person = factorise(cell_column(frame, schema.person_key or ""))[0]
    first = np.unique(person, return_index=True)[1]
    of_event = {column.name for column in event_columns(schema)}
    moved = {}
    for column in schema.modelled:
        of_row = rng.permutation(len(frame))
        of_person = rng.permutation(first)[person]
        rows = of_row if column.name in of_event else of_person
        moved[column.name] = frame[column.name].array.take(rows)
    return frame.assign(**moved)
