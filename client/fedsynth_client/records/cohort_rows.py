"""Which cohort each record is in, and a keyed digest of the records of every cohort.

The place of a record (a month, or a category) follows from its own cell. Dates are taken as they are
written and are not moved into the schema's bounds. What is no date, or no listed category, is in no
cohort.

The digest of a set of records is the sum of their HMACs modulo 2**256, with their number (a multiset
hash: Clarke et al. 2003, doi:10.1007/978-3-540-40061-5_12). It does not depend on the order in which a
source gives the records, and without the key it says nothing about them. What is hashed are the codes,
so a change that no study could see (of an id, or within a code) changes no digest. Of persons the key
is hashed too: whose a row is decides in which cohorts it is used.
"""

import hashlib
import hmac
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Int64Array, UInt16Array
from fedsynth_common.encoding import as_ordinal
from fedsynth_common.encoding.encoder import encode_column
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    CategoricalColumn,
    Cohort,
    Cohorts,
    DateColumn,
    DatetimeColumn,
    Schema,
)
from fedsynth_common.schema.cohorts import MONTHS, NO_COHORT
from fedsynth_common.schema.temporal import NUMPY_UNIT
from fedsynth_common.tables import factorise, whole_number

_MODULUS = 1 << 256


@dataclass(frozen=True)
class CohortRows:
    """The rows of a table in the order of their places.

    Attributes:
        cut: how the schema cuts the table.
        labels: the categories of a categorical column; the place of a category is its number.
        places: ascending, one for each row (rows,).
        rows: the number of the row at each of these places (rows,).
        sums: the multiset hash of the records at each place.
        counts: their number.
        key: of the digests.
        beyond: rows that are left out because their persons are in more cohorts than may be used.
    """

    cut: Cohorts
    labels: tuple[str, ...]
    places: Int64Array
    rows: Int64Array
    sums: Mapping[int, int]
    counts: Mapping[int, int]
    key: bytes
    beyond: int = 0

    def of(self, cohort: Cohort) -> Int64Array:
        """The rows of a cohort: a view, so that a request takes no memory by their number."""
        first, last = self._span(cohort)
        start, end = np.searchsorted(self.places, [first, last + 1])
        return self.rows[start:end]

    def digest(self, cohort: Cohort) -> str:
        """The keyed digest of a cohort's records."""
        first, last = self._span(cohort)
        inside = [place for place in self.sums if first <= place <= last]
        total = sum(self.sums[place] for place in inside) % _MODULUS
        count = sum(self.counts[place] for place in inside)
        text = total.to_bytes(32, "big") + count.to_bytes(8, "big")
        return hmac.digest(self.key, text, "sha256").hex()

    def names(self) -> tuple[str, ...]:
        """The cohorts that hold records, in order. Private to the site."""
        present = sorted(place for place in self.counts if place != NO_COHORT)
        if self.cut.every is None:
            return tuple(self.labels[place] for place in present)
        return tuple(dict.fromkeys(self.cut.name_of(place) for place in present))

    @property
    def outside(self) -> int:
        """How many records are in no cohort. Private to the site."""
        return self.counts.get(NO_COHORT, 0)

    def _span(self, cohort: Cohort) -> tuple[int, int]:
        if cohort.label:
            place = self.labels.index(cohort.label)
            return place, place
        return cohort.first, cohort.last


