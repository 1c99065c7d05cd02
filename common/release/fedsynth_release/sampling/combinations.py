"""Columns bound by a public list of combinations, drawn as one.

Columns whose cells must together be one of a list (`fixed_combinations`, `one_hot`) are one column
with the combinations for codes. Its probabilities given a latent z follow from those of the columns:

- A *key* is a column in which every combination has another cell (education and its number are both
  keys). The keys decide: P(k | z) is the mean of their P(cell of k | z) over the listed cells. So a key
  keeps what the generator says of it, all other columns of the list follow from it as they do in any
  record, and two keys, each measured with its own noise, are averaged.
- Without a key, P(k | z) is proportional to the product over the columns: the generator's own
  distribution given that the combination is listed.

Lists that share a column are joined first. A condition on any of the columns leaves the combinations
that meet it, exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fedsynth_common.encoding.encoder import codes_of_ticks
from fedsynth_common.errors import InputError
from fedsynth_common.schema import ModelledColumn, Schema, domain_of
from fedsynth_common.schema.compiled_rules import CompiledCombinations, CompiledRule
from fedsynth_common.schema.domain import MISSING, Values
from fedsynth_common.schema.rules import MAX_COMBINATIONS
from fedsynth_release.decoding import Codebook
from fedsynth_release.sampling.latents import spread

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Block:
    """Columns drawn together.

    Attributes:
        places: Their indices among the modelled columns.
        table: Their values in every combination, (K, columns).
        cells: Their fine cells, (K, columns).
        weights: Probability of each combination given each latent, (latents, K).
        ends: `weights` accumulated, plus the number of the latent: one ascending sequence.
    """

    places: tuple[int, ...]
    table: Values
    cells: NDArray[np.int64]
    weights: Floats
    ends: Floats

    @classmethod
    def of(cls, places: tuple[int, ...], table: Values, cells: Values, weights: Floats) -> "Block":
        """A block; a latent that has none of the combinations takes them as the others do."""
        total = weights.sum(axis=1, keepdims=True)
        usual = weights.sum(axis=0) + np.finfo(float).tiny
        shares = np.where(total > 0, weights / np.where(total > 0, total, 1), usual / usual.sum())
        ends = np.minimum(np.cumsum(shares, axis=1), 1.0)
        ends[:, -1] = 1.0
        return cls(places, table, cells, shares, ends + np.arange(len(ends))[:, None])

    def draw(self, latent: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """A combination per latent."""
        point = np.nextafter(latent + spread(latent, rng), latent)
        place = np.searchsorted(self.ends.ravel(), point, side="right")
        return np.asarray(np.minimum(place - latent * len(self.table), len(self.table) - 1))

    def place(
        self, values: list[Values], latent: NDArray[np.int64], rng: np.random.Generator
    ) -> None:
        """Put a combination per latent into the block's columns of `values`, which has all columns."""
        drawn = self.table[self.draw(latent, rng)]
        for index, place in enumerate(self.places):
            values[place] = drawn[:, index]

    def given(self, accept: NDArray[np.bool_] | Floats) -> tuple["Block", Floats]:
        """The block where only some combinations are allowed, and P(allowed | latent)."""
        weights = self.weights * accept
        return Block.of(self.places, self.table, self.cells, weights), weights.sum(axis=1)

    def accepted(self, cells: Mapping[int, Floats]) -> Floats:
        """Share of each combination that conditions on fine cells of some columns allow."""
        accept = np.ones(len(self.table))
        for index, place in enumerate(self.places):
            if place in cells:
                accept *= cells[place][self.cells[:, index]]
        return accept


def blocks_of(
    forms: Sequence[CompiledRule], schema: Schema, codebook: Codebook, soft: Sequence[Floats]
) -> tuple[Block, ...]:
    """The blocks of a schema's rules under a generator.

    Args:
        forms: The compiled rules.
        schema: The public schema.
        codebook: Its shapes share a code's probability out among its cells.
        soft: Per column the probabilities of its codes given each latent.
    """
    lists = [form for form in forms if isinstance(form, CompiledCombinations)]
    return tuple(_block(form, schema, codebook, soft) for form in joined(lists))


def joined(lists: Sequence[CompiledCombinations]) -> list[CompiledCombinations]:
    """Lists without common columns that say the same.

    Raises:
        InputError: two lists contradict each other, or say too many combinations together.
    """
    done: list[CompiledCombinations] = []
    for form in lists:
        for other in [o for o in done if set(o.places) & set(form.places)]:
            done.remove(other)
            form = _join(other, form)
        done.append(form)
    return done


def _join(one: CompiledCombinations, two: CompiledCombinations) -> CompiledCombinations:
    name = f"{one.name} and {two.name}"
    frames = [pd.DataFrame(form.table, columns=list(form.places)) for form in (one, two)]
    both = frames[0].merge(frames[1], on=[p for p in one.places if p in two.places])
    if not 0 < len(both) <= MAX_COMBINATIONS:
        fault = f"allow {len(both)} combinations together, not 1 to {MAX_COMBINATIONS}"
        raise InputError(f"rules {name}: {fault}")
    return CompiledCombinations(name, tuple(int(p) for p in both.columns), both.to_numpy(np.int64))


def _block(
    form: CompiledCombinations, schema: Schema, codebook: Codebook, soft: Sequence[Floats]
) -> Block:
    cells = np.column_stack(
        [
            cells_of_values(schema.modelled[place], form.table[:, index])
            for index, place in enumerate(form.places)
        ]
    )
    held = [
        soft[place][:, codebook.views[place][cells[:, index]]]
        * codebook.shapes[place][cells[:, index]]
        for index, place in enumerate(form.places)
    ]
    keys = [
        part for index, part in enumerate(held) if len(np.unique(cells[:, index])) == len(cells)
    ]
    if keys:
        weights = sum((_shares(part) for part in keys), start=np.zeros_like(keys[0]))
    else:
        with np.errstate(divide="ignore"):
            logs = np.sum([np.log(part) for part in held], axis=0)
        peak = logs.max(axis=1, keepdims=True)
        weights = np.exp(logs - np.where(np.isfinite(peak), peak, 0.0))
    return Block.of(form.places, form.table, cells, weights)


def _shares(part: Floats) -> Floats:
    total = part.sum(axis=1, keepdims=True)
    return np.asarray(part / np.where(total > 0, total, 1.0))


def cells_of_values(column: ModelledColumn, values: Values) -> NDArray[np.int64]:
    """The fine cell of each value."""
    domain = domain_of(column)
    present = np.where(values == MISSING, domain.ticks[0] if domain.ordered else 0, values)
    cells = codes_of_ticks(present, domain) if domain.ordered else present
    return cells if domain.missing is None else np.where(values == MISSING, domain.missing, cells)
