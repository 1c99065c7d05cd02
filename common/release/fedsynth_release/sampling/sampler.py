"""Drawing records: a latent, then each column's code by inverting its cumulative probabilities.

Sampling needs no network pass per record: the softmax of every latent is a table of probabilities,
computed once. Given the latent z the columns are independent, and this makes conditions exact:

    P(z | all A_j) is proportional to prod_j P(A_j | z),   P(code c of j | z, A_j) to P(c | z) P(A_j | c)

for conditions A_j on columns j. P(A_j | c) is the mass of the codebook's shape on what A_j allows
inside the code. Columns without a condition follow through z. Nothing is drawn and thrown away, so
a rare condition takes as long as a common one.

Columns that a public list of combinations binds are drawn as one (`combinations.py`). Other rules
between columns are kept given z (`rule_repair.py`): the records are those of P(z) P(columns | z, rules),
and under conditions A, P(z | A) carries the factor P(rules | z, A) / P(rules | z), estimated by drawing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema, domain_of
from fedsynth_common.schema.compiled_rules import compile_rules
from fedsynth_common.schema.domain import Values
from fedsynth_common.schema.tick_set import TickSet, leaf_values
from fedsynth_release.decoding import Codebook
from fedsynth_release.decoding.codebook import group_totals
from fedsynth_release.decoding.decoder import column_of, values_of_cells
from fedsynth_release.generator_network import GeneratorNetwork
from fedsynth_release.sampling.combinations import Block, blocks_of
from fedsynth_release.sampling.condition_sets import ConditionSet, condition_sets
from fedsynth_release.sampling.conditions import Condition
from fedsynth_release.sampling.latents import (
    codes_given,
    column_probabilities,
    cumulative,
    cumulative_tables,
    spread_latents,
)
from fedsynth_release.sampling.rule_components import Component, components_of
from fedsynth_release.sampling.rule_repair import keep_rules, survival

RAREST = 1e-9
"""Conditions below this probability are refused: the generator knows nothing about such records."""
Where = Sequence[Condition | str] | str


@dataclass(frozen=True, eq=False)
class Sampler:
    """Everything that a record is drawn from.

    Attributes:
        tables: Per column the cumulative probabilities of its codes, (latents, width).
        codebook: Its shapes draw fine cells inside a code.
        schema: Decodes fine cells to values.
        blocks: Columns that are drawn together.
        components: Columns that other rules connect.
        latents: Cumulative probabilities of the latents; None where they are equally likely.
        within: By column index, the values that the leaves may decode to, if not all.
        probability: Of the conditions, under the generator.
    """

    tables: list[NDArray[np.float32]]
    codebook: Codebook
    schema: Schema
    blocks: tuple[Block, ...] = ()
    components: tuple[Component, ...] = ()
    latents: NDArray[np.float64] | None = None
    within: Mapping[int, TickSet] = field(default_factory=dict)
    probability: float = 1.0

    @classmethod
    def of(cls, network: GeneratorNetwork, codebook: Codebook, schema: Schema) -> Self:
        """The sampler of a generator, without conditions.

        Raises:
            InputError: rules that contradict each other.
        """
        tables = cumulative_tables(network)
        if not schema.rules:
            return cls(tables, codebook, schema)
        forms = compile_rules(schema)
        blocks = blocks_of(forms, schema, codebook, column_probabilities(network))
        components = components_of(forms, [block.places for block in blocks])
        return cls(tables, codebook, schema, blocks, components)

    def frame(self, rows: int, rng: np.random.Generator) -> pd.DataFrame:
        """So many records."""
        weights = len(self.tables[0]) if self.latents is None else self.latents
        latent = spread_latents(rows, rng, weights)
        values = self.values(latent, rng)
        keep_rules(self, values, latent, rng)
        return self.table(values)

    def values(self, latent: NDArray[np.int64], rng: np.random.Generator) -> list[Values]:
        """Values of all columns given latents; only the rules of blocks are kept."""
        codes = codes_given(self.tables, latent, rng)
        values = [self._decoded(place, column, rng) for place, column in enumerate(codes.T)]
        for block in self.blocks:
            block.place(values, latent, rng)
        return values

    def columns(
        self, places: Sequence[int], latent: NDArray[np.int64], rng: np.random.Generator
    ) -> list[Values]:
        """The same for some columns; the others are left empty."""
        values: list[Values] = [np.empty(0, dtype=np.int64)] * len(self.tables)
        bound = {place for block in self.blocks for place in block.places}
        for place in places:
            if place not in bound:
                codes = codes_given([self.tables[place]], latent, rng)[:, 0]
                values[place] = self._decoded(place, codes, rng)
        for block in self.blocks:
            if set(block.places) & set(places):
                block.place(values, latent, rng)
        return values

    def _decoded(self, place: int, codes: NDArray[np.uint16], rng: np.random.Generator) -> Values:
        fine = self.codebook.cells_of(place, codes, rng).astype(np.int64)
        domain = domain_of(self.schema.modelled[place])
        return values_of_cells(fine, domain, rng, self.within.get(place))

    def table(self, values: Sequence[Values]) -> pd.DataFrame:
        """Values as a table of the modelled columns."""
        columns = zip(self.schema.modelled, values, strict=True)
        return pd.DataFrame({column.name: column_of(cells, column) for column, cells in columns})

    def cells(self, place: int, latent: NDArray[np.int64]) -> NDArray[np.float64]:
        """P(fine cell | latent) of one column, (rows, cells)."""
        soft = np.diff(self.tables[place][latent].astype(np.float64), axis=1, prepend=0.0)
        return np.asarray(soft[:, self.codebook.views[place]] * self.codebook.shapes[place])

    def usual(self, place: int) -> NDArray[np.float64]:
        """P(fine cell) of one column over all latents, none of those that can be quite 0."""
        mean = np.diff(self.tables[place].mean(axis=0, dtype=np.float64), prepend=0.0)
        code = mean[self.codebook.views[place]] * self.codebook.shapes[place]
        return np.asarray(code + 1e-9 * (code > 0))

    def conditioned(self, network: GeneratorNetwork, where: Where) -> "Sampler":
        """The same where all conditions hold.

        Raises:
            InputError: a condition that cannot be read, or that holds with less than 1e-9.
        """
        where = (where,) if isinstance(where, str) else where
        if not where:
            return self
        listed = [Condition.parse(c, self.schema) if isinstance(c, str) else c for c in where]
        sets = condition_sets(listed, self.schema)
        soft = column_probabilities(network)
        weights, blocks = np.ones(len(soft[0])), []
        for block in self.blocks:
            left, held = block.given(block.accepted({p: a.cells for p, a in sets.items()}))
            blocks.append(left)
            weights *= held
        bound = {place for block in self.blocks for place in block.places}
        tables, shapes, within = [*self.tables], {}, {}
        for place, here in sets.items():
            accept, shapes[place] = _inside(self.codebook, place, here)
            if place not in bound:
                weights *= soft[place] @ accept
            tables[place] = cumulative(soft[place] * accept).astype(np.float32)
            if here.ticks is not None:
                domain = domain_of(self.schema.modelled[place])
                within[place] = leaf_values(domain) & here.ticks
        changed = _with_shapes(self.codebook, shapes)
        under = replace(self, tables=tables, codebook=changed, blocks=tuple(blocks), within=within)
        weights = self._kept(under, set(sets), weights)
        probability = float(weights.mean())
        if not probability >= RAREST:
            text = "; ".join(map(str, listed))
            raise InputError(
                f"condition {text!r}: holds with a probability below {RAREST:g} under this "
                "generator; loosen it"
            )
        return replace(
            under, latents=cumulative(weights[None])[0], probability=min(probability, 1.0)
        )

    def _kept(
        self, under: "Sampler", touched: set[int], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The latents' weights times P(rules | z, conditions) / P(rules | z), where that matters."""
        if not any(touched & set(component.places) for component in self.components):
            return weights
        rng = np.random.default_rng(0)  # the same conditions have the same probability
        free, bound = survival(self, touched, rng), survival(under, touched, rng)
        factor = np.where(free > 0, bound / np.where(free > 0, free, 1.0), 0.0)
        kept = weights * factor
        return kept if kept.sum() > 0 else weights  # too rare to be estimated: built row by row


def _inside(
    codebook: Codebook, place: int, here: ConditionSet
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """P(allowed | code) of each code of a column, and the shape of what is allowed in it."""
    view, shape = codebook.views[place], codebook.shapes[place]
    total, part = group_totals(view, shape), shape * here.cells
    held = group_totals(view, part)
    held[held < np.finfo(float).tiny / np.finfo(float).eps] = 0.0  # too little to divide by
    some = held[view] > 0
    # a code without any of it is never drawn: its shape stays as it was
    restricted = np.where(some, part / np.where(some, held[view], 1.0), shape)
    return held / total, restricted


def _with_shapes(codebook: Codebook, shapes: Mapping[int, NDArray[np.float64]]) -> Codebook:
    changed = tuple(shapes.get(place, shape) for place, shape in enumerate(codebook.shapes))
    return Codebook(codebook.views, changed)
