"""Keeps rules between columns in every record that is drawn, at a cost that is bounded.

Given its latent z the columns of a record are independent, so the generator's own distribution given
z *and the rules* is what is left when the columns of a broken rule are drawn anew, from the same z,
until it holds. Columns without a rule, and the shares of the latents, stay as they were. That is done
`ROUNDS` times at most, for the records that still break a rule. The few that remain are built:

1. column by column, each from P(. | z) restricted to what the rules leave, given the columns before
   it: bounds pass along all inequalities first, so a chain a <= b <= c always works out;
2. and if rules of other kinds still stand against each other, the record takes these columns from
   another of the same latent (or of any) that keeps the rules.

No record is ever given out that breaks a rule: if none can be found, that is an error which names the
rules. What it costs and shifts is measured in docs/SCHEMA.md.
"""

import numpy as np
from numpy.typing import NDArray

from fedsynth_common.errors import InputError
from fedsynth_common.schema.domain import Values
from fedsynth_release.sampling.rule_components import ColumnSampler, Component
from fedsynth_release.sampling.rule_values import build_values

ROUNDS = 30
DRAWS = 1 << 15
"""Draws that an estimate of P(rules | latent) is made from, at least 16 for each latent."""
Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]


def keep_rules(
    sampler: ColumnSampler,
    values: list[Values],
    latent: Rows,
    rng: np.random.Generator,
    fixed: Flags | None = None,
) -> None:
    """Change `values` in place so that every row keeps every rule.

    Args:
        sampler: Draws columns given latents, under its conditions.
        values: Per modelled column the values of the rows.
        latent: The latent of each row.
        rng: Draws what is drawn anew.
        fixed: (rows, columns), cells that were given and must stay.

    Raises:
        InputError: no rows that keep a component's rules were found.
    """
    for component in sampler.components:
        bad = np.flatnonzero(~component.holds(values))
        for _ in range(ROUNDS):
            if not len(bad):
                break
            _redraw(sampler, component, values, latent, bad, rng, fixed)
            bad = bad[~component.holds(values, bad)]
        if len(bad):
            build_values(sampler, component, values, latent, bad, rng, fixed)
            bad = bad[~component.holds(values, bad)]
        if len(bad):
            _borrow(component, values, latent, bad, rng, fixed)


def survival(
    sampler: ColumnSampler, touched: set[int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """P(rules | latent, the sampler's conditions) of the components that hold a touched column."""
    count = len(sampler.tables[0])
    latent = np.repeat(np.arange(count), max(16, DRAWS // count))
    kept = np.ones(count)
    for component in sampler.components:
        if touched & set(component.places):
            values = sampler.columns(component.places, latent, rng)
            kept *= component.holds(values).reshape(count, -1).mean(axis=1)
    return kept


def _redraw(
    sampler: ColumnSampler,
    component: Component,
    values: list[Values],
    latent: Rows,
    rows: Rows,
    rng: np.random.Generator,
    fixed: Flags | None,
) -> None:
    drawn = sampler.columns(component.places, latent[rows], rng)
    if fixed is not None:
        for block in (b for b in sampler.blocks if b.places[0] in component.places):
            held = fixed[rows][:, block.places].any(axis=1)
            for place in block.places:  # a block with given cells was drawn to go with them
                drawn[place] = np.where(held, values[place][rows], drawn[place])
    for place in component.places:
        free = slice(None) if fixed is None else ~fixed[rows, place]
        values[place][rows[free]] = drawn[place][free]


def _borrow(
    component: Component,
    values: list[Values],
    latent: Rows,
    bad: Rows,
    rng: np.random.Generator,
    fixed: Flags | None,
) -> None:
    """Take the component's columns from rows that keep its rules, of the same latent if possible."""
    good = np.setdiff1d(np.arange(len(latent)), bad)
    if fixed is not None:
        bad_given = fixed[bad][:, component.places].any(axis=1)
        if bad_given.any():
            fault = f"{int(bad_given.sum())} given row(s) cannot be completed without breaking"
            raise InputError(f"{fault} {component.names}; look at the given cells of its columns")
        good = good[~fixed[good][:, component.places].any(axis=1)]
    if not len(good):
        fault = f"rules {component.names}: no record that keeps them was found"
        raise InputError(f"{fault}; do they contradict each other, or the conditions?")
    good = rng.permutation(good)
    good = good[np.argsort(latent[good], kind="stable")]
    first = np.searchsorted(latent[good], latent[bad], side="left")
    some = np.searchsorted(latent[good], latent[bad], side="right") - first
    near = first + rng.integers(0, np.maximum(some, 1))
    donor = good[np.where(some > 0, near, rng.integers(0, len(good), len(bad)))]
    for place in component.places:
        values[place][bad] = values[place][donor]
