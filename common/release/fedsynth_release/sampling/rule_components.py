"""Columns that rules connect, and what repairing the rules asks of the sampler that draws them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fedsynth_common.schema import Schema
from fedsynth_common.schema.compiled_rules import (
    CompiledCombinations,
    CompiledImplication,
    CompiledInequality,
    CompiledRule,
)
from fedsynth_common.schema.domain import Values
from fedsynth_common.schema.tick_set import TickSet
from fedsynth_release.sampling.combinations import Block

Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Component:
    """Columns that rules connect, blocks taken whole, with these rules."""

    places: tuple[int, ...]
    forms: tuple[CompiledInequality | CompiledImplication, ...]

    @property
    def names(self) -> str:
        """The rules, for a message."""
        return ", ".join(repr(name) for name in dict.fromkeys(form.name for form in self.forms))

    def holds(self, values: Sequence[Values], rows: Rows | slice = slice(None)) -> Flags:
        """Which of the rows keep all rules."""
        cells = {place: values[place][rows] for place in self.places}
        return np.asarray(np.logical_and.reduce([form.holds(cells) for form in self.forms]))


def components_of(
    forms: Sequence[CompiledRule], blocks: Sequence[tuple[int, ...]]
) -> tuple[Component, ...]:
    """The rules that blocks do not keep by themselves, those with common columns together."""
    loose = [form for form in forms if not isinstance(form, CompiledCombinations)]
    groups: list[set[int]] = []
    for places in [*blocks, *(form.places for form in loose)]:
        group = set(places)
        for other in [g for g in groups if g & group]:
            groups.remove(other)
            group |= other
        groups.append(group)
    found = [(g, tuple(form for form in loose if form.places[0] in g)) for g in groups]
    return tuple(Component(tuple(sorted(group)), kept) for group, kept in found if kept)


class ColumnSampler(Protocol):
    """Draws single columns given latents, under its conditions; `sampler.Sampler` is one."""

    @property
    def tables(self) -> list[NDArray[np.float32]]:
        """Per column the cumulative probabilities of its codes, (latents, width)."""

    @property
    def schema(self) -> Schema:
        """The public schema."""

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Columns that are drawn together."""

    @property
    def components(self) -> tuple[Component, ...]:
        """Columns that other rules connect."""

    @property
    def within(self) -> Mapping[int, TickSet]:
        """By column index, the values that the leaves may decode to, if not all."""

    def columns(
        self, places: Sequence[int], latent: Rows, rng: np.random.Generator
    ) -> list[Values]:
        """Values of these columns given latents; the others are left empty."""

    def cells(self, place: int, latent: Rows) -> NDArray[np.float64]:
        """P(fine cell | latent) of one column, (rows, cells)."""

    def usual(self, place: int) -> NDArray[np.float64]:
        """P(fine cell) of one column over all latents."""
