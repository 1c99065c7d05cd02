"""Completes rows: the cells that are given stay, and the other cells are drawn to go with them.

Given the latent z the columns are independent. By Bayes' rule the given cells of a row therefore
lead to

    P(z | given) proportional to prod_j P(code of cell j | z).

A z is drawn from this distribution, and every other column from P(. | z). The result has exactly
the generator's conditional distribution of codes, for any set of given cells in each row. z depends
on the code of a given cell alone. Where the value lies inside its code decides about the values of
coupled columns inside theirs (`coupling.py`).

An empty cell is drawn; the drawn cell can be missing if the column is nullable. If some columns of
a list of combinations are given, the others are drawn from the combinations that agree with them.
Other rules are kept as in `rule_repair.py`, without changing given cells. A given value that the
schema does not allow is refused and not repaired, and so are given cells that break a rule, because
the answer would be about another row than the one that was asked about. Completing rows is
post-processing, so it costs no privacy budget. The given rows are not stored, and nothing is
learned from them.
"""

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_common.encoding.encoder import check_columns, encode_column
from fedsynth_common.encoding.violations import values_of
from fedsynth_common.encoding.written import without_marks
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    IntegerColumn,
    ModelledColumn,
    NumericColumn,
    Schema,
    domain_of,
)
from fedsynth_common.schema.rule_compiler import compile_rules
from fedsynth_common.tables import as_number, as_text, factorise
from fedsynth_release.decoding.values import text_of
from fedsynth_release.generator_mixture import FlatNetwork
from fedsynth_release.sampling.combinations import JointColumns, cells_of_values
from fedsynth_release.sampling.conditions import listed_names
from fedsynth_release.sampling.coupling import Given
from fedsynth_release.sampling.rule_repair import keep_rules
from fedsynth_release.sampling.sampler import Sampler

_FREE = int(np.iinfo(np.int64).max)  # in a pattern of given values: not given
BATCH = 1 << 22
"""Number of weights (rows times latents) that are computed at a time; they take 32 MiB."""


