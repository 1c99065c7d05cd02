"""Total variation distances between the histories of two tables, family by family.

Columns are cut into the levels of `discretise`, whose deciles come from the real training table:
those of static columns from its persons, those of event columns from its events. A distance is about
the joint levels of two columns, and a figure is the mean over all pairs of a family. Every person,
event or pair of events counts the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations, permutations, product

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.schema import Schema, layout_of
from fedsynth_release.evaluation.discretise import Discretiser
from fedsynth_release.evaluation.fidelity import column_tvd, tvd
from fedsynth_release.evaluation.histories.model_rows import HistoryRows, event_columns
from fedsynth_release.evaluation.histories.variance import within_shares
from fedsynth_release.evaluation.history_results import HistoryFigures
from fedsynth_release.evaluation.result_parts import TableRole

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class HistoryCodes:
    """The levels of one table: `codes` has one row an event, and the compared columns."""

    rows: HistoryRows
    codes: Int64Array

    def persons(self) -> Int64Array:
        """The levels at each person's first event, which has the static columns."""
        return self.codes[self.rows.first]

    def apart(self, lag: int) -> tuple[Int64Array, Int64Array]:
        """The levels of events that are `lag` apart, earlier and later, in rows of the same number."""
        earlier, later = self.rows.pairs(lag)
        return self.codes[earlier], self.codes[later]


@dataclass(frozen=True, eq=False)
class Distances:
    """Compares tables with the real training table.

    Attributes:
        levels: of the compared columns, static ones and the number of events first.
        gaps: of the time since the previous event.
        static: how many compared columns are static.
        real: the training table.
    """

    levels: Discretiser
    gaps: Discretiser
    static: int
    real: HistoryCodes

    @classmethod
    def fit(cls, train: HistoryRows) -> "Distances":
        """Take the levels from the training table."""
        levels = levels_of(train, train.compared)
        gap = gap_schema(train.schema)
        static = len(levels.columns) - len(event_columns(train.schema))
        real = HistoryCodes(train, levels.transform(train.frame))
        return cls(levels, Discretiser.fit(gap, train.frame), static, real)

    @property
    def events(self) -> range:
        """The places of the columns of events."""
        return range(self.static, len(self.levels.columns))

    def codes(self, rows: HistoryRows) -> HistoryCodes:
        """The levels of another table."""
        return HistoryCodes(rows, self.levels.transform(rows.frame))

    def figures(self, role: TableRole, other: HistoryCodes) -> HistoryFigures:
        """All figures of one table."""
        real, static, columns = self.real, range(self.static), self.events
        persons, events = (real.persons(), other.persons()), (real.codes, other.codes)
        next_to = real.apart(1), other.apart(1)
        length = [self.static - 1]
        lag_2_3 = [d for lag in (2, 3) for d in self.itself(other, lag)]
        return HistoryFigures(
            role=role,
            static=_mean(_same(*persons, combinations(static, 2))),
            static_event=_mean(_same(*events, product(static, columns))),
            within_event=_mean(_same(*events, combinations(columns, 2))),
            lag_1=_mean(_across(*next_to, permutations(columns, 2))),
            lag_1_itself=_mean(self.itself(other, 1)),
            lag_2_3_itself=_mean(lag_2_3) if lag_2_3 else None,
            lengths=float(column_tvd(persons[0][:, length], persons[1][:, length])[0]),
            gaps=self._gaps(other.rows),
            within_person=_mean_difference(within_shares(real.rows), within_shares(other.rows)),
        )

    def itself(self, other: HistoryCodes, lag: int) -> list[float]:
        """The distance of each event column and itself `lag` events later, in order; [] without any."""
        pairs = ((place, place) for place in self.events)
        return _across(self.real.apart(lag), other.apart(lag), pairs)

    def _gaps(self, other: HistoryRows) -> float:
        later = [rows.frame.iloc[rows.pairs(1)[1]] for rows in (self.real.rows, other)]
        if not min(map(len, later)):
            return float(max(map(len, later)) > 0)
        real, made = (self.gaps.transform(frame) for frame in later)
        return float(column_tvd(real, made)[0])


def levels_of(train: HistoryRows, schema: Schema) -> Discretiser:
    """Levels of compared or model columns: the deciles of persons, or of events."""
    of_event = {column.name for column in event_columns(train.schema)}
    layout = layout_of(train.schema)
    of_event |= {layout.columns[place].name for place in layout.events}
    frames = train.frame.iloc[train.first], train.frame
    by_person, by_event = (Discretiser.fit(schema, frame) for frame in frames)
    parts = [by_event if c.name in of_event else by_person for c in by_event.columns]
    return Discretiser(
        by_event.columns,
        tuple(part.edges[j] for j, part in enumerate(parts)),
        tuple(part.widths[j] for j, part in enumerate(parts)),
    )


def gap_schema(schema: Schema) -> Schema:
    """The column of the time since the previous event alone."""
    layout = layout_of(schema)
    return Schema(name=schema.name, columns=(layout.columns[layout.gap],))


def _same(real: Int64Array, other: Int64Array, pairs: Iterable[Pair]) -> list[float]:
    return [tvd(real[:, pair], other[:, pair]) for pair in map(list, pairs)]


def _across(
    real: tuple[Int64Array, Int64Array], other: tuple[Int64Array, Int64Array], pairs: Iterable[Pair]
) -> list[float]:
    """Distances of a column of the earlier and a column of the later event."""
    if not len(real[0]):
        return []  # there is nothing to compare with
    if not len(other[0]):
        return [1.0 for _ in pairs]
    return [
        tvd(
            np.column_stack([real[0][:, u], real[1][:, v]]),
            np.column_stack([other[0][:, u], other[1][:, v]]),
        )
        for u, v in pairs
    ]


def _mean(distances: list[float]) -> float:
    return float(np.mean(distances)) if distances else 0.0


def _mean_difference(real: Float64Array, other: Float64Array) -> float | None:
    known = ~(np.isnan(real) | np.isnan(other))
    return float(np.abs(real - other)[known].mean()) if known.any() else None


def history_distances(
    train: pd.DataFrame, other: pd.DataFrame, schema: Schema
) -> dict[str, float | None]:
    """The figures of a table of histories beside the real training table, by name.

    Args:
        train: the real events that the generator learned from, in the user's columns.
        other: the table to compare.
        schema: the user's, with histories.

    Raises:
        InputError: a column of the schema is missing, or an event has no person or no order.
    """
    compared = Distances.fit(HistoryRows.of(train, schema))
    figures = compared.figures("synthetic", compared.codes(HistoryRows.of(other, schema)))
    return figures.model_dump(exclude={"role"})
