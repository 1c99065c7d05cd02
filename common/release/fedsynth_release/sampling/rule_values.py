"""Builds values that keep the rules, column by column, for rows where redrawing found none.

The columns are set one after the other. For each row, the rules and the columns that are already
set leave a set of allowed values and an interval for the next column. A fine cell is drawn with
weights P(cell | z) times the share of the cell's values that is allowed, and then an allowed value
inside the cell. If z gives all allowed cells the probability 0, the generator's average over all
latents is used. The bounds of an interval are first passed along the inequalities between columns
that are not yet set, so that a value is left for the last column of a chain.
"""

import numpy as np

from fedsynth_common.array_types import BoolArray, Int64Array
from fedsynth_common.schema import FineDomain, domain_of
from fedsynth_common.schema.compiled_rules import (
    CompiledImplication,
    CompiledInequality,
    CompiledSum,
)
from fedsynth_common.schema.domain import MISSING
from fedsynth_common.schema.tick_set import TickSet
from fedsynth_release.decoding.cell_ticks import leaf_values
from fedsynth_release.sampling.rule_components import ColumnSampler, RuleComponent

BATCH = 4096
FAR = 2**60


def build_values(
    sampler: ColumnSampler,
    component: RuleComponent,
    values: list[Int64Array],
    latent: Int64Array,
    rows: Int64Array,
    rng: np.random.Generator,
    fixed: BoolArray | None,
) -> None:
    """Set the component's columns in some rows, in place; the cells marked in `fixed` stay."""
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        here = {place: values[place][part] for place in component.places}
        drawn_together = {place for joint in sampler.joint for place in joint.places}
        known = {
            place: np.ones(len(part), dtype=bool)
            if place in drawn_together
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


def settle_totals(
    sampler: ColumnSampler,
    component: RuleComponent,
    values: list[Int64Array],
    rows: Int64Array,
    fixed: BoolArray | None,
) -> None:
    """Set totals that were not given to the sums of their parts, if they can have these values."""
    for form in component.forms:
        if not isinstance(form, CompiledSum):
            continue
        place = form.places[0]
        domain = domain_of(sampler.schema.modelled[place])
        wanted, said = form.total({p: values[p][rows] for p in form.places})
        every = sampler.within[place] if place in sampler.within else leaf_values(domain)
        atom = np.isin(wanted, domain.atom_ticks) & (place not in sampler.within)
        free = said & (every.contains(wanted) | atom)
        if fixed is not None:
            free &= ~fixed[rows, place]
        values[place][rows[free]] = wanted[free]


def _order(component: RuleComponent) -> list[int]:
    """The columns in the order in which they are set.

    A condition comes before what it is a condition of, as far as such an order exists.
    """
    depth = dict.fromkeys(component.places, 0)
    for _ in component.places:
        for form in component.forms:
            if isinstance(form, CompiledSum) or form.when is None:
                continue
            after = (form.then.place,) if isinstance(form, CompiledImplication) else form.places[:2]
            for place in after:
                depth[place] = min(max(depth[place], depth[form.when.place] + 1), len(depth))
    return sorted(component.places, key=lambda place: (depth[place], place))


def _set(
    sampler: ColumnSampler,
    component: RuleComponent,
    place: int,
    here: dict[int, Int64Array],
    known: dict[int, BoolArray],
    latent: Int64Array,
    rng: np.random.Generator,
) -> None:
    """Draw one column in all rows where it is not known yet, and mark it as known."""
    domain = domain_of(sampler.schema.modelled[place])
    low, high = _interval(sampler, component, place, here, known)
    pattern, sets = _patterns(component, place, here, known, domain)
    for number, (allowed, missing) in sets.items():
        rows = np.flatnonzero((pattern == number) & ~known[place])
        if len(rows):
            drawn, possible = _draw(
                sampler, place, allowed, missing, (low[rows], high[rows]), latent[rows], rng
            )
            here[place][rows[possible]] = drawn[possible]
    known[place][:] = True


def _interval(
    sampler: ColumnSampler,
    component: RuleComponent,
    place: int,
    here: dict[int, Int64Array],
    known: dict[int, BoolArray],
) -> tuple[Int64Array, Int64Array]:
    """The lowest and the highest value that all inequalities allow one column, for each row."""
    orders = [form for form in component.forms if isinstance(form, CompiledInequality)]
    sums = [form for form in component.forms if isinstance(form, CompiledSum)]
    bounded = {p for form in orders for p in (form.low, form.high)}
    low, high = {}, {}
    for other in {place, *bounded, *(p for form in sums for p in form.places)}:
        first, stop = domain_of(sampler.schema.modelled[other]).reach
        absent = known[other] & (here[other] == MISSING)
        low[other] = np.where(known[other], here[other], first)
        high[other] = np.where(known[other], here[other], stop - 1)
        low[other][absent], high[other][absent] = -FAR, FAR
    binding = [_binds(form, here, known) for form in orders]
    for _ in (*orders, *sums):  # so many passes carry a bound along the longest possible chain
        for total in sums:
            _pass_along(total, low, high, known)
        for form, binds in zip(orders, binding, strict=True):
            a, b = form.low, form.high
            if form.units[1] > 0:
                above = -(-(_times(low[a], form.units[0]) + form.gap) // form.units[1])
                low[b] = np.where(known[b] | ~binds, low[b], np.maximum(low[b], above))
            if form.units[0] > 0:
                below = (_times(high[b], form.units[1]) - form.gap) // form.units[0]
                high[a] = np.where(known[a] | ~binds, high[a], np.minimum(high[a], below))
    return low[place], high[place]


def _pass_along(
    form: CompiledSum,
    low: dict[int, Int64Array],
    high: dict[int, Int64Array],
    known: dict[int, BoolArray],
) -> None:
    """Narrow the bounds of each column of a sum by those of the others, where none is missing."""
    signs = [-1] + [1] * (len(form.places) - 1)
    weights = [sign * unit for sign, unit in zip(signs, form.units, strict=True)]
    present = np.logical_and.reduce([low[p] > -FAR for p in form.places])
    for place, weight in zip(form.places, weights, strict=True):
        others = [(p, w) for p, w in zip(form.places, weights, strict=True) if p != place]
        least = sum(np.where(present, low[p] if w > 0 else high[p], 0) * w for p, w in others)
        most = sum(np.where(present, high[p] if w > 0 else low[p], 0) * w for p, w in others)
        # weight * value = -(sum of the others), which lies from -most to -least
        ends = (-most, -least) if weight > 0 else (least, most)
        free = present & ~known[place]
        low[place] = np.where(free, np.maximum(low[place], -(-ends[0] // abs(weight))), low[place])
        high[place] = np.where(free, np.minimum(high[place], ends[1] // abs(weight)), high[place])


def _binds(
    form: CompiledInequality, here: dict[int, Int64Array], known: dict[int, BoolArray]
) -> BoolArray:
    """The rows in which an inequality must hold, as far as its condition is known."""
    if form.when is None:
        return np.ones(len(known[form.low]), dtype=bool)
    place = form.when.place
    return np.asarray(known[place] & form.when.holds(here[place]))


def _times(bound: Int64Array, unit: int) -> Int64Array:
    """A bound multiplied by `unit`; a bound that stands for infinity (`FAR`) stays as it is."""
    far = np.abs(bound) >= FAR
    return np.where(far, bound, np.where(far, 0, bound) * unit)


def _patterns(
    component: RuleComponent,
    place: int,
    here: dict[int, Int64Array],
    known: dict[int, BoolArray],
    domain: FineDomain,
) -> tuple[Int64Array, dict[int, tuple[TickSet, bool]]]:
    """Which implications bind each row, and which values these implications allow together.

    Returns:
        For each row a number with one bit per implication that binds it; and, for each number that
        occurs, the allowed values and whether the cell may be missing.
    """
    first, stop = domain.reach
    every = (TickSet([first], [stop]), domain.missing is not None)
    binding: list[tuple[BoolArray, tuple[TickSet, bool]]] = []
    for form in component.forms:
        if isinstance(form, CompiledInequality):
            if form.when is not None and form.when.place == place:
                active = known[form.low] & known[form.high] & ~form.in_order(here)
                binding.append((active, form.when.allowed(first, stop, inverse=True)))
            continue
        if isinstance(form, CompiledSum):
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
        allowed, missing = every
        for bit, (_, (also, absent)) in enumerate(binding):
            if number >> bit & 1:
                allowed, missing = allowed & also, missing and absent
        sets[number] = (allowed, missing)
    return pattern, sets


def _draw(
    sampler: ColumnSampler,
    place: int,
    allowed: TickSet,
    missing: bool,
    bounds: tuple[Int64Array, Int64Array],
    latent: Int64Array,
    rng: np.random.Generator,
) -> tuple[Int64Array, BoolArray]:
    """Draw for each row a value in `allowed` and within its bounds; it may be missing if `missing`.

    Returns:
        The values, and which rows have one. The sampler's conditions may leave a row without any.
    """
    domain = domain_of(sampler.schema.modelled[place])
    every = sampler.within[place] if place in sampler.within else _inner(domain)
    inner = allowed & every
    low, stop = bounds[0][:, None], bounds[1][:, None] + 1
    first, last = _cells(domain)
    start, end = np.maximum(first, low), np.minimum(last, stop)
    left = np.where(start < end, inner.rank(end) - inner.rank(start), 0)
    share = left / np.maximum(every.rank(last) - every.rank(first), 1)
    points = domain.atom_ticks
    atoms = allowed.contains(points) & (low <= points) & (points < stop)
    parts = [atoms.astype(float), share]
    if domain.missing is not None:
        parts.append(np.full((len(latent), 1), float(missing)))
    weights = np.concatenate(parts, axis=1)
    cumulative = np.cumsum(weights * sampler.cells(place, latent), axis=1)
    none = cumulative[:, -1] <= 0
    if none.any():
        cumulative[none] = np.cumsum(weights[none] * sampler.average_cells(place), axis=1)
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
    """The values that all cells except atoms decode to."""
    return leaf_values(domain) if domain.ordered else TickSet([0], [len(domain.labels)])


def _cells(domain: FineDomain) -> tuple[Int64Array, Int64Array]:
    """For every cell except atoms, its first value and the value after its last."""
    if domain.ordered:
        return domain.ticks[:-1], domain.ticks[1:]
    codes = np.arange(len(domain.labels))
    return codes, codes + 1
