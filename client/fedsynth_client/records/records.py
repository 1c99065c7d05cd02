"""The records of a site. They are encoded once and cannot be changed afterwards.

A record becomes a row of fine codes of the public schema, and the text of the table is dropped. If the
schema names a person key, at most `rows_per_person` rows of each person are kept. They are chosen
uniformly and independently of every other person, so that adding or removing a person does not change
which rows of the others are kept. The keys are replaced by running numbers.

A table is read in chunks and need not fit into memory. Its codes go to a `CodeStore`, and 128 bits of a
keyed hash of each person key are kept until all rows are read.

A schema with histories says that the rows are the events of persons. `person_events` puts them in order
and bounds them, and they become rows of the flat model schema (`history_schema`), person by person.

A schema with cohorts says that a column cuts the table into parts (`cohort_rows`). The records of one
cohort are a view of all of them. If it names a person key too, the rows of a person are bounded in each
cohort by itself, and there are no records but those of one cohort.

The privacy unit is the *person* if there is a person key, and the record otherwise. Samples are drawn,
and gradients are clipped, by privacy unit.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from fedsynth_client.records.code_store import CodeStore, take
from fedsynth_client.records.cohort_rows import CohortRows, CohortTally
from fedsynth_client.records.person_events import HistoryCounts, PersonEvents, SortedEvents
from fedsynth_client.records.person_keys import PersonKeys
from fedsynth_client.records.sources import FrameSource, Source, open_source
from fedsynth_common.array_types import Int64Array, UInt16Array
from fedsynth_common.encoding import EncodedTable, encode
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.schema import Cohort, Schema, layout_of


@dataclass(frozen=True)
class Records:
    """Fine codes (n, d) and, with a person key, the person (0..P-1) of each row.

    `digest` is the SHA-256 of all rows' codes as they were read, for the site's own log. Of histories,
    the rows of a person stand together and in order, persons ascending. `cohorts` says which rows are in
    which cohort, if the schema cuts the table; `chosen` are the rows of the one that is served. Where it
    cuts the rows of persons, `parts` are the records of each cohort by its first month.
    """

    codes: UInt16Array
    person: Int64Array | None = None
    digest: str = ""
    cohorts: CohortRows | None = None
    chosen: Int64Array | None = None
    parts: Mapping[int, "Records"] | None = None

    def __len__(self) -> int:
        return len(self.codes) if self.chosen is None else len(self.chosen)

    @property
    def units(self) -> int:
        """Number of persons, or of records if there is no person key. It is private."""
        return len(self) if self.person is None else len(self._starts) - 1

    def of(self, cohort: Cohort | None) -> "Records":
        """The records of a cohort alone; all of them without one.

        Raises:
            ValueError: the table is not cut into cohorts, or is of persons and this is not one cohort.
        """
        if self.parts is not None:
            return self._of_persons(self.parts, cohort)
        if cohort is None:
            return self
        if self.cohorts is None:
            raise ValueError("these records are not cut into cohorts")
        return replace(self, chosen=self.cohorts.of(cohort))

    def _of_persons(self, parts: Mapping[int, "Records"], cohort: Cohort | None) -> "Records":
        if cohort is None or self.cohorts is None or not self.cohorts.cut.is_single(cohort):
            raise ValueError(
                "rows of persons are bounded within one cohort, and for no other study"
            )
        none = np.empty(0, np.int64)
        return parts.get(cohort.first, Records(self.codes, none, chosen=none))

    def take(self, rows: Int64Array) -> UInt16Array:
        """The codes of the given rows."""
        return take(self.codes, rows if self.chosen is None else self.chosen[rows])

    @cached_property
    def _order(self) -> Int64Array:
        """Row numbers sorted by person."""
        return np.argsort(self._persons, kind="stable").astype(np.int64)

    @cached_property
    def _starts(self) -> Int64Array:
        """The start of each person's rows in `_order`, and the end of the last person's."""
        counts = np.bincount(self._persons)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    @property
    def _persons(self) -> Int64Array:
        if self.person is None:
            raise ValueError("these records have no person key")
        return self.person

    def sort_persons(self) -> None:
        """Sort the rows by person now, so that no request does it and keeps the memory."""
        if self.person is not None:
            _ = self._order, self._starts
        for part in (self.parts or {}).values():
            part.sort_persons()

    def rows_of(self, units: Int64Array) -> tuple[Int64Array, Int64Array | None]:
        """All rows of some units: row numbers, and for each row the position of its unit.

        Without a person key each row is its own unit, and no positions are returned.

        >>> records = Records(np.zeros((3, 1), np.uint16), np.array([1, 0, 1]))
        >>> rows, groups = records.rows_of(np.array([1]))
        >>> rows.tolist(), groups
        ([0, 2], array([0, 0]))
        """
        if self.person is None:
            return units, None
        sizes = self._starts[units + 1] - self._starts[units]
        groups = np.repeat(np.arange(len(units)), sizes)
        within = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return self._order[self._starts[units][groups] + within], groups


class RecordsBuilder:
    """Encodes the chunks of a table and makes records of them, without holding the whole table."""

    kept_counts: HistoryCounts
    """Of histories, once they are finished: what was changed about the kept events. Private."""

    def __init__(
        self,
        schema: Schema,
        scratch: Path | None = None,
        keep: bool = True,
        cohort_key: bytes | None = None,
    ) -> None:
        """Use the folder `scratch` for codes that are too many for memory, or keep no codes.

        `cohort_key` is that of the digests of cohorts; by default one that nobody knows.
        """
        cut = schema.cohorts
        key = cohort_key or os.urandom(32)
        self._cohorts = None if cut is None else CohortTally(schema, cut, key)
        self._schema, self._scratch = schema, scratch
        self._keys = PersonKeys(schema.person_key) if schema.person_key else None
        self._events = PersonEvents(schema, schema.histories) if schema.histories else None
        columns = self._events.columns if self._events else len(schema.modelled)
        self._store = CodeStore(columns, scratch, keep)

    def add(self, frame: pd.DataFrame) -> EncodedTable:
        """Encode a chunk and append it. Every record of a vault or a simulation passes here.

        Raises:
            MissingKeyError: a row without a person key.
            InputError: the columns are not those of the schema, or cells cannot be repaired.
        """
        encoded = encode(frame, self._schema)
        if self._keys is not None:
            self._keys.add(frame)
        if self._cohorts is not None:
            self._cohorts.add(frame, encoded.codes)
        codes = self._events.add(frame, encoded.codes) if self._events else encoded.codes
        self._store.append(codes)
        return encoded

    @property
    def digest(self) -> str:
        """SHA-256 of the codes so far, for the site's own operator."""
        return self._store.digest

    @property
    def units(self) -> int:
        """Number of persons, or of rows if there is no person key. It is private."""
        if self._events is not None:
            return self._sorted.counts().persons
        return self._store.rows if self._keys is None else self._keys.count()

    @cached_property
    def cohorts(self) -> CohortRows | None:
        """Which rows are in which cohort. No chunk may follow. Private."""
        if self._cohorts is None:
            return None
        return self._cohorts.finish(None if self._keys is None else self._keys.numbers())

    def finish(self, randomness: Randomness) -> Records:
        """The records, with each person's rows bounded. The builder cannot be used any more."""
        if self._events is not None:
            return self._finish_events(randomness, self._events)
        digest = self._store.digest
        if self._keys is None:
            return Records(self._store.finish(), digest=digest, cohorts=self.cohorts)
        person = self._keys.numbers()
        if self.cohorts is not None:
            limit, codes = self._schema.rows_per_person, self._store.finish()
            parts = _by_cohort(codes, self.cohorts, person, limit, randomness.generator())
            return Records(codes, digest=digest, cohorts=self.cohorts, parts=parts)
        kept = _bounded(person, self._schema.rows_per_person, randomness.generator())
        self._store.keep_rows(kept)
        numbers = np.unique(person[kept], return_inverse=True)[1].astype(np.int64)
        return Records(self._store.finish(), numbers, digest)

    @cached_property
    def _sorted(self) -> SortedEvents:
        """The order of all events, found once; the keys are used up."""
        if self._events is None or self._keys is None:
            raise ValueError("these records have no histories")
        keys, self._keys = self._keys, None
        return self._events.sort(keys.numbers())

    @property
    def history_counts(self) -> HistoryCounts:
        """Persons and events, and whom the bound of events cuts. Private. No chunk may follow."""
        return self._sorted.counts()

    def _finish_events(self, randomness: Randomness, events: PersonEvents) -> Records:
        digest = self._store.digest
        rows, person = self._sorted.kept(randomness.generator())
        del self._sorted
        store = CodeStore(len(layout_of(self._schema).columns), self._scratch)
        try:
            self.kept_counts = events.finish(self._store.finish(), rows, person, store)
            return Records(store.finish(), person, digest)
        finally:
            store.close()

    def close(self) -> None:
        """Drop everything."""
        self._store.close()


