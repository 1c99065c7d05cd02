"""Completing rows: cells that are given stay, the others are drawn to go with them.

Given the latent z the columns are independent, so by Bayes' rule a row's given cells leave

    P(z | given) proportional to prod_j P(code of cell j | z)

and each other column is drawn from P(. | z) for a z drawn from that: exactly the generator's own
conditional distribution, for any set of given cells, row by row. Only the code of a cell matters;
where inside its code a value lies is independent of all else under the generator.

An empty cell is drawn (and may come out as missing where the column is nullable). Columns of a list of
combinations follow the ones of it that are given; other rules are kept as `rule_repair.py` does, the
given cells staying. Values that the schema has no place for are refused, never repaired, and so are
given cells that break a rule: the answer would not be for the row that was asked about.
Post-processing: costs no privacy, and given rows are neither stored nor learned from.
"""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from fedsynth_common.encoding.encoder import check_columns, encode_column
from fedsynth_common.encoding.values import text_of
from fedsynth_common.encoding.violations import values_of
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
from fedsynth_common.schema.compiled_rules import compile_rules
from fedsynth_common.schema.domain import Values
from fedsynth_common.tables import as_number, as_text, factorise
from fedsynth_release.generator_network import GeneratorNetwork
from fedsynth_release.sampling.combinations import Block, cells_of_values
from fedsynth_release.sampling.rule_repair import keep_rules
from fedsynth_release.sampling.sampler import Sampler

Flags = NDArray[np.bool_]
_FREE = int(np.iinfo(np.int64).max)  # in a pattern of given values: not given
BATCH = 1 << 22
"""Rows x latents weighed at a time: 32 MiB."""


