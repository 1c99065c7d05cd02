"""Compares conditional sampling with drawing freely and keeping matching records.

Under a condition `column = value` the sampler draws each record from the generator's exact
conditional distribution. For every declared value, the records drawn under the condition and the
matching records of a long free sample are therefore two samples of the same distribution. Their
mean two-way total variation distances (TVD) to the real rows with that value must agree up to
sampling noise. If the sampler were wrong, or repeated records to reach the number, its distance
would be larger.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Int64Array
from fedsynth_common.schema import CategoricalColumn
from fedsynth_release.evaluation.discretise import Discretiser
from fedsynth_release.generator import Generator
from fedsynth_release.sampling.conditions import Condition


@dataclass(frozen=True)
class ValueFigures:
    """The figures for one value of one column. Distances are means over all pairs of columns.

    Attributes:
        real: the number of real rows with the value.
        conditional: TVD to the real rows of records drawn under the condition.
        filtered: TVD to the real rows of as many freely drawn records with the value.
        probability: the share of the value under the generator.
    """

    column: str
    value: str
    real: int
    conditional: float
    filtered: float
    probability: float


def compare(
    generator: Generator, real: pd.DataFrame, fewest: int = 500, free_rows: int = 400_000
) -> Iterator[ValueFigures]:
    """The figures for every declared value with more than `fewest` real rows.

    Args:
        generator: any generator of the table's schema.
        real: the real rows. The figures are computed from them without noise and are not private.
        fewest: values with at most this number of real rows are left out.
        free_rows: the number of freely drawn records.
    """
    free = generator.sample(free_rows, seed=1)
    discretiser = Discretiser.fit(generator.schema, real)
    for column in generator.schema.modelled:
        if not isinstance(column, CategoricalColumn):
            continue
        for value in column.categories:
            rows = real[real[column.name] == value]
            kept = free[free[column.name] == value]
            if len(rows) <= fewest or not len(kept):
                continue
            where = (Condition(column.name, "=", (value,)),)
            drawn = generator.sample(len(kept), seed=2, where=where)
            codes = [discretiser.transform(frame) for frame in (rows, drawn, kept)]
            yield ValueFigures(
                column=column.name,
                value=value,
                real=len(rows),
                conditional=mean_pair_tvd(codes[0], codes[1], discretiser.widths),
                filtered=mean_pair_tvd(codes[0], codes[2], discretiser.widths),
                probability=generator.probability(where),
            )


def mean_pair_tvd(one: Int64Array, two: Int64Array, widths: tuple[int, ...]) -> float:
    """Mean total variation distance of all pairs of columns of two coded tables."""
    distances = []
    for i, j in itertools.combinations(range(len(widths)), 2):
        cells = widths[i] * widths[j]
        shares = [
            np.bincount(codes[:, i] * widths[j] + codes[:, j], minlength=cells) / len(codes)
            for codes in (one, two)
        ]
        distances.append(float(np.abs(shares[0] - shares[1]).sum()) / 2)
    return float(np.mean(distances))
