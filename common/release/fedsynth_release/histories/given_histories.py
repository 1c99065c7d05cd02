"""Reads histories that are to be continued: the codes of what is known of persons and their events.

An empty cell is not known, and says nothing. The order and what grows have to be known, because the new
events go on from their last values.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fedsynth_common.array_types import BoolArray, Int64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import HistoryLayout, Schema, domain_of, layout_of
from fedsynth_common.schema.domain import MISSING
from fedsynth_release.decoding import Codebook
from fedsynth_release.sampling.combinations import cells_of_values
from fedsynth_release.sampling.completion import given_values


@dataclass(frozen=True, eq=False)
class GivenHistories:
    """Persons in the order in which they are named, with their last events.

    Attributes:
        keys: the persons' keys (persons,).
        person: whose each event is (events,); a person's events are together and in order.
        values: by model column its values at the events (events,); arbitrary where not known.
        known: which values are known (events, model columns); those of static columns are the same at
            all events of a person.
        codes: their codes, or -1 (events, model columns).
        last: by place of the value at the first event, that at the last given one (persons,).
    """

    keys: pd.Series
    person: Int64Array
    values: list[Int64Array]
    known: BoolArray
    codes: Int64Array
    last: dict[int, Int64Array]

    @property
    def first(self) -> Int64Array:
        """The row of each person's first event (persons,)."""
        return np.flatnonzero(np.diff(self.person, prepend=-1))


def read_histories(
    frame: pd.DataFrame, schema: Schema, codebook: Codebook, most: int
) -> GivenHistories:
    """The last events of each person, at most `most` of them, in the codes of a generator.

    Raises:
        InputError: there are no rows, or a column or cell does not fit the schema.
    """
    histories, layout, key = schema.histories, layout_of(schema), schema.person_key or ""
    if histories is None or not len(frame):
        raise InputError("no events to continue; expected at least one row")
    if key not in frame:
        raise InputError(f"the given histories have no column {key!r}, which names the person")
    frame = frame.reset_index(drop=True)
    given, fixed = given_values(frame, schema)
    names = {column.name: place for place, column in enumerate(schema.modelled)}
    for name in (histories.order, *histories.grows):
        if empty := int((~fixed[:, names[name]]).sum()):
            fault = f"is absent or empty in {empty} given row(s); new events go on from its value"
            raise InputError(f"column {name!r}: {fault}, so fill it in")
    number, keys = pd.factorize(frame[key])
    if (number < 0).any():
        raise InputError(f"column {key!r}: {int((number < 0).sum())} given row(s) name no person")
    rows = np.lexsort((given[names[histories.order]], number))
    after = np.bincount(number)[number[rows]] - _place_in(number[rows]) - 1
    rows = rows[after < most]
    person = number[rows]
    first = np.flatnonzero(np.diff(person, prepend=-1))
    values, known = _model_values(schema, layout, given, fixed, rows, person)
    codes = np.full(known.shape, -1, dtype=np.int64)
    for place, column in enumerate(layout.columns):
        cells = cells_of_values(column, np.where(known[:, place], values[place], MISSING))
        rows_known = known[:, place]
        codes[rows_known, place] = codebook.views[place][cells[rows_known]]
    ends = np.append(first[1:], len(person)) - 1
    starts = {layout.first_order: histories.order}
    starts |= {place: name for (place, _), name in zip(layout.grows, histories.grows, strict=True)}
    last = {place: given[names[name]][rows][ends] for place, name in starts.items()}
    return GivenHistories(pd.Series(keys), person, values, known, codes, last)


def _place_in(person: Int64Array) -> Int64Array:
    """The place of each event among those of its person, from 0."""
    first = np.flatnonzero(np.diff(person, prepend=-1))
    return np.arange(len(person)) - np.repeat(first, np.diff(np.append(first, len(person))))


def _model_values(
    schema: Schema,
    layout: HistoryLayout,
    given: list[Int64Array],
    fixed: BoolArray,
    rows: Int64Array,
    person: Int64Array,
) -> tuple[list[Int64Array], BoolArray]:
    """Values of the model columns at the events, and which are known."""
    names = {column.name: place for place, column in enumerate(schema.modelled)}
    first = np.flatnonzero(np.diff(person, prepend=-1))
    starts = {layout.first_order, *(place for place, _ in layout.grows)}
    values, known = [], np.zeros((len(rows), len(layout.columns)), dtype=bool)
    for place, source in enumerate(layout.sources):
        if source is None:  # how many events there will be is not known
            values.append(np.zeros(len(rows), dtype=np.int64))
            continue
        cells, here = given[names[source]][rows], fixed[rows, names[source]]
        if place in starts:
            cells = cells[first][person]
        elif place in layout.since_previous:
            steps = np.diff(cells, prepend=cells[:1])
            cells = np.clip(steps, 0, int(domain_of(layout.columns[place]).ticks[-1]) - 1)
            cells[first] = MISSING
        elif place in layout.static:
            cells, here = _of_persons(source, cells, here, person)
        values.append(cells)
        known[:, place] = here
    return values, known


def _of_persons(
    name: str, cells: Int64Array, known: BoolArray, person: Int64Array
) -> tuple[Int64Array, BoolArray]:
    """A static column's one known value of each person, at all events."""
    rows = np.flatnonzero(known)
    named, at = np.unique(person[rows], return_index=True)
    value = np.zeros(int(person.max()) + 1, dtype=np.int64)
    value[named] = cells[rows[at]]
    if (cells[rows] != value[person[rows]]).any():
        fault = "differs between given rows of a person, but belongs to the person"
        raise InputError(f"column {name!r}: {fault}; give it one value in all of them")
    return value[person], np.isin(person, named)