def complete_rows(
    sampler: Sampler, network: FlatNetwork, frame: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """The given rows with all modelled columns; columns of ids that are given stay too.

    Raises:
        InputError: there are no rows, a column or cell does not fit the schema, or given cells
            break a rule.
    """
    schema = sampler.schema
    if not len(frame):
        raise InputError("no rows to complete; expected at least one")
    frame = frame.reset_index(drop=True)
    given, fixed = given_values(frame, schema)
    _check_rules(schema, given, fixed)
    latent, values = _drawn(sampler, network, given, fixed, rng)
    keep_rules(sampler, values, latent, rng, fixed)
    drawn = sampler.table(values)
    for place, column in enumerate(schema.modelled):
        mask = fixed[:, place]
        if mask.any():
            drawn[column.name] = _overlay(drawn[column.name], frame[column.name], mask, column)
    ids = {c.name: frame[c.name] for c in schema.columns if c.name in frame and c.name not in drawn}
    drawn = drawn.assign(**ids)
    return drawn[[column.name for column in schema.columns if column.name in drawn]]


def given_values(frame: pd.DataFrame, schema: Schema) -> tuple[list[Int64Array], BoolArray]:
    """The values of the given cells, by modelled column, and which cells (n, d) are given."""
    check_columns(frame, schema, partial=True)
    fixed = np.zeros((len(frame), len(schema.modelled)), dtype=bool)
    given = [np.zeros(len(frame), dtype=np.int64) for _ in schema.modelled]
    for place, column in enumerate(schema.modelled):
        if column.name not in frame:
            continue
        read = without_marks(frame[column.name], column)
        rows = np.flatnonzero(factorise(read)[0] >= 0)
        cells = read.iloc[rows]
        try:
            _, repairs = encode_column(cells, column)
        except InputError:  # its advice is for tables of records, not for given cells
            raise InputError(f"column {column.name!r}: given cells {_fault(column)}") from None
        if repairs.total:  # a typing error is no `other`, as in a condition
            fault = f"{repairs.total} given cell(s) {_fault(column)}"
            raise InputError(f"column {column.name!r}: {fault}")
        given[place][rows] = values_of(cells, column)
        fixed[rows, place] = True
    return given, fixed


def _check_rules(schema: Schema, given: list[Int64Array], fixed: BoolArray) -> None:
    """Refuse rows whose given cells break a rule, whatever the other cells are."""
    for form in compile_rules(schema) if schema.rules else ():
        whole = np.flatnonzero(fixed[:, list(form.places)].all(axis=1))
        broken = int((~form.holds({place: given[place][whole] for place in form.places})).sum())
        if broken:
            raise InputError(f"rule {form.name!r}: the given cells of {broken} row(s) break it")


def _drawn(
    sampler: Sampler,
    network: FlatNetwork,
    given: list[Int64Array],
    fixed: BoolArray,
    rng: np.random.Generator,
) -> tuple[Int64Array, list[Int64Array]]:
    """Draw a latent for each row from its posterior, and the values of all cells not given."""
    codes = _codes(sampler, given, fixed)
    matches = [_matching(joint, given, fixed) for joint in sampler.joint]
    for joint in sampler.joint:
        codes[:, joint.places] = -1  # these columns are weighed together, in `_joint_logs`
    tables = log_probabilities(network)
    batch = max(1, BATCH // network.shape.latents)
    latent = np.concatenate(
        [
            draw_latents(tables, codes[i : i + batch], rng, _joint_logs(matches, i, i + batch))
            for i in range(0, len(fixed), batch)
        ]
    )
    numbers = {
        place: Given(cells, fixed[:, place])
        for place, cells in enumerate(given)
        if sampler.coupled(place) and fixed[:, place].any()
    }
    values = sampler.values(latent, rng, numbers)
    for joint, (pattern, restricted) in zip(sampler.joint, matches, strict=True):
        for number, (matching, _) in enumerate(restricted):
            rows = np.flatnonzero(pattern == number)
            combinations = joint.table[matching.draw(latent[rows], rng)]
            for index, place in enumerate(joint.places):
                values[place][rows] = combinations[:, index]
    for place, cells in enumerate(given):
        values[place] = np.where(fixed[:, place], cells, values[place])
    return latent, values


def _codes(sampler: Sampler, given: list[Int64Array], fixed: BoolArray) -> Int64Array:
    """The codes (n, d) of the given cells; a cell that is to be drawn has the code -1."""
    codes = np.full(fixed.shape, -1, dtype=np.int64)
    for place, column in enumerate(sampler.schema.modelled):
        rows = fixed[:, place]
        cells = cells_of_values(column, given[place][rows])
        codes[rows, place] = sampler.codebook.views[place][cells]
    return codes


Matching = tuple[Int64Array, list[tuple[JointColumns, Float64Array]]]


def _matching(joint: JointColumns, given: list[Int64Array], fixed: BoolArray) -> Matching:
    """Which combinations agree with the given cells of each row.

    Rows with the same given cells in these columns have the same pattern.

    Returns:
        The number of each row's pattern; and, for each pattern, the columns restricted to the
        combinations that agree with it, with log P(the combination agrees | latent).

    Raises:
        InputError: no combination agrees with the given cells of a row.
    """
    cells = np.stack([np.where(fixed[:, p], given[p], _FREE) for p in joint.places], axis=1)
    distinct, pattern = np.unique(cells, axis=0, return_inverse=True)
    restricted = []
    for number, row in enumerate(distinct):
        match = ((row == _FREE) | (joint.table == row)).all(axis=1)
        if not match.any():
            rows = int((pattern.ravel() == number).sum())
            raise InputError(
                f"{rows} given row(s) agree with none of the schema's fixed combinations of "
                f"{len(joint.places)} columns; look at the given cells"
            )
        matching, probabilities = joint.restricted(match)
        restricted.append((matching, np.log(np.maximum(probabilities, np.finfo(float).tiny))))
    return pattern.ravel(), restricted


def _joint_logs(matches: list[Matching], start: int, stop: int) -> Float64Array | float:
    """Log P(given cells of all columns drawn together | latent) of some rows, (rows, latents)."""
    total: Float64Array | float = 0.0
    for pattern, restricted in matches:
        total = total + np.stack([logs for _, logs in restricted])[pattern[start:stop]]
    return total


def log_probabilities(network: FlatNetwork) -> list[Float64Array]:
    """For each column log P(code | latent), (width + 1, latents).

    The last row is 0 and stands for the code -1, a cell that is not given.
    """
    with torch.no_grad():
        parts = torch.split(network().double(), list(network.shape.widths), dim=1)
    return [
        np.vstack([F.log_softmax(part, dim=1).numpy().T, np.zeros((1, len(part)))])
        for part in parts
    ]


def draw_latents(
    tables: list[Float64Array],
    given: Int64Array,
    rng: np.random.Generator,
    prior: Float64Array | float = 0.0,
) -> Int64Array:
    """Draw a latent for each row from its posterior given the row's codes.

    `prior` is added to the logs of the posterior, (rows, latents) or 0.
    """
    weights = np.zeros((len(given), tables[0].shape[1])) + prior
    for column, table in enumerate(tables):
        if (given[:, column] >= 0).any():
            weights += table[given[:, column]]
    weights -= weights.max(axis=1, keepdims=True)
    np.exp(weights, out=weights)
    np.cumsum(weights, axis=1, out=weights)
    point = rng.random(len(given)) * weights[:, -1]
    latent = (point[:, None] >= weights).sum(axis=1)
    return np.asarray(np.minimum(latent, weights.shape[1] - 1), dtype=np.int64)


def _fault(column: ModelledColumn) -> str:
    """What is wrong with a given cell that does not fit its column, and what is expected."""
    if isinstance(column, CategoricalColumn | BooleanColumn):
        listed = listed_names(domain_of(column).labels)
        return f"are not among the categories of the schema; expected one of {listed}"
    domain = domain_of(column)
    ends = f"from {text_of(int(domain.ticks[0]), column)} to "
    ends += text_of(int(domain.ticks[-1]) - 1, column)
    if column.kind in ("numeric", "integer"):
        expected = f"numbers {ends} with at most {domain.decimals} decimals"
    else:
        expected = f"{column.kind}s {ends} as the schema declares them"
    return f"do not fit the schema; expected {expected}, or empty cells, which will be drawn"


def _overlay(
    drawn: pd.Series, given: pd.Series, rows: BoolArray, column: ModelledColumn
) -> pd.Series:
    """The drawn column with the given cells put in, in the rows marked by `rows`."""
    if isinstance(column, NumericColumn | IntegerColumn):
        numbers = as_number(given)[rows]
        result = drawn.copy()
        result[rows] = numbers.astype(np.int64) if isinstance(column, IntegerColumn) else numbers
        return result
    if isinstance(column, CategoricalColumn | BooleanColumn):
        return drawn.mask(rows, as_text(given))
    return drawn  # it has the given dates and durations, in the format that tables use
