"""Makes every drawn record keep the rules between columns, in bounded time.

Given its latent z, the codes of a record are independent. If the columns of a broken rule are
redrawn from the same z until the rule holds, the result therefore has the generator's distribution
given z and the rules. Values inside codes are drawn to go with the record's other columns. A total is
set to the sum of its parts first. Columns without a rule and the shares of the latents do not change.
Records that break a rule are redrawn at most `ROUNDS` times, and less often where hardly any record is
mended by it (two columns that must be equal are not by chance). For the records that still break a
rule afterwards:

1. The values are built column by column, each drawn from P(. | z) restricted to what the rules and
   the columns before it allow. Bounds are first passed along all inequalities, so this always
   succeeds for a chain a <= b <= c.
2. If this fails because rules of other kinds contradict the values set so far, the record copies
   these columns from another record that keeps the rules, one of the same latent if possible.

No record that breaks a rule is ever returned. If none that keeps the rules can be found, an error
names the rules. docs/SCHEMA.md gives measurements of the time this takes and of how it shifts
distributions.
"""

import numpy as np

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_common.errors import InputError
from fedsynth_release.sampling.coupling import Given
from fedsynth_release.sampling.rule_components import ColumnSampler, RuleComponent
from fedsynth_release.sampling.rule_values import build_values, settle_totals

ROUNDS = 30
FEW_ROUNDS, LEAST_MENDED = 4, 0.01
"""Where a round after the first few mends fewer than one record in 100, drawing again is given up."""
DRAWS = 1 << 15
"""Number of draws from which P(rules | latent) is estimated; each latent gets at least 16."""


def keep_rules(
    sampler: ColumnSampler,
    values: list[Int64Array],
    latent: Int64Array,
    rng: np.random.Generator,
    fixed: BoolArray | None = None,
) -> None:
    """Change `values` in place so that every row keeps every rule.

    Args:
        sampler: Draws columns given latents, under its conditions.
        values: For each modelled column the values of the rows.
        latent: The latent of each row.
        rng: The randomness of all redraws.
        fixed: Which cells (rows, columns) were given and must stay; None if none were.

    Raises:
        InputError: for some rules, no record that keeps them was found.
    """
    for component in sampler.components:
        settle_totals(sampler, component, values, np.arange(len(latent)), fixed)
        bad = np.flatnonzero(~component.holds(values))
        for number in range(ROUNDS):
            if not len(bad):
                break
            _redraw(sampler, component, values, latent, bad, rng, fixed)
            settle_totals(sampler, component, values, bad, fixed)
            left = bad[~component.holds(values, bad)]
            hopeless = number + 1 >= FEW_ROUNDS and len(left) > (1 - LEAST_MENDED) * len(bad)
            bad = left
            if hopeless:
                break
        if len(bad):
            build_values(sampler, component, values, latent, bad, rng, fixed)
            bad = bad[~component.holds(values, bad)]
        if len(bad):
            _copy_valid(component, values, latent, bad, rng, fixed)


def rule_probabilities(
    sampler: ColumnSampler, touched: set[int], rng: np.random.Generator
) -> Float64Array:
    """Estimate P(rules | latent, the sampler's conditions), (latents,).

    Only the rules of components that contain one of the columns `touched` are counted.
    """
    count = len(sampler.tables[0])
    latent = np.repeat(np.arange(count), max(16, DRAWS // count))
    probabilities = np.ones(count)
    for component in sampler.components:
        if touched & set(component.places):
            values = sampler.columns(component.places, latent, rng)
            probabilities *= component.holds(values).reshape(count, -1).mean(axis=1)
    return probabilities


def _redraw(
    sampler: ColumnSampler,
    component: RuleComponent,
    values: list[Int64Array],
    latent: Int64Array,
    rows: Int64Array,
    rng: np.random.Generator,
    fixed: BoolArray | None,
) -> None:
    beside = {
        place: Given(cells[rows], np.ones(len(rows), dtype=bool))
        for place, cells in enumerate(values)
        if place not in component.places and sampler.coupled(place)
    }
    drawn = sampler.columns(component.places, latent[rows], rng, beside)
    if fixed is not None:
        for joint in (j for j in sampler.joint if j.places[0] in component.places):
            has_given = fixed[rows][:, joint.places].any(axis=1)
            for place in joint.places:  # these were already drawn to go with the given cells
                drawn[place] = np.where(has_given, values[place][rows], drawn[place])
    for place in component.places:
        free = slice(None) if fixed is None else ~fixed[rows, place]
        values[place][rows[free]] = drawn[place][free]


def _copy_valid(
    component: RuleComponent,
    values: list[Int64Array],
    latent: Int64Array,
    bad: Int64Array,
    rng: np.random.Generator,
    fixed: BoolArray | None,
) -> None:
    """Copy the component's columns from rows that keep the rules, of the same latent if possible."""
    good = np.setdiff1d(np.arange(len(latent)), bad)
    if fixed is not None:
        bad_given = fixed[bad][:, component.places].any(axis=1)
        if bad_given.any():
            fault = f"{int(bad_given.sum())} given row(s) cannot be completed without breaking"
            raise InputError(f"{fault} {component.names}; look at the given cells of its columns")
        good = good[~fixed[good][:, component.places].any(axis=1)]
    if not len(good):
        fault = f"rules {component.names}: no record that keeps them was found"
        raise InputError(f"{fault}; check whether they contradict each other or the conditions")
    good = rng.permutation(good)
    good = good[np.argsort(latent[good], kind="stable")]
    first = np.searchsorted(latent[good], latent[bad], side="left")
    some = np.searchsorted(latent[good], latent[bad], side="right") - first
    near = first + rng.integers(0, np.maximum(some, 1))
    donor = good[np.where(some > 0, near, rng.integers(0, len(good), len(bad)))]
    for place in component.places:
        values[place][bad] = values[place][donor]
