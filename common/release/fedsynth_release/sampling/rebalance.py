"""Draws records in which one column's categories have other shares than in the generator.

`sex` gives the same share to every category that the generator can draw. `sex=F:0.7,M:0.3` sets the
shares. If they sum to 1, a category that is not named is not drawn. If they sum to less, the rest
is shared among the other categories as the generator draws them. More than 1 is refused, and so is
less if no category is left for the rest. The records of a category are drawn under the condition
`column = category`, so their other columns have the generator's distribution given it. The number
of records of each category is exact up to one record (largest remainder), and the records are
shuffled. The shares of other columns change too, so use such records to train and test software,
and not to count anything.
"""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import BooleanColumn, CategoricalColumn, Schema, domain_of
from fedsynth_release.generator_mixture import FlatNetwork
from fedsynth_release.sampling.conditions import Condition
from fedsynth_release.sampling.sampler import Sampler, Where

_EXACT = 1e-6
Draw = Callable[[int, np.random.Generator], pd.DataFrame]


@dataclass(frozen=True)
class Rebalance:
    """The shares of one column's categories; empty for equal shares of all that can be drawn."""

    column: str
    shares: Mapping[str, float]

    @classmethod
    def parse(cls, text: str, schema: Schema) -> Self:
        """Read `COLUMN` or `COLUMN=value:share,...`.

        Raises:
            InputError: the column is not categorical or boolean, it has no such category, or a
                share is not a positive number.
        """
        kinds = CategoricalColumn | BooleanColumn
        named = {c.name: c for c in schema.modelled if isinstance(c, kinds)}
        name = max((n for n in named if text == n or text.startswith(f"{n}=")), key=len, default="")
        if not name:
            expected = ", ".join(map(repr, list(named)[:12])) or "none: this schema has no such"
            fault = f"--rebalance {text!r}: expected a categorical or boolean column"
            raise InputError(f"{fault} ({expected}), then nothing or =value:share,...")
        listed = text[len(name) + 1 :]
        labels = domain_of(named[name]).labels
        shares: dict[str, float] = {}
        for part in next(csv.reader([listed], skipinitialspace=True), []) if listed else []:
            value, _, number = part.rpartition(":")
            if value not in labels or value in shares:
                fault = f"{value!r} is not a category of column {name!r}, or named twice"
                raise InputError(f"--rebalance {text!r}: {fault}")
            shares[value] = _share(text, number)
        if len(text) > len(name) and not shares:
            raise InputError(f"--rebalance {text!r}: expected value:share,... after '='")
        _check_sum(text, shares, [label for label in labels if label not in shares])
        return cls(name, shares)

    def drawer(self, sampler: Sampler, network: FlatNetwork, where: Where) -> Draw:
        """A function that draws a given number of records.

        Raises:
            InputError: the generator cannot draw a named category under the conditions.
        """
        conditions = (where,) if isinstance(where, str) else tuple(where)
        samplers, shares = [], []
        column = next(c for c in sampler.schema.modelled if c.name == self.column)
        for value in self.shares or domain_of(column).labels:
            wanted = Condition(self.column, "=", (value,))
            try:
                samplers.append(sampler.conditioned(network, (*conditions, wanted)))
            except InputError:
                if self.shares:
                    raise
                continue  # equal shares are of what there is
            shares.append(self.shares.get(value, 1.0))
        rest = 1 - sum(self.shares.values())
        if self.shares and rest > _EXACT:  # the other categories as they are drawn
            listed = Condition(self.column, "not in", tuple(self.shares))
            samplers.append(sampler.conditioned(network, (*conditions, listed)))
            shares.append(rest)
        if not samplers:
            raise InputError(f"--rebalance {self.column!r}: no category can be drawn")
        wanted_shares = np.array(shares) / sum(shares)

        def draw(rows: int, rng: np.random.Generator) -> pd.DataFrame:
            counts = dealt(rows, wanted_shares)
            parts = [s.frame(int(n), rng) for s, n in zip(samplers, counts, strict=True) if n]
            whole = pd.concat(parts, ignore_index=True)
            return whole.iloc[rng.permutation(rows)].reset_index(drop=True)

        return draw


def dealt(rows: int, shares: Float64Array) -> Int64Array:
    """Whole counts that sum to `total`, each less than 1 from its share (largest remainder).

    >>> dealt(10, np.array([1 / 3, 1 / 3, 1 / 3])).tolist()
    [4, 3, 3]
    """
    exact = rows * shares
    counts = np.floor(exact).astype(np.int64)
    most = np.argsort(counts - exact, kind="stable")[: rows - int(counts.sum())]
    counts[most] += 1
    return counts


def _check_sum(text: str, shares: Mapping[str, float], others: list[str]) -> None:
    """Refuse shares of more than 1 together, and of less where no other category is left.

    Raises:
        InputError: saying what they sum to.
    """
    total = sum(shares.values())
    if shares and (total > 1 + _EXACT or (total < 1 - _EXACT and not others)):
        fault = f"the shares sum to {total:g}; expected 1"
        hint = ", or less: the rest is then shared as drawn" if others else ""
        raise InputError(f"--rebalance {text!r}: {fault}{hint}")


def _share(text: str, number: str) -> float:
    try:
        share = float(number)
    except ValueError:
        share = 0.0
    if not 0 < share < float("inf"):
        raise InputError(f"--rebalance {text!r}: expected a positive share after each ':'")
    return share
