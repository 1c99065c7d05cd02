"""Values inside codes for the columns of numbers that rise or fall together (`copula.positions`).

What couples them is read from the generator itself, so that it costs no privacy and no file holds it.
A column takes part if some of its codes hold several values and it is correlated with another such
column. Columns that are drawn as combinations of a public list have one value a code.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fedsynth_common.array_types import (
    BoolArray,
    Float32Array,
    Float64Array,
    Int64Array,
    UInt16Array,
)
from fedsynth_common.encoding.encoder import codes_of_ticks
from fedsynth_common.schema import Schema, domains
from fedsynth_common.schema.domain import MISSING, FineDomain
from fedsynth_common.schema.tick_set import TickSet
from fedsynth_release.copula.code_order import ordered_codes
from fedsynth_release.copula.correlations import correlations
from fedsynth_release.copula.evened import Evened
from fedsynth_release.copula.positions import Positions
from fedsynth_release.decoding import Codebook
from fedsynth_release.decoding.cell_order import CellOrder
from fedsynth_release.decoding.decoder import ticks_of_cells
from fedsynth_release.sampling.latents import codes_given, spread_latents

LEAST = 0.25
"""Smaller mean products of normal scores are mostly noise; models learn less from rows that keep it."""
LEARNED = 1 << 16
"""Records from which the maps that keep each column's distribution are learned."""


@dataclass(frozen=True, eq=False)
class Confined:
    """What conditions leave of a column: where in its codes, and the order of the cells there."""

    span: Float64Array
    cells: CellOrder


@dataclass(frozen=True, eq=False)
class Given:
    """Values of a column that stay, in the rows where `fixed`, (rows,)."""

    values: Int64Array
    fixed: BoolArray