def complete_rows(
    sampler: Sampler, network: GeneratorNetwork, frame: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """The given rows with all modelled columns; ids that are given stay too.

    Raises:
        InputError: no rows, a column or cell that does not fit the schema, or cells that break a rule.
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


def given_values(frame: pd.DataFrame, schema: Schema) -> tuple[list[Values], Flags]:
    """Values of the given cells per modelled column, and which cells (n, d) are given."""
    check_columns(frame, schema, partial=True)
    fixed = np.zeros((len(frame), len(schema.modelled)), dtype=bool)
    given = [np.zeros(len(frame), dtype=np.int64) for _ in schema.modelled]
    for place, column in enumerate(schema.modelled):
        if column.name not in frame:
            continue
        rows = np.flatnonzero(factorise(frame[column.name])[0] >= 0)
        cells = frame[column.name].iloc[rows]
        _, repairs = encode_column(cells, column)
        wrong = repairs.clamped + repairs.rounded + repairs.unparsable
        if wrong:
            raise InputError(f"column {column.name!r}: {wrong} given cell(s) {_fault(column)}")
        given[place][rows] = values_of(cells, column)
        fixed[rows, place] = True
    return given, fixed


def _check_rules(schema: Schema, given: list[Values], fixed: Flags) -> None:
    """Refuse rows whose given cells break a rule whatever the rest is."""
    for form in compile_rules(schema) if schema.rules else ():
        whole = np.flatnonzero(fixed[:, list(form.places)].all(axis=1))
        broken = int((~form.holds({place: given[place][whole] for place in form.places})).sum())
        if broken:
            raise InputError(f"rule {form.name!r}: the given cells of {broken} row(s) break it")


def _drawn(
    sampler: Sampler,
    network: GeneratorNetwork,
    given: list[Values],
    fixed: Flags,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], list[Values]]:
    """A latent per row from its posterior, and values of all columns: the given ones as given."""
    codes = _codes(sampler, given, fixed)
    sets = [_matching(block, given, fixed) for block in sampler.blocks]
    for block in sampler.blocks:
        codes[:, block.places] = -1  # weighed as a whole
    tables = log_probabilities(network)
    batch = max(1, BATCH // network.shape.latents)
    latent = np.concatenate(
        [
            draw_latents(tables, codes[i : i + batch], rng, _block_logs(sets, i, i + batch))
            for i in range(0, len(fixed), batch)
        ]
    )
    values = sampler.values(latent, rng)
    for block, (pattern, left) in zip(sampler.blocks, sets, strict=True):
        for number, (part, _) in enumerate(left):
            rows = np.flatnonzero(pattern == number)
            drawn = block.table[part.draw(latent[rows], rng)]
            for index, place in enumerate(block.places):
                values[place][rows] = drawn[:, index]
    for place, cells in enumerate(given):
        values[place] = np.where(fixed[:, place], cells, values[place])
    return latent, values


def _codes(sampler: Sampler, given: list[Values], fixed: Flags) -> NDArray[np.int64]:
    """Codes (n, d) of the given cells; -1 where a cell is to be drawn."""
    codes = np.full(fixed.shape, -1, dtype=np.int64)
    for place, column in enumerate(sampler.schema.modelled):
        rows = fixed[:, place]
        cells = cells_of_values(column, given[place][rows])
        codes[rows, place] = sampler.codebook.views[place][cells]
    return codes


Matching = tuple[NDArray[np.int64], list[tuple[Block, NDArray[np.float64]]]]


def _matching(block: Block, given: list[Values], fixed: Flags) -> Matching:
    """Rows by what is given of a block's columns: the block of what matches, log P(match | latent).

    Raises:
        InputError: nothing matches.
    """
    cells = np.stack([np.where(fixed[:, p], given[p], _FREE) for p in block.places], axis=1)
    distinct, pattern = np.unique(cells, axis=0, return_inverse=True)
    left = []
    for number, row in enumerate(distinct):
        match = ((row == _FREE) | (block.table == row)).all(axis=1)
        if not match.any():
            rows = int((pattern.ravel() == number).sum())
            raise InputError(
                f"{rows} given row(s) go with none of the schema's fixed combinations of "
                f"{len(block.places)} columns; look at the given cells"
            )
        part, held = block.given(match)
        left.append((part, np.log(np.maximum(held, np.finfo(float).tiny))))
    return pattern.ravel(), left


def _block_logs(sets: list[Matching], start: int, stop: int) -> NDArray[np.float64] | float:
    """Log of P(given cells of all blocks | latent) of a run of rows, (rows, latents)."""
    total: NDArray[np.float64] | float = 0.0
    for pattern, left in sets:
        total = total + np.stack([held for _, held in left])[pattern[start:stop]]
    return total


def log_probabilities(network: GeneratorNetwork) -> list[NDArray[np.float64]]:
    """Per column log P(code | latent), (width + 1, latents); the last row, zeros, is for code -1."""
    with torch.no_grad():
        parts = torch.split(network().double(), list(network.shape.widths), dim=1)
    return [
        np.vstack([F.log_softmax(part, dim=1).numpy().T, np.zeros((1, len(part)))])
        for part in parts
    ]


def draw_latents(
    tables: list[NDArray[np.float64]],
    given: NDArray[np.int64],
    rng: np.random.Generator,
    prior: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.int64]:
    """A latent per row from its posterior given the row's codes; `prior` holds further logs."""
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
    """What is wrong with a cell that would have to be repaired; texts never are."""
    if isinstance(column, CategoricalColumn | BooleanColumn):
        return "do not fit the schema"
    domain = domain_of(column)
    ends = f"from {text_of(int(domain.ticks[0]), column)} to "
    ends += text_of(int(domain.ticks[-1]) - 1, column)
    if column.kind in ("numeric", "integer"):
        expected = f"numbers {ends} with at most {domain.decimals} decimals"
    else:
        expected = f"{column.kind}s {ends} as the schema declares them"
    return f"do not fit the schema; expected {expected}, or empty cells, which are drawn"


def _overlay(
    drawn: pd.Series, given: pd.Series, rows: NDArray[np.bool_], column: ModelledColumn
) -> pd.Series:
    """The drawn column with the given cells in their place."""
    if isinstance(column, NumericColumn | IntegerColumn):
        numbers = as_number(given)[rows]
        result = drawn.copy()
        result[rows] = numbers.astype(np.int64) if isinstance(column, IntegerColumn) else numbers
        return result
    if isinstance(column, CategoricalColumn | BooleanColumn):
        return drawn.mask(rows, as_text(given))
    return drawn  # dates and durations are written one way, whatever they were given in
