"""Where inside its codes a number of a person lies, drawn together for all events of the person.

A generator draws codes. Half of the variance of a skewed amount can lie inside its highest code: if the
values in it were drawn for each event by itself, whoever spends much would spend a quite different
amount each year. The positions inside the codes of one column are therefore drawn together over the
events of a person, as those of columns of one record are (`copula.positions`): from a normal
distribution in which two events have the correlation that the generator gives the column at their
distance. The codes stay, and so does the column's distribution.

The correlations are read from the generator itself, so they cost no privacy and no file holds them.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_common.schema import FineDomain, HistoryLayout, domain_of
from fedsynth_common.schema.domain import MISSING
from fedsynth_release.copula.bivariate import scores
from fedsynth_release.copula.code_order import ordered_codes
from fedsynth_release.copula.correlations import matching, positive_definite
from fedsynth_release.copula.evened import Evened
from fedsynth_release.copula.positions import Positions
from fedsynth_release.decoding import Codebook
from fedsynth_release.decoding.cell_order import CellOrder
from fedsynth_release.decoding.decoder import ticks_of_cells
from fedsynth_release.histories.expected import itself
from fedsynth_release.histories.recursion import Recursion
from fedsynth_release.sampling.combinations import cells_of_values
from fedsynth_release.sampling.coupling import LEAST, is_wide, ranks_of

FURTHEST = 6
"""Distance of events from which on the correlation is taken to stay the same."""


@dataclass(frozen=True, eq=False)
class PositionColumn:
    """One column: its place among the model columns, its codes and the law of its positions."""

    place: int
    domain: FineDomain
    view: Int64Array
    cells: CellOrder
    law: Positions


@dataclass(frozen=True, eq=False)
class EventPositions:
    """Draws positions inside codes together over a person's events.

    Attributes:
        columns: those whose values at different events have something to do with each other.
        layout: of the model columns.
    """

    columns: tuple[PositionColumn, ...]
    layout: HistoryLayout

    @classmethod
    def of(
        cls,
        recursion: Recursion,
        codebook: Codebook,
        layout: HistoryLayout,
        apart: Collection[int] = (),
    ) -> Self:
        """The laws of a generator's columns; those in `apart` take no part."""
        if layout.max_events == 1:
            return cls((), layout)
        found = []
        for number, place in enumerate(layout.events):
            domain = domain_of(layout.columns[place])
            view, shape = codebook.views[place], codebook.shapes[place]
            if place in apart or not is_wide(domain, view, shape):
                continue
            order = ordered_codes(domain, view, shape)
            assert order is not None  # noqa: S101 - a column of numbers
            shares, correlations = _over_time(recursion, number, order)
            if np.count_nonzero(correlations) > len(correlations):
                ranks = [ranks_of(shares, order)] * layout.max_events
                law = Positions(ranks, positive_definite(correlations))
                cells = CellOrder.of(domain, view, shape)
                found.append(PositionColumn(place, domain, view.astype(np.int64), cells, law))
        return cls(tuple(found), layout)

    def learned(self, values: list[Int64Array], person: Int64Array) -> Self:
        """The same with maps that keep the distribution inside each code, from drawn events."""
        rng = np.random.default_rng(0)  # fixed: one generator has one law
        columns = []
        for column in self.columns:
            codes = self._codes(column, values[column.place])
            drawn = _drawn(column.law, codes, person, rng, np.full(len(codes), np.nan))
            width = column.law.ranks[0].shape[1]
            evened = [Evened.of(codes, drawn, width)] * self.layout.max_events
            columns.append(replace(column, law=replace(column.law, evened=evened)))
        return replace(self, columns=tuple(columns))

    def of_column(self, column: PositionColumn) -> Self:
        """The same for one of the columns."""
        return replace(self, columns=(column,))

    def redraw(
        self,
        values: list[Int64Array],
        person: Int64Array,
        rng: np.random.Generator,
        known: BoolArray | None = None,
    ) -> None:
        """Draw the values of these columns again, each inside its code.

        Args:
            values: by model column the values of the events (events,); changed in place.
            person: whose each event is (events,); a person's events are together and in order.
            rng: decides.
            known: events whose values stay and decide about the others (events,).
        """
        for column in self.columns:
            before = values[column.place]
            codes, given = self._codes(column, before), np.full(len(before), np.nan)
            if known is not None:
                rows = np.flatnonzero(known & (before != MISSING))
                cells = cells_of_values(self.layout.columns[column.place], before[rows])
                inside = ticks_of_cells(column.domain).inside(cells, before[rows])
                given[rows] = column.cells.position(cells, inside)
            position = _drawn(column.law, codes, person, rng, given)
            fine, inside = column.cells.at(codes, position)
            drawn = ticks_of_cells(column.domain).at(fine, inside)
            values[column.place] = drawn if known is None else np.where(known, before, drawn)

    def _codes(self, column: PositionColumn, values: Int64Array) -> Int64Array:
        cells = cells_of_values(self.layout.columns[column.place], values)
        return np.asarray(column.view[cells])


def _drawn(
    law: Positions,
    codes: Int64Array,
    person: Int64Array,
    rng: np.random.Generator,
    given: Float64Array,
) -> Float64Array:
    """Positions of all events (events,); persons with the same number of events at a time."""
    first = np.flatnonzero(np.diff(person, prepend=-1))
    sizes = np.diff(np.append(first, len(person)))
    positions = rng.random(len(person))
    for n in np.unique(sizes[sizes > 1]).tolist():
        rows = first[sizes == n][:, None] + np.arange(n)
        positions[rows] = law.part(range(n)).draw(codes[rows], rng, known=given[rows])
    return positions


def _over_time(
    recursion: Recursion, number: int, order: Int64Array
) -> tuple[Float64Array, Float64Array]:
    """Shares of an event column's codes, and the correlations of its scores at events 1..L."""
    shape = recursion.shape
    most = shape.max_events - 1
    pairs = []
    for lag in range(1, min(most, FURTHEST) + 1):
        with torch.no_grad():
            pairs.append(itself(recursion, number, lag).double().cpu().numpy())
    either = pairs[0].sum(0) + pairs[0].sum(1)
    shares = either / max(float(either.sum()), 1e-300)
    of_order = shares[order] / max(float(shares[order].sum()), 1e-300)
    score, by_lag = scores(of_order), [1.0]
    for pair in pairs:
        held = pair[np.ix_(order, order)]
        product = float(score @ held @ score) / max(float(held.sum()), 1e-300)
        by_lag.append(matching(of_order, of_order, product) if product >= LEAST else 0.0)
    by_lag += by_lag[-1:] * (most - len(pairs))
    distance = np.abs(np.subtract.outer(np.arange(most + 1), np.arange(most + 1)))
    return shares, np.asarray(by_lag)[distance]
