"""Chooses yes/no questions about a record, which classifiers learn to answer.

A single target says little: a naive Bayes model of the declared target does well on it and
represents nothing else. The main figure of a benchmark is therefore the mean AUC over up to ten
targets. A target is a rule that is fitted once on the **real training rows** and then applied
unchanged to every table, so that the questions are the same for all tables:

- for a category or boolean: is the value the most frequent one of the real training rows?
- for a number: is the value above the median of the real training rows?

Rows where the column is missing have no label. A question is not used if fewer than 5 % of the
labelled rows have one of the answers, because its AUC would be mostly noise.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Float64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import IdColumn, Schema, TextColumn
from fedsynth_common.schema.columns import ModelledColumn
from fedsynth_release.evaluation.discretise import cell_column, level_codes, named_levels, numbers

MIN_MINORITY = 0.05


@dataclass(frozen=True)
class Target:
    """One fitted question.

    Attributes:
        column: The column that the question is about.
        level: For categories and booleans, the index in `named_levels` that means yes; else None.
        threshold: For numbers, the value above which the answer is yes; else None.
    """

    column: ModelledColumn
    level: int | None = None
    threshold: float | None = None

    def labels(self, frame: pd.DataFrame) -> Float64Array:
        """The label of each row: 1 for yes, 0 for no, NaN for missing."""
        cells = cell_column(frame, self.column.name)
        if self.level is not None:
            codes = level_codes(cells, self.column)
            return np.where(codes < 0, np.nan, codes == self.level)
        values = numbers(cells, self.column)
        return np.where(np.isnan(values), np.nan, values > (self.threshold or 0.0))


def binarise(schema: Schema, train: pd.DataFrame, name: str) -> Target:
    """The question about column `name`, fitted on the real training rows."""
    column = schema.column(name)
    if isinstance(column, IdColumn | TextColumn):
        raise InputError(f"evaluation: {name!r} is an id or text column and cannot be a target")
    cells = cell_column(train, name)
    if named_levels(column):
        codes = level_codes(cells, column)
        counts = np.bincount(codes[codes >= 0], minlength=1)
        return Target(column, level=int(counts.argmax()))
    values = numbers(cells, column)
    values = values[~np.isnan(values)]
    return Target(column, threshold=float(np.median(values)) if len(values) else 0.0)


def default_targets(schema: Schema, train: pd.DataFrame, count: int = 10) -> list[Target]:
    """Up to `count` questions: first the declared target, then other columns of the table.

    The other columns are chosen without randomness: of those where both answers have at least 5 %,
    in schema order, the ones at evenly spaced positions.

    Raises:
        InputError: no column has two answers that are both frequent enough.
    """
    first = [schema.target] if schema.target else []
    names = [*first, *(c.name for c in schema.modelled if c.name != schema.target)]
    usable = [t for t in (binarise(schema, train, n) for n in names) if balanced(t, train)]
    declared = [t for t in usable if t.column.name == schema.target][:count]
    others = usable[len(declared) :]
    room = min(count - len(declared), len(others))
    places = np.linspace(0, len(others) - 1, room).round().astype(int).tolist()
    targets = declared + [others[place] for place in places]
    if not targets:
        raise InputError("evaluation: no column can be a target, as all are nearly constant")
    return targets


def balanced(target: Target, train: pd.DataFrame) -> bool:
    """Whether at least 5 % of the labelled rows say yes and at least 5 % say no."""
    labels = target.labels(train)
    labels = labels[~np.isnan(labels)]
    share = float(labels.mean()) if len(labels) else 0.0
    return MIN_MINORITY <= share <= 1 - MIN_MINORITY
