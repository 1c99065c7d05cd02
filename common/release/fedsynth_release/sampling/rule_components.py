"""Groups of columns that rules connect, and the sampler interface that repairing rules needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np

from fedsynth_common.array_types import BoolArray, Float32Array, Float64Array, Int64Array
from fedsynth_common.schema import Schema
from fedsynth_common.schema.compiled_rules import (
    CompiledCombinations,
    CompiledImplication,
    CompiledInequality,
    CompiledRule,
    CompiledSum,
)
from fedsynth_common.schema.tick_set import TickSet
from fedsynth_release.sampling.combinations import JointColumns
from fedsynth_release.sampling.coupling import Given


@dataclass(frozen=True, eq=False)
class RuleComponent:
    """A connected component of the columns under the rules, with its rules.

    Two columns are connected if a rule names both or if they are drawn together (`JointColumns`).
    """

    places: tuple[int, ...]
    forms: tuple[CompiledInequality | CompiledSum | CompiledImplication, ...]

    @property
    def names(self) -> str:
        """The names of the rules, for a message."""
        return ", ".join(repr(name) for name in dict.fromkeys(form.name for form in self.forms))

    def holds(
        self, values: Sequence[Int64Array], rows: Int64Array | slice = slice(None)
    ) -> BoolArray:
        """Which of the rows keep all rules of the component."""
        cells = {place: values[place][rows] for place in self.places}
        return np.asarray(np.logical_and.reduce([form.holds(cells) for form in self.forms]))


def rule_components(
    forms: Sequence[CompiledRule], joint: Sequence[tuple[int, ...]]
) -> tuple[RuleComponent, ...]:
    """The components of all rules that drawing columns together does not keep already.

    Args:
        forms: The compiled rules.
        joint: For each `JointColumns` its column indices.
    """
    others = [form for form in forms if not isinstance(form, CompiledCombinations)]
    groups: list[set[int]] = []
    for places in [*joint, *(form.places for form in others)]:
        group = set(places)
        for other in [g for g in groups if g & group]:
            groups.remove(other)
            group |= other
        groups.append(group)
    with_rules = [(g, tuple(form for form in others if form.places[0] in g)) for g in groups]
    return tuple(RuleComponent(tuple(sorted(group)), rules) for group, rules in with_rules if rules)


class ColumnSampler(Protocol):
    """Draws single columns given latents, under its conditions; `sampler.Sampler` implements it."""

    @property
    def tables(self) -> list[Float32Array]:
        """For each column the cumulative probabilities of its codes, (latents, width)."""

    @property
    def schema(self) -> Schema:
        """The public schema."""

    @property
    def joint(self) -> tuple[JointColumns, ...]:
        """Columns that are drawn together."""

    @property
    def components(self) -> tuple[RuleComponent, ...]:
        """Columns that other rules connect."""

    @property
    def within(self) -> Mapping[int, TickSet]:
        """By column index, the values that leaves may decode to; others may take all."""

    def columns(
        self,
        places: Sequence[int],
        latent: Int64Array,
        rng: np.random.Generator,
        given: Mapping[int, Given] = MappingProxyType({}),
    ) -> list[Int64Array]:
        """Draw values of these columns given latents, and given numbers in coupled columns.

        The entries of other columns stay empty.
        """

    def coupled(self, place: int) -> bool:
        """Whether a column's values inside its codes depend on other columns' values in theirs."""

    def cells(self, place: int, latent: Int64Array) -> Float64Array:
        """P(fine cell | latent) of one column, (rows, cells)."""

    def average_cells(self, place: int) -> Float64Array:
        """P(fine cell) of one column, averaged over all latents, (cells,)."""
