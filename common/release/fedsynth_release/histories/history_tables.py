"""Tables of made-up persons: one long table, each person's events together and in order, or two.

The person key is made up once for each person and links the events; without a `provider` or a pattern
in the schema it is the person's number. All other ids and texts are made up for each event.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from fedsynth_common.schema import Schema
from fedsynth_release.histories.history_sampler import HistorySampler
from fedsynth_release.sampling.surrogate_values import Surrogates

EVENTS_AT_A_TIME = 50_000


def history_frames(
    sampler: HistorySampler, persons: int, rng: np.random.Generator
) -> Iterator[pd.DataFrame]:
    """Draw `persons` persons with all their events, in frames of about 50,000 events.

    Raises:
        InputError: the pattern of a unique id allows fewer texts than there may be events.
    """
    schema = sampler.schema
    most = sampler.layout.max_events
    names = {column.name for column in schema.surrogates}
    key = schema.person_key or ""
    of_persons = names & {key}
    keys = Surrogates(schema, persons, rng, of_persons)
    others = Surrogates(schema, persons * most, rng, names - of_persons)
    chunk, drawn = max(1, EVENTS_AT_A_TIME // most), 0
    for start in range(0, persons, chunk):
        count = min(chunk, persons - start)
        events, person = sampler.frame(count, rng)
        made = keys.added(pd.DataFrame(index=range(count)), start)
        if key not in made:
            made[key] = pd.Series(range(start + 1, start + count + 1)).astype("str")
        made = made.iloc[person]
        frame = others.added(events.assign(**made.reset_index(drop=True)), drawn)
        drawn += len(frame)
        yield frame[[column.name for column in schema.columns if column.name in frame]]


def separated(frame: pd.DataFrame, schema: Schema) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A table of persons and one of their events, linked by the person key.

    Args:
        frame: the events of whole persons, with the columns of the persons in each.
        schema: the user's.
    """
    persons, key = static_columns(schema), schema.person_key or ""
    events = [name for name in frame.columns if name == key or name not in persons]
    first = ~frame[key].duplicated()
    return frame.loc[first, persons].reset_index(drop=True), frame[events]


def static_columns(schema: Schema) -> list[str]:
    """The columns of a table of persons: the person key and what never changes within a person."""
    histories = schema.histories
    events = set(histories.events) if histories else set()
    made_up = {column.name for column in schema.surrogates if column.name != schema.person_key}
    return [c.name for c in schema.columns if c.name not in events and c.name not in made_up]
