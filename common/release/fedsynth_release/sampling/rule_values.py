"""Builds values that keep rules, column by column, where drawing anew did not find any.

For each column in turn: the rules and the columns set so far leave a set of values and an interval,
the same for no two rows. Its cells are weighed by P(cell | z) times the share of the cell's values
that is left, one is drawn, and a value that is left inside it. Where z gives nothing of what is left
any probability, the generator's average over all latents does. Bounds pass along the inequalities of
columns not yet set, so that the last column of a chain still has room.
"""

import numpy as np
from numpy.typing import NDArray

from fedsynth_common.schema import FineDomain, domain_of
from fedsynth_common.schema.compiled_rules import CompiledImplication, CompiledInequality
from fedsynth_common.schema.domain import MISSING, Values
from fedsynth_common.schema.tick_set import TickSet, leaf_values
from fedsynth_release.sampling.rule_components import ColumnSampler, Component

BATCH = 4096
FAR = 2**60
Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]


def build_values(
    sampler: ColumnSampler,
    component: Component,
    values: list[Values],
    latent: Rows,
    rows: Rows,
    rng: np.random.Generator,
    fixed: Flags | None,
) -> None:
    """Set the component's columns of some rows, in place; cells that are given stay."""
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        here = {place: values[place][part] for place in component.places}
        blocked = {place for block in sampler.blocks for place in block.places}
        known = {
            place: np.ones(len(part), dtype=bool)
            if place in blocked
            else np.zeros(len(part), dtype=bool)
            if fixed is None
            else fixed[part, place].copy()
            for place in component.places
        }
        for place in _order(component):
            if not known[place].all():
                _set(sampler, component, place, here, known, latent[part], rng)
        for place in component.places:
            values[place][part] = here[place]


def _order(component: Component) -> list[int]:
    """Columns that decide before columns that are decided, as far as there is such an order."""
    depth = dict.fromkeys(component.places, 0)
    for _ in component.places:
        for form in component.forms:
            if isinstance(form, CompiledImplication):
                depth[form.then.place] = min(
                    max(depth[form.then.place], depth[form.when.place] + 1), len(depth)
                )
    return sorted(component.places, key=lambda place: (depth[place], place))


def _set(
    sampler: ColumnSampler,
    component: Component,
    place: int,
    here: dict[int, Values],
    known: dict[int, Flags],
    latent: Rows,
    rng: np.random.Generator,
) -> None:
    """Draw one column where it is not known; afterwards it is."""
    domain = domain_of(sampler.schema.modelled[place])
    low, high = _interval(sampler, component, place, here, known)
    pattern, sets = _patterns(component, place, here, known, domain)
    for number, (held, missing) in sets.items():
        rows = np.flatnonzero((pattern == number) & ~known[place])
        if len(rows):
            drawn, found = _draw(
                sampler, place, held, missing, (low[rows], high[rows]), latent[rows], rng
            )
            here[place][rows[found]] = drawn[found]
    known[place][:] = True


