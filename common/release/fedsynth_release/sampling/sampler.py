"""Draws records: first a latent z, then the code of each column given z.

No record needs a pass through the network, because the softmax of every latent is computed once and
kept as a table of probabilities. Given z the codes are independent. This makes it possible to draw
exactly under conditions A_j on columns j:

    P(z | all A_j) is proportional to prod_j P(A_j | z), and
    P(code c of column j | z, A_j) is proportional to P(c | z) P(A_j | c).

P(A_j | c) is the part of the codebook's shape inside code c that A_j allows. Columns without a
condition depend on the conditions through z. No record is drawn and thrown away, so a rare
condition takes as long as a common one.

Inside their codes, the values of numbers that rise or fall together are drawn together
(`coupling.py`). A condition then decides about the other columns' values inside their codes too.

Columns that a public list of combinations binds are drawn together (`combinations.py`). Other rules
between columns are kept given z (`rule_repair.py`), so records have the distribution
P(z) P(columns | z, rules). Under conditions A, P(z | A) is multiplied by
P(rules | z, A) / P(rules | z), which is estimated by drawing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Self

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Float32Array, Float64Array, Int64Array, UInt16Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema, domain_of
from fedsynth_common.schema.rule_compiler import compile_rules
from fedsynth_common.schema.tick_set import TickSet
from fedsynth_release.decoding import Codebook
from fedsynth_release.decoding.cell_ticks import leaf_values
from fedsynth_release.decoding.decoder import column_of, values_of_cells
from fedsynth_release.sampling.combinations import JointColumns, joint_columns_of
from fedsynth_release.sampling.condition_sets import (
    ConditionSet,
    allowed_of_codes,
    condition_sets,
    with_shapes,
)
from fedsynth_release.sampling.conditions import Condition
from fedsynth_release.sampling.coupling import Confined, Coupling, Given
from fedsynth_release.sampling.latents import (
    SoftNetwork,
    codes_given,
    column_probabilities,
    cumulative,
    cumulative_tables,
    spread_latents,
)
from fedsynth_release.sampling.rule_components import RuleComponent, rule_components
from fedsynth_release.sampling.rule_repair import keep_rules, rule_probabilities

RAREST = 1e-9
"""Conditions with a lower probability are refused; the generator learned nothing of them."""
Where = Sequence[Condition | str] | str


@dataclass(frozen=True, eq=False)
class Sampler:
    """Draws records of one generator, under conditions if there are any.

    Attributes:
        tables: For each column the cumulative probabilities of its codes, (latents, width).
        codebook: Its shapes are used to draw fine cells inside a code.
        schema: The public schema, which says how fine cells decode to values.
        joint: Columns that are drawn together.
        components: Columns that other rules connect.
        latents: Cumulative probabilities of the latents; None if all are equally likely.
        coupling: Draws values inside codes together; None draws each column's by itself.
        within: By column index, the values that leaves may decode to. A column that is not listed
            may take all its values.
        confined: By column index, what conditions leave of a column of numbers.
        probability: The probability of the conditions under the generator.
    """

    tables: list[Float32Array]
    codebook: Codebook
    schema: Schema
    joint: tuple[JointColumns, ...] = ()
    components: tuple[RuleComponent, ...] = ()
    latents: Float64Array | None = None
    coupling: Coupling | None = None
    confined: Mapping[int, Confined] = field(default_factory=dict)
    within: Mapping[int, TickSet] = field(default_factory=dict)
    probability: float = 1.0

    @classmethod
    def of(
        cls, network: SoftNetwork, codebook: Codebook, schema: Schema, coupled: bool = True
    ) -> Self:
        """The sampler of a generator, without conditions.

        Numbers are not `coupled` where latents are not alike in weight.

        Raises:
            InputError: the rules contradict each other.
        """
        tables = cumulative_tables(network)
        forms = compile_rules(schema) if schema.rules else ()
        joint = joint_columns_of(forms, schema, codebook, column_probabilities(network))
        together = [columns.places for columns in joint]
        components = rule_components(forms, together)
        apart = {place for places in together for place in places}
        coupling = Coupling(tables, codebook, schema, apart) if coupled else None
        return cls(tables, codebook, schema, joint, components, coupling=coupling)

    def frame(self, rows: int, rng: np.random.Generator) -> pd.DataFrame:
        """A table of `rows` records."""
        return self.table(self.rows(rows, rng)[1])

    def rows(self, rows: int, rng: np.random.Generator) -> tuple[Int64Array, list[Int64Array]]:
        """Latents of `rows` records (rows,), and the values of each modelled column."""
        weights = len(self.tables[0]) if self.latents is None else self.latents
        latent = spread_latents(rows, rng, weights)
        values = self.values(latent, rng)
        keep_rules(self, values, latent, rng)
        return latent, values

    def values(
        self,
        latent: Int64Array,
        rng: np.random.Generator,
        given: Mapping[int, Given] = MappingProxyType({}),
    ) -> list[Int64Array]:
        """Draw values of all columns given latents, to go with values of numbers that are given.

        Lists of combinations are kept. Other rules may be broken; see `rule_repair.keep_rules`.
        """
        return self.columns(range(len(self.tables)), latent, rng, given)

    def columns(
        self,
        places: Sequence[int],
        latent: Int64Array,
        rng: np.random.Generator,
        given: Mapping[int, Given] = MappingProxyType({}),
    ) -> list[Int64Array]:
        """Draw values of some columns given latents; the entries of other columns stay empty.

        `given` values of numbers, also of other columns, decide about the drawn ones inside their codes.
        """
        values: list[Int64Array] = [np.empty(0, dtype=np.int64)] * len(self.tables)
        drawn_together = {place for joint in self.joint for place in joint.places}
        alone = [place for place in places if place not in drawn_together]
        drawn = codes_given([self.tables[place] for place in alone], latent, rng)
        codes = dict(zip(alone, drawn.T, strict=True))
        if self.coupling is not None:
            missing = np.zeros(len(latent), dtype=np.uint16)
            beside = {place: missing for place in given if place not in codes}
            coupled = self.coupling.draw(
                {**beside, **codes}, rng, self.within, self.confined, given
            )
            for place in codes.keys() & coupled.keys():
                values[place] = coupled[place]
        for place, of_column in codes.items():
            if not len(values[place]):
                values[place] = self._decoded(place, of_column, rng)
        for joint in self.joint:
            if set(joint.places) & set(places):
                joint.draw_into(values, latent, rng)
        return values

    def coupled(self, place: int) -> bool:
        """Whether a column's values inside its codes depend on other columns' values in theirs."""
        return self.coupling is not None and place in self.coupling.places

    def _decoded(self, place: int, codes: UInt16Array, rng: np.random.Generator) -> Int64Array:
        fine = self.codebook.cells_of(place, codes, rng).astype(np.int64)
        domain = domain_of(self.schema.modelled[place])
        return values_of_cells(fine, domain, rng, self.within.get(place))

    def table(self, values: Sequence[Int64Array]) -> pd.DataFrame:
        """Values as a table of the modelled columns."""
        columns = zip(self.schema.modelled, values, strict=True)
        return pd.DataFrame({column.name: column_of(cells, column) for column, cells in columns})

    def cells(self, place: int, latent: Int64Array) -> Float64Array:
        """P(fine cell | latent) of one column, (rows, cells)."""
        soft = np.diff(self.tables[place][latent].astype(np.float64), axis=1, prepend=0.0)
        return np.asarray(soft[:, self.codebook.views[place]] * self.codebook.shapes[place])

    def average_cells(self, place: int) -> Float64Array:
        """P(fine cell) of one column, averaged over all latents, (cells,).

        A small constant is added for every cell that its code can decode to.
        """
        mean = np.diff(self.tables[place].mean(axis=0, dtype=np.float64), prepend=0.0)
        code = mean[self.codebook.views[place]] * self.codebook.shapes[place]
        return np.asarray(code + 1e-9 * (code > 0))

    def conditioned(self, network: SoftNetwork, where: Where) -> "Sampler":
        """A sampler of the records that meet all conditions.

        Raises:
            InputError: a condition cannot be read, or the conditions have a probability below 1e-9.
        """
        where = (where,) if isinstance(where, str) else where
        if not where:
            return self
        listed = [Condition.parse(c, self.schema) if isinstance(c, str) else c for c in where]
        sets = condition_sets(listed, self.schema)
        soft = column_probabilities(network)
        weights, joint = np.ones(len(soft[0])), []
        for columns in self.joint:
            shares = columns.allowed_shares({p: allowed.cells for p, allowed in sets.items()})
            restricted, probabilities = columns.restricted(shares)
            joint.append(restricted)
            weights *= probabilities
        drawn_together = {place for columns in self.joint for place in columns.places}
        tables, shapes, within, confined = [*self.tables], {}, {}, {}
        for place, allowed in sets.items():
            shares, shapes[place] = allowed_of_codes(self.codebook, place, allowed)
            if place not in drawn_together:
                weights *= soft[place] @ shares
            tables[place] = cumulative(soft[place] * shares).astype(np.float32)
            if allowed.ticks is not None:
                domain = domain_of(self.schema.modelled[place])
                within[place] = leaf_values(domain) & allowed.ticks
                if self.coupling is not None:
                    confined[place] = self.coupling.confine(place, allowed.cells, shapes[place])
        changed = with_shapes(self.codebook, shapes)
        under = replace(self, tables=tables, codebook=changed, joint=tuple(joint), within=within)
        under = replace(under, confined=confined)
        weights = self._with_rules(under, set(sets), weights)
        probability = float(weights.mean())
        if not probability >= RAREST:
            text = "; ".join(map(str, listed))
            raise InputError(
                f"condition {text!r}: holds with a probability below {RAREST:g} under this "
                "generator; use a condition that more records meet"
            )
        return replace(
            under, latents=cumulative(weights[None])[0], probability=min(probability, 1.0)
        )

    def restricted(
        self, network: SoftNetwork, place: int, allowed: ConditionSet
    ) -> tuple["Sampler", Float64Array]:
        """One column drawn from allowed values only, and P(allowed | latent), (latents,)."""
        soft = column_probabilities(network)[place]
        shares, shape = allowed_of_codes(self.codebook, place, allowed)
        tables, within = [*self.tables], {**self.within}
        tables[place] = cumulative(soft * shares).astype(np.float32)
        if allowed.ticks is not None:
            within[place] = leaf_values(domain_of(self.schema.modelled[place])) & allowed.ticks
        changed = with_shapes(self.codebook, {place: shape})
        under = replace(self, tables=tables, codebook=changed, within=within)
        return under, np.asarray(soft @ shares)

    def weighted(self, factor: Float64Array) -> "Sampler":
        """The latents' weights times a factor (latents,) of at most 1, such as P(event | latent).

        Raises:
            InputError: together with the conditions so far, the factor is below 1e-9 on average.
        """
        count = len(self.tables[0])
        before = np.full(count, 1 / count)
        if self.latents is not None:
            before = np.diff(self.latents, prepend=0.0)
        weights = before * factor
        probability = self.probability * float(weights.sum())
        if not probability >= RAREST:
            fault = f"hold together with a probability below {RAREST:g} under this generator"
            raise InputError(f"the conditions {fault}; use some that more records meet")
        latents = cumulative(weights[None])[0]
        return replace(self, latents=latents, probability=min(probability, 1.0))

    def _with_rules(
        self, under: "Sampler", touched: set[int], weights: Float64Array
    ) -> Float64Array:
        """The latents' weights times P(rules | z, conditions) / P(rules | z).

        `under` is this sampler under the conditions, and `touched` the columns they are about. If
        no rule connects these columns, the factor is 1.
        """
        if not any(touched & set(component.places) for component in self.components):
            return weights
        rng = np.random.default_rng(0)  # fixed, so that equal conditions get equal probabilities
        without = rule_probabilities(self, touched, rng)
        given = rule_probabilities(under, touched, rng)
        factor = np.where(without > 0, given / np.where(without > 0, without, 1.0), 0.0)
        product = weights * factor
        # all zero means too rare to be estimated; `keep_rules` then builds the rows one by one
        return product if product.sum() > 0 else weights