def load_records(
    source: Path | str | pd.DataFrame | Source,
    schema: Schema,
    randomness: Randomness,
    scratch: Path | None = None,
    cohort_key: bytes | None = None,
) -> Records:
    """Read, encode and bound the contribution of each person.

    Args:
        source: the table, its path, or any other source.
        schema: the public schema.
        randomness: chooses the rows kept of persons with too many.
        scratch: folder of the nameless file for codes that are too many for memory.
        cohort_key: of the digests of cohorts; by default one that nobody knows.

    Raises:
        InputError: naming the file, column and what to do.
    """
    if isinstance(source, pd.DataFrame):
        source = FrameSource(source)
    elif isinstance(source, Path | str):
        source = open_source(Path(source))
    builder = RecordsBuilder(schema, scratch, cohort_key=cohort_key)
    try:
        for chunk in source.chunks():
            builder.add(chunk)
        return builder.finish(randomness)
    finally:
        builder.close()


def _by_cohort(
    codes: UInt16Array,
    cohorts: CohortRows,
    person: Int64Array,
    limit: int,
    generator: np.random.Generator,
) -> dict[int, Records]:
    """The records of each cohort by its first month, with each person's rows bounded there."""
    parts = {}
    for name in cohorts.names():
        cohort = cohorts.cut.cohort(name)
        rows = np.sort(cohorts.of(cohort))
        rows = rows[_bounded(person[rows], limit, generator)]
        numbers = np.unique(person[rows], return_inverse=True)[1].astype(np.int64)
        parts[cohort.first] = Records(codes, numbers, chosen=rows)
    return parts


def _bounded(person: Int64Array, limit: int, generator: np.random.Generator) -> Int64Array:
    """Row numbers, in order, of at most `limit` uniformly chosen rows of each person."""
    order = np.lexsort((generator.random(len(person)), person))
    sizes = np.bincount(person)
    rank = np.arange(len(person)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[rank < limit])