class Coupling:
    """Draws the coupled columns of a generator; which they are is found when the first are drawn."""

    def __init__(
        self,
        tables: Sequence[Float32Array],
        codebook: Codebook,
        schema: Schema,
        apart: Collection[int] = (),
    ) -> None:
        """Of cumulative probabilities (latents, codes) by column; columns in `apart` take no part."""
        self._tables, self._codebook = tables, codebook
        self._domains, self._apart = domains(schema), apart
        self._parts: dict[tuple[int, ...], Positions] = {}

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Indices of the coupled columns among the modelled columns."""
        book = self._codebook
        wide = [
            j
            for j, domain in enumerate(self._domains)
            if j not in self._apart and is_wide(domain, book.views[j], book.shapes[j])
        ]
        if len(wide) < 2:
            return ()
        found = self._correlations(wide)
        return tuple(j for j, row in zip(wide, found, strict=True) if np.count_nonzero(row) > 1)

    def draw(
        self,
        codes: Mapping[int, UInt16Array],
        rng: np.random.Generator,
        within: Mapping[int, TickSet],
        confined: Mapping[int, Confined],
        given: Mapping[int, Given],
    ) -> dict[int, Int64Array]:
        """Values of the coupled columns whose codes are given, by column index.

        Args:
            codes: by column index, (rows,).
            rng: decides the positions.
            within: by column index the values that leaves may decode to, under conditions.
            confined: what conditions leave of a column, where there are any.
            given: values that stay; they decide about the others.
        """
        places = tuple(j for j in self.places if j in codes)
        if len(places) < 2:
            return {}
        chosen = np.stack([codes[j] for j in places], axis=1).astype(np.int64)
        known = np.full(chosen.shape, np.nan)
        for k, j in enumerate(places):
            if j in given:
                self._fix(j, given[j], chosen[:, k], known[:, k])
        spans = [confined[j].span if j in confined else None for j in places]
        drawn = self._part(places).draw(chosen, rng, spans, known)
        values = {}
        for k, j in enumerate(places):
            position, cells = drawn[:, k], self._cells[j]
            if j in confined:
                low, high = confined[j].span[:, chosen[:, k]]
                position = np.clip((position - low) / np.maximum(high - low, 1e-12), 0, 1 - 1e-12)
                cells = confined[j].cells
            fine, inside = cells.at(chosen[:, k], position)
            values[j] = ticks_of_cells(self._domains[j], within.get(j)).at(fine, inside)
            if j in given:
                values[j] = np.where(given[j].fixed, given[j].values, values[j])
        return values

    def confine(self, j: int, allowed: Float64Array, shape: Float64Array) -> Confined:
        """What conditions leave of a column of numbers.

        Args:
            j: its index.
            allowed: the share of each fine cell that is allowed, (cells,).
            shape: the shape of its codes under the conditions, (cells,).
        """
        domain, view = self._domains[j], self._codebook.views[j]
        span = CellOrder.of(domain, view, self._codebook.shapes[j]).span(allowed)
        return Confined(span, CellOrder.of(domain, view, shape))

    def _fix(self, j: int, given: Given, codes: Int64Array, known: Float64Array) -> None:
        """Write the codes and positions of given values in place of drawn ones; missing has none."""
        domain, rows = self._domains[j], np.flatnonzero(given.fixed)
        values = given.values[rows]
        present = values != MISSING
        cells = np.full(len(rows), domain.missing or 0, dtype=np.int64)
        cells[present] = codes_of_ticks(values[present], domain)
        codes[rows] = self._codebook.views[j][cells]
        inside = ticks_of_cells(domain).inside(cells[present], values[present])
        known[rows[present]] = self._cells[j].position(cells[present], inside)

    @cached_property
    def _cells(self) -> dict[int, CellOrder]:
        book = self._codebook
        return {
            j: CellOrder.of(self._domains[j], book.views[j], book.shapes[j]) for j in self.places
        }

    def _soft(self, j: int) -> Float64Array:
        return np.diff(self._tables[j].astype(np.float64), axis=1, prepend=0.0)

    def _order(self, j: int) -> Int64Array:
        book = self._codebook
        order = ordered_codes(self._domains[j], book.views[j], book.shapes[j])
        assert order is not None  # noqa: S101 - columns of numbers only
        return order

    def _correlations(self, places: Sequence[int]) -> Float64Array:
        soft, orders = [self._soft(j) for j in places], [self._order(j) for j in places]
        return correlations(soft, orders, LEAST)

    def _part(self, places: tuple[int, ...]) -> Positions:
        """The law of some of the coupled columns."""
        if places not in self._parts:
            self._parts[places] = self._law.part([self.places.index(j) for j in places])
        return self._parts[places]

    @cached_property
    def _law(self) -> Positions:
        """The law of all of them; its maps are learned from records that are drawn without them."""
        ranks = [ranks_of(self._soft(j).mean(axis=0), self._order(j)) for j in self.places]
        law = Positions(ranks, self._correlations(self.places))
        rng = np.random.default_rng(0)  # fixed: one generator has one law
        tables = [self._tables[j] for j in self.places]
        latent = spread_latents(LEARNED, rng, len(tables[0]))
        codes = codes_given(tables, latent, rng).astype(np.int64)
        drawn = law.draw(codes, rng)
        evened = [
            Evened.of(of, at, ends.shape[1])
            for of, at, ends in zip(codes.T, drawn.T, ranks, strict=True)
        ]
        return replace(law, evened=evened)


def is_wide(domain: FineDomain, view: UInt16Array, shape: Float64Array) -> bool:
    """Whether one of the codes of a column of numbers holds several values."""
    if not domain.ordered:
        return False
    held = shape[domain.in_order] > 0
    several = np.bincount(view[domain.in_order][held], minlength=1).max() > 1
    return bool(several or ticks_of_cells(domain).count.max() > 1)


def ranks_of(shares: Float64Array, order: Int64Array) -> Float64Array:
    """Between which shares of the column each code lies, (2, codes); the missing one anywhere."""
    ranks = np.stack([np.zeros(len(shares)), np.ones(len(shares))])
    upto = np.cumsum(shares[order])
    upto = np.minimum(upto / max(float(upto[-1]), 1e-300), 1.0)
    ranks[:, order] = np.concatenate([[0.0], upto[:-1]]), upto
    return ranks
