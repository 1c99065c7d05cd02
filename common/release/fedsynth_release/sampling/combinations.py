"""Draws columns together whose values must be one of a public list of combinations.

A rule (`fixed_combinations`, `one_hot`) can say that several columns together must hold one of the
listed combinations. Such columns are drawn like a single column whose codes are the combinations.
The probability P(k | z) of combination k given a latent z is computed from the probabilities of the
columns:

- A *key* is a column that has a different fine cell in every combination. (In a list of education
  levels and their numbers, both columns are keys.) If there are keys, P(k | z) is the mean over the
  keys of P(cell of k | z), each scaled to sum to 1 over the list. A key thus keeps the distribution
  that the generator has learned for it, and the other columns of the list follow from it. If there
  are several keys, the noise of their measurements is averaged.
- Without a key, P(k | z) is proportional to the product of the columns' probabilities. This is the
  generator's own distribution, restricted to the listed combinations.

Lists that share a column are joined before drawing. A condition on one of the columns removes
exactly those combinations that do not meet it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_common.encoding.encoder import codes_of_ticks
from fedsynth_common.errors import InputError
from fedsynth_common.schema import ModelledColumn, Schema, domain_of
from fedsynth_common.schema.compiled_rules import CompiledCombinations, CompiledRule
from fedsynth_common.schema.domain import MISSING
from fedsynth_common.schema.rules import MAX_COMBINATIONS
from fedsynth_release.decoding import Codebook
from fedsynth_release.sampling.latents import spread


@dataclass(frozen=True, eq=False)
class JointColumns:
    """Columns that are drawn together, as one of K listed combinations.

    Attributes:
        places: Indices of the columns among the modelled columns.
        table: Values of the columns in every combination, (K, columns).
        cells: Fine cells of the columns in every combination, (K, columns).
        weights: Probability of each combination given each latent, (latents, K).
        ends: Cumulative sums of `weights` plus the index of the latent, (latents, K). Read row by
            row they ascend, so that one binary search finds the combination for any latent.
    """

    places: tuple[int, ...]
    table: Int64Array
    cells: Int64Array
    weights: Float64Array
    ends: Float64Array

    @classmethod
    def of(
        cls, places: tuple[int, ...], table: Int64Array, cells: Int64Array, weights: Float64Array
    ) -> "JointColumns":
        """Scale the weights of each latent to sum to 1.

        A latent that gives every combination the weight 0 gets the average over all latents.
        """
        total = weights.sum(axis=1, keepdims=True)
        average = weights.sum(axis=0) + np.finfo(float).tiny
        shares = np.where(
            total > 0, weights / np.where(total > 0, total, 1), average / average.sum()
        )
        ends = np.minimum(np.cumsum(shares, axis=1), 1.0)
        ends[:, -1] = 1.0
        return cls(places, table, cells, shares, ends + np.arange(len(ends))[:, None])

    def draw(self, latent: Int64Array, rng: np.random.Generator) -> Int64Array:
        """The index of a combination, drawn for each of the latents."""
        point = np.nextafter(latent + spread(latent, rng), latent)
        place = np.searchsorted(self.ends.ravel(), point, side="right")
        return np.asarray(np.minimum(place - latent * len(self.table), len(self.table) - 1))

    def draw_into(
        self, values: list[Int64Array], latent: Int64Array, rng: np.random.Generator
    ) -> None:
        """Draw a combination per latent and write it into these columns of `values`.

        `values` has one entry per modelled column of the table.
        """
        combinations = self.table[self.draw(latent, rng)]
        for index, place in enumerate(self.places):
            values[place] = combinations[:, index]

    def restricted(self, allowed: BoolArray | Float64Array) -> tuple["JointColumns", Float64Array]:
        """The columns with only the allowed combinations, and P(allowed | latent), (latents,).

        `allowed` is the share of each combination that is allowed, (K,).
        """
        weights = self.weights * allowed
        return JointColumns.of(self.places, self.table, self.cells, weights), weights.sum(axis=1)

    def allowed_shares(self, cells: Mapping[int, Float64Array]) -> Float64Array:
        """The share of each combination that conditions allow, (K,).

        `cells` has, by column index, the share of each fine cell that is allowed.
        """
        shares = np.ones(len(self.table))
        for index, place in enumerate(self.places):
            if place in cells:
                shares *= cells[place][self.cells[:, index]]
        return shares


def joint_columns_of(
    forms: Sequence[CompiledRule], schema: Schema, codebook: Codebook, soft: Sequence[Float64Array]
) -> tuple[JointColumns, ...]:
    """The columns that the rules of a schema bind to lists of combinations.

    Args:
        forms: The compiled rules.
        schema: The public schema.
        codebook: Its shapes say how the probability of a code spreads over the code's fine cells.
        soft: For each column the probabilities of its codes given each latent.
    """
    lists = [form for form in forms if isinstance(form, CompiledCombinations)]
    return tuple(_joint_columns(form, schema, codebook, soft) for form in joined(lists))


def joined(lists: Sequence[CompiledCombinations]) -> list[CompiledCombinations]:
    """Equivalent lists of combinations no two of which share a column.

    Raises:
        InputError: two lists contradict each other, or give too many combinations when joined.
    """
    disjoint: list[CompiledCombinations] = []
    for form in lists:
        for other in [o for o in disjoint if set(o.places) & set(form.places)]:
            disjoint.remove(other)
            form = _join(other, form)
        disjoint.append(form)
    return disjoint


def _join(one: CompiledCombinations, two: CompiledCombinations) -> CompiledCombinations:
    name = f"{one.name} and {two.name}"
    frames = [pd.DataFrame(form.table, columns=list(form.places)) for form in (one, two)]
    both = frames[0].merge(frames[1], on=[p for p in one.places if p in two.places])
    if not 0 < len(both) <= MAX_COMBINATIONS:
        fault = f"together allow {len(both)} combinations; expected 1 to {MAX_COMBINATIONS}"
        raise InputError(f"rules {name}: {fault}")
    return CompiledCombinations(name, tuple(int(p) for p in both.columns), both.to_numpy(np.int64))


def _joint_columns(
    form: CompiledCombinations, schema: Schema, codebook: Codebook, soft: Sequence[Float64Array]
) -> JointColumns:
    cells = np.column_stack(
        [
            cells_of_values(schema.modelled[place], form.table[:, index])
            for index, place in enumerate(form.places)
        ]
    )
    cell_probabilities = [
        soft[place][:, codebook.views[place][cells[:, index]]]
        * codebook.shapes[place][cells[:, index]]
        for index, place in enumerate(form.places)
    ]
    keys = [
        part
        for index, part in enumerate(cell_probabilities)
        if len(np.unique(cells[:, index])) == len(cells)
    ]
    if keys:
        weights = sum((_shares(part) for part in keys), start=np.zeros_like(keys[0]))
    else:
        with np.errstate(divide="ignore"):
            logs = np.sum([np.log(part) for part in cell_probabilities], axis=0)
        peak = logs.max(axis=1, keepdims=True)
        weights = np.exp(logs - np.where(np.isfinite(peak), peak, 0.0))
    return JointColumns.of(form.places, form.table, cells, weights)


def _shares(part: Float64Array) -> Float64Array:
    total = part.sum(axis=1, keepdims=True)
    return np.asarray(part / np.where(total > 0, total, 1.0))


def cells_of_values(column: ModelledColumn, values: Int64Array) -> Int64Array:
    """The fine cell of each value."""
    domain = domain_of(column)
    present = np.where(values == MISSING, domain.ticks[0] if domain.ordered else 0, values)
    cells = codes_of_ticks(present, domain) if domain.ordered else present
    return cells if domain.missing is None else np.where(values == MISSING, domain.missing, cells)