def _interval(
    sampler: ColumnSampler,
    component: Component,
    place: int,
    here: dict[int, Values],
    known: dict[int, Flags],
) -> tuple[Values, Values]:
    """Lowest and highest value that all inequalities leave a column, row by row."""
    orders = [form for form in component.forms if isinstance(form, CompiledInequality)]
    low, high = {}, {}
    for other in {place, *(p for form in orders for p in form.places)}:
        first, stop = _range(domain_of(sampler.schema.modelled[other]))
        absent = known[other] & (here[other] == MISSING)
        low[other] = np.where(known[other], here[other], first)
        high[other] = np.where(known[other], here[other], stop - 1)
        low[other][absent], high[other][absent] = -FAR, FAR
    for _ in orders:  # after so many passes bounds have gone along the longest chain
        for form in orders:
            a, b = form.places
            above = -(-(_times(low[a], form.units[0]) + form.gap) // form.units[1])
            below = (_times(high[b], form.units[1]) - form.gap) // form.units[0]
            low[b] = np.where(known[b], low[b], np.maximum(low[b], above))
            high[a] = np.where(known[a], high[a], np.minimum(high[a], below))
    return low[place], high[place]


def _times(bound: Values, unit: int) -> Values:
    """A bound in a finer unit; one that is far away stays where it is."""
    far = np.abs(bound) >= FAR
    return np.where(far, bound, np.where(far, 0, bound) * unit)


def _range(domain: FineDomain) -> tuple[int, int]:
    if domain.ordered:
        return int(domain.ticks[0]), int(domain.ticks[-1])
    return 0, len(domain.labels)


def _patterns(
    component: Component,
    place: int,
    here: dict[int, Values],
    known: dict[int, Flags],
    domain: FineDomain,
) -> tuple[Rows, dict[int, tuple[TickSet, bool]]]:
    """Which implications bind each row, as a number, and what they leave together, per number."""
    first, stop = _range(domain)
    every = (TickSet([first], [stop]), domain.missing is not None)
    binding: list[tuple[Flags, tuple[TickSet, bool]]] = []
    for form in component.forms:
        if not isinstance(form, CompiledImplication):
            continue
        when, then = form.when.place, form.then.place
        if then == place:
            active = known[when] & form.when.holds(here[when])
            binding.append((active, form.then.allowed(first, stop)))
        elif when == place:
            active = known[then] & ~form.then.holds(here[then])
            binding.append((active, form.when.allowed(first, stop, inverse=True)))
    pattern = np.zeros(len(here[place]), dtype=np.int64)
    for bit, (active, _) in enumerate(binding):
        pattern |= active.astype(np.int64) << bit
    sets = {}
    for number in np.unique(pattern).tolist():
        held, missing = every
        for bit, (_, (also, absent)) in enumerate(binding):
            if number >> bit & 1:
                held, missing = held & also, missing and absent
        sets[number] = (held, missing)
    return pattern, sets


def _draw(
    sampler: ColumnSampler,
    place: int,
    held: TickSet,
    missing: bool,
    bounds: tuple[Values, Values],
    latent: Rows,
    rng: np.random.Generator,
) -> tuple[Values, Flags]:
    """A value per row in `held` and within its bounds, or missing if allowed; and which rows have one.

    The sampler's conditions may leave a row without any.
    """
    domain = domain_of(sampler.schema.modelled[place])
    every = sampler.within[place] if place in sampler.within else _inner(domain)
    inner = held & every
    low, stop = bounds[0][:, None], bounds[1][:, None] + 1
    first, last = _cells(domain)
    start, end = np.maximum(first, low), np.minimum(last, stop)
    left = np.where(start < end, inner.rank(end) - inner.rank(start), 0)
    share = left / np.maximum(every.rank(last) - every.rank(first), 1)
    points = domain.atom_ticks
    atoms = held.contains(points) & (low <= points) & (points < stop)
    parts = [atoms.astype(float), share]
    if domain.missing is not None:
        parts.append(np.full((len(latent), 1), float(missing)))
    weights = np.concatenate(parts, axis=1)
    cumulative = np.cumsum(weights * sampler.cells(place, latent), axis=1)
    none = cumulative[:, -1] <= 0
    if none.any():
        cumulative[none] = np.cumsum(weights[none] * sampler.usual(place), axis=1)
    total = cumulative[:, -1]
    point = np.minimum(rng.random(len(latent)) * total, np.nextafter(total, 0))
    cell = np.minimum((point[:, None] >= cumulative).sum(axis=1), domain.width - 1)
    leaf = np.clip(cell - domain.atoms, 0, len(first) - 1)
    row = np.arange(len(latent))
    drawn = inner.draw(start[row, leaf], np.maximum(end, start)[row, leaf], rng)
    if domain.atoms:
        atom = np.minimum(cell, domain.atoms - 1)
        drawn = np.where(cell < domain.atoms, points[atom], drawn)
    if domain.missing is not None:
        drawn = np.where(cell == domain.missing, MISSING, drawn)
    return drawn, total > 0


def _inner(domain: FineDomain) -> TickSet:
    """What the cells that are no atoms decode to."""
    return leaf_values(domain) if domain.ordered else TickSet([0], [len(domain.labels)])


def _cells(domain: FineDomain) -> tuple[Values, Values]:
    """First value of every cell that is no atom, and the one after its last."""
    if domain.ordered:
        return domain.ticks[:-1], domain.ticks[1:]
    codes = np.arange(len(domain.labels))
    return codes, codes + 1