class CohortTally:
    """Collects the places and the digests of the rows of a table that comes in chunks."""

    def __init__(self, schema: Schema, cut: Cohorts, key: bytes) -> None:
        self._schema, self._cut, self._key = schema, cut, key
        self._places: list[Int64Array] = []
        self._sums: Counter[int] = Counter()
        self._counts: Counter[int] = Counter()
        self._digests: list[list[bytes]] = []

    def add(self, frame: pd.DataFrame, codes: UInt16Array) -> None:
        """Append the rows of a chunk and their codes."""
        places = places_of(frame, self._schema, self._cut)
        self._places.append(places)
        rows = np.ascontiguousarray(codes, dtype="<u2")
        if self._schema.person_key is not None:  # which rows count is known once all are read
            owners = _owners(frame[self._schema.person_key])
            pairs = zip(rows, owners, strict=True)
            self._digests.append([self._digest(row.tobytes() + owner) for row, owner in pairs])
            return
        for place, row in zip(places.tolist(), rows, strict=True):
            self._count(place, self._digest(row.tobytes()))

    def _digest(self, row: bytes) -> bytes:
        return hmac.digest(self._key, row, "sha256")

    def _count(self, place: int, digest: bytes) -> None:
        self._sums[place] = (self._sums[place] + int.from_bytes(digest, "big")) % _MODULUS
        self._counts[place] += 1

    def finish(self, person: Int64Array | None = None) -> CohortRows:
        """The rows by cohort; of persons, whose each row is, those of their first cohorts alone."""
        places = np.concatenate([*self._places, np.empty(0, np.int64)])
        kept = np.arange(len(places))
        if person is not None and self._cut.every is not None:
            units = np.floor_divide(places, MONTHS[self._cut.every])
            units = np.where(places == NO_COHORT, NO_COHORT, units)
            kept = first_cohorts(person, units, self._cut.per_person or 1)
            digests = list(chain.from_iterable(self._digests))
            self._digests = []
            for row in kept.tolist():
                self._count(int(places[row]), digests[row])
            self._counts[NO_COHORT] += int((places == NO_COHORT).sum())
        order = kept[np.argsort(places[kept], kind="stable")].astype(np.int64)
        column = self._schema.column(self._cut.column)
        labels = column.categories if isinstance(column, CategoricalColumn) else ()
        return CohortRows(
            self._cut,
            labels,
            places[order],
            order,
            self._sums,
            self._counts,
            self._key,
            len(places) - sum(self._counts.values()),
        )


def first_cohorts(person: Int64Array, units: Int64Array, most: int) -> Int64Array:
    """The rows, in order, of the first `most` cohorts of each person.

    Which these are follows from the person's own rows. Later cohorts that are added change nothing about
    the earlier ones. Rows in no cohort are left out.

    >>> first_cohorts(np.array([0, 0, 0, 1, 0]), np.array([3, 1, 2, 3, 1]), 2).tolist()
    [1, 2, 3, 4]
    """
    inside = np.flatnonzero(units != NO_COHORT)
    order = inside[np.lexsort((units[inside], person[inside]))]
    whose, where = person[order], units[order]
    new_person = np.diff(whose, prepend=-1) != 0
    new_pair = new_person | (np.diff(where, prepend=NO_COHORT) != 0)
    pair = np.cumsum(new_pair)
    first_pair = np.repeat(
        pair[new_person], np.diff(np.append(np.flatnonzero(new_person), len(order)))
    )
    return np.sort(order[pair - first_pair < most])


def _owners(cells: pd.Series) -> list[bytes]:
    """The person key of each row as it is hashed: equal for 17, 17.0 and the text `17`."""
    codes, texts = factorise(cells)
    names = [str(whole_number(text)).encode() for text in texts]
    return [names[code] for code in codes.tolist()]


def places_of(frame: pd.DataFrame, schema: Schema, cut: Cohorts) -> Int64Array:
    """The place of each row: months since January 1970, or the number of its category.

    Raises:
        InputError: the table lacks the column.
    """
    if cut.column not in frame.columns:
        raise InputError(missing_column(cut))
    column, cells = schema.column(cut.column), frame[cut.column]
    if isinstance(column, CategoricalColumn):
        codes = encode_column(cells, column)[0].astype(np.int64)
        return np.where(codes < len(column.categories), codes, NO_COHORT)
    if not isinstance(column, DateColumn | DatetimeColumn):  # the day of arrival
        column = DateColumn(name=cut.column, minimum="0001-01-01", maximum="9999-12-31")
    ticks = as_ordinal(cells, column)
    known = ~np.isnan(ticks)
    whole = np.floor(np.where(known, ticks, 0)).astype(np.int64)
    moments = whole.astype(f"datetime64[{NUMPY_UNIT[column.granularity]}]")
    return np.where(known, moments.astype("datetime64[M]").astype(np.int64), NO_COHORT)


def missing_column(cut: Cohorts) -> str:
    """What is wrong with a table that lacks the column."""
    return f"column {cut.column!r}: cuts the table into cohorts, but is not in the table"


def columns_digest(schema: Schema) -> str:
    """SHA-256 of the modelled columns, which the codes of a record depend on.

    Of persons it is of the cut as well: as long as the cohorts are sealed nobody is in more of them.
    """
    text = "\n".join(column.model_dump_json() for column in schema.modelled)
    if schema.in_cohorts_of_persons and schema.cohorts is not None:  # who is in which cohort
        text += f"\n{schema.person_key}\n{schema.cohorts.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()
