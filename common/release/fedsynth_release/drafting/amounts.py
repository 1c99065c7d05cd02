"""Drafts an integer or numeric column for numbers that were read: bounds, decimals, grid, scale, atoms.

Bounds are rounded outwards, except where several records share the bound itself: days of a month end at
31. Fewer than five values that lie far from all others do not set a bound, because the column would
then be cut into cells that hardly any record fills, and the public bound would point at them.

Limits such as `<5` and `90+`, and values that many records share, become atoms of the column. So do all
values where a few make up nearly all cells, such as the interest rates that a bank offers. The decimals
are those that 95 % of the cells need, so one cell with more does not make ages into fractions.
"""

import math
from collections.abc import Collection
from decimal import Decimal

import numpy as np

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_common.schema.columns import MAX_ATOMS, IntegerColumn, NumericColumn, Scale
from fedsynth_common.schema.domain import grid_ticks
from fedsynth_common.schema.number_format import NumberFormat, limit_tick
from fedsynth_release.drafting.grids import grid, on_grid
from fedsynth_release.drafting.missing_codes import missing_codes
from fedsynth_release.drafting.notes import Note
from fedsynth_release.drafting.numbers import MAX_NUMBER, NEARLY_ALL, Numbers
from fedsynth_release.drafting.tally import Values

MAX_DECIMALS = 12
MAX_DISTINCT = 10**9  # more ticks than this are digits of a conversion, not of a measurement
ATOM_SHARE, ATOM_COUNT = 0.01, 20  # of a value that many records share: 0, or a round number
MOST_LIMITS = 32
NEARLY_ALL_LISTED = 0.99  # of the cells hold one of a few values
SHARED_BOUND = 5  # records; a bound that fewer share could point at one of them


def amount(
    values: Values, numbers: Numbers, marks: tuple[str, ...]
) -> tuple[IntegerColumn | NumericColumn, list[Note]]:
    """An integer or numeric column with bounds rounded outwards, and what to tell about it."""
    read = numbers.read
    decimals = _decimals(values, numbers)
    unit = 10**decimals
    ticks = np.rint(numbers.values[read] * unit).astype(np.int64)
    counts = values.counts[read]
    apart = missing_codes(ticks, counts, unit)
    inside = ~np.isin(ticks, apart)
    notes = [*numbers.notes, *_notes(values, numbers, decimals)]
    notes += [_code_note(values.name, code / unit, counts[ticks == code].sum()) for code in apart]
    ticks, counts = ticks[inside], counts[inside]
    first, last = _extremes(values, numbers, ticks, unit, apart)
    first, last = _without_far(ticks, counts, first, last)
    notes += _far_notes(values.name, ticks, counts, (first, last), unit)
    inside = (ticks >= first) & (ticks <= last)
    ticks, counts = ticks[inside], counts[inside]
    low_tick, high_tick = _bounds(ticks, counts, first, last)
    step, remainder = grid(ticks, counts) or (1, 0)
    low_tick, high_tick = on_grid(low_tick, high_tick, step, remainder)
    limits = _limits(values, numbers, decimals)
    form = _with_limits(numbers.form, [text for text, _ in limits])
    scale = _scale(ticks, counts, low_tick, high_tick)
    atoms = {*apart, *(tick for _, tick in limits)}
    edges = grid_ticks(low_tick, high_tick, scale, step)
    atoms |= set(_atoms(ticks, counts, edges, step)[: MAX_ATOMS - len(atoms)])
    if step > 1:
        off = round(float(counts[ticks % step != remainder].sum()))
        rounded = f"; {off} cells do not and are rounded" if off else ""
        text = f"values lie {step / unit:g} apart{rounded}"
        notes.append(Note(values.name, text))
    fields = {
        "name": values.name, "minimum": low_tick / unit, "maximum": high_tick / unit,
        "atoms": tuple(atom / unit for atom in sorted(atoms)), "scale": scale,
        "nullable": bool(values.missing or marks or numbers.odd.any()),
        "missing_marks": marks, "format": form, "step": step / unit if step > 1 else None,
    }  # fmt: skip
    if decimals:
        return NumericColumn.model_validate(fields | {"decimals": decimals}, strict=False), notes
    fields |= {"minimum": low_tick, "maximum": high_tick, "atoms": tuple(sorted(atoms))}
    fields |= {"step": step if step > 1 else None}
    return IntegerColumn.model_validate(fields, strict=False), notes


def _code_note(name: str, code: float, cells: float) -> Note:
    text = f"{code:g} stands far from all other values in {round(cells)} cells"
    advice = f'if it means that the value is missing, declare missing_marks ["{code:g}"]'
    return Note(name, f"{text} and is kept as a value of its own; {advice}", "warning")


def _extremes(
    values: Values, numbers: Numbers, ticks: Int64Array, unit: int, codes: Collection[int]
) -> tuple[int, int]:
    """The smallest and largest tick, of the whole table even where `ticks` are a sample's.

    An end that one of the `codes` stands at is that of the sample.
    """
    first, last = int(ticks.min()), int(ticks.max())
    if numbers.form is None and not np.isnan(values.extremes[0]):
        low, high = (number * unit for number in values.extremes)
        if max(abs(low), abs(high)) < MAX_NUMBER:
            low, high = math.floor(low), math.ceil(high)
            first = first if low in codes else min(first, low)
            last = last if high in codes else max(last, high)
    return first, last


def _without_far(ticks: Int64Array, counts: Float64Array, first: int, last: int) -> tuple[int, int]:
    """The same without a few values that lie far from all others, unless the column has long tails.

    Far is further from the fifth value than the fifth values of both ends are from each other. Long
    tails are those of a column that has a logarithmic scale even without these values.
    """
    order = np.argsort(ticks)
    cumulative = np.cumsum(counts[order])
    if cumulative[-1] < 4 * SHARED_BOUND:
        return first, last
    above = cumulative[-1] - cumulative + counts[order]
    low = int(ticks[order][np.searchsorted(cumulative, SHARED_BOUND)])
    high = int(ticks[order][np.flatnonzero(above >= SHARED_BOUND)[-1]])
    if high <= low or _scale(ticks, counts, low, high) == "log":
        return first, last
    width = high - low
    near = ticks[(ticks >= low - width) & (ticks <= high + width)]
    return (
        first if first >= low - width else int(near.min()),
        last if last <= high + width else int(near.max()),
    )


def _far_notes(
    name: str, ticks: Int64Array, counts: Float64Array, bounds: tuple[int, int], unit: int
) -> list[Note]:
    """A warning for each end at which a few values are left outside of the bounds."""
    notes = []
    low, high = bounds
    for beyond, side, bound in ((ticks < low, "below", low), (ticks > high, "above", high)):
        if beyond.any():
            few = round(float(counts[beyond].sum()))
            lie = "1 value lies" if few == 1 else f"{few} values lie"
            text = f"{lie} far {side} {bound / unit:g} and will be set to the bound"
            advice = f"if they are right, declare a {'minimum' if side == 'below' else 'maximum'}"
            notes.append(Note(name, f"{text}; {advice} that holds them", "warning"))
    return notes


def _bounds(ticks: Int64Array, counts: Float64Array, first: int, last: int) -> tuple[int, int]:
    """The bounds rounded outwards, unless several records share them."""
    low_tick, high_tick = _outward(first, last)
    if counts[ticks == first].sum() >= SHARED_BOUND:
        low_tick = first
    if counts[ticks == last].sum() >= SHARED_BOUND:
        high_tick = last
    return low_tick, high_tick


def _notes(values: Values, numbers: Numbers, decimals: int) -> list[Note]:
    """What to tell about cells that are rounded, and about stated limits."""
    notes = []
    finer = _finer(numbers.values[numbers.read], decimals)
    count = round(float(values.counts[numbers.read][finer].sum()))
    if count and count < 0.05 * values.present:
        cells = "1 cell has" if count == 1 else f"{count} cells have"
        text = f"{cells} more decimals than {decimals} and will be rounded"
        notes.append(Note(values.name, text))
    if numbers.limit.any():
        count = round(float(values.counts[numbers.limit].sum()))
        text = f"{count} cells state a limit such as '<5' and are kept as values of their own"
        notes.append(Note(values.name, text))
    return notes


def _finer(numbers: Float64Array, decimals: int) -> BoolArray:
    return np.abs(numbers - np.round(numbers, decimals)) > 1e-9 * np.maximum(1.0, np.abs(numbers))


def _limits(values: Values, numbers: Numbers, decimals: int) -> list[tuple[str, int]]:
    """The most frequent limits with their ticks."""
    point = "," if numbers.form and numbers.form.decimal == "," else "."
    found: list[tuple[str, int]] = []
    for place in np.argsort(-values.counts, kind="stable").tolist():
        if numbers.limit[place] and len(values.texts[place]) <= 20:
            tick = limit_tick(values.texts[place].replace(point, "."), decimals)
            if tick is not None and len(found) < MOST_LIMITS:
                found.append((values.texts[place], tick))
    return found


def _with_limits(form: NumberFormat | None, limits: list[str]) -> NumberFormat | None:
    if not limits:
        return form
    return (form or NumberFormat()).model_copy(update={"limits": tuple(sorted(limits))})


def _decimals(values: Values, numbers: Numbers) -> int:
    """The decimals that 95 % of the cells need, as far as a double can hold them."""
    read = np.flatnonzero(numbers.read)
    as_is = numbers.form is not None and not numbers.form.read_only  # $5.00 keeps both zeros
    written = np.array([_digits(numbers.texts[place], as_is) for place in read])
    order = np.argsort(written)
    cumulative = np.cumsum(values.counts[read][order]) / values.counts[read].sum()
    place = min(len(order) - 1, int(np.searchsorted(cumulative, NEARLY_ALL)))
    needed = int(written[order][place])
    size = max(float(np.abs(numbers.values[read]).max()), 1e-12)
    affordable = math.floor(math.log10(MAX_DISTINCT / size))
    return max(0, min(needed, MAX_DECIMALS, affordable))


def _digits(text: str, as_is: bool) -> int:
    """How many decimals a number needs; zeros at its end are none unless they are to be written."""
    number = Decimal(text) if as_is else Decimal(text).normalize()
    return max(0, -int(number.as_tuple().exponent))


def _outward(low: int, high: int) -> tuple[int, int]:
    """Bounds moved outwards to multiples of a round step, a twentieth to a tenth of the range.

    >>> _outward(17, 90)
    (15, 90)
    """
    rough = max(1.0, (high - low) / 20)
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return low // step * step, -(-high // step) * step


def _scale(ticks: Int64Array, counts: Float64Array, low: int, high: int) -> Scale:
    """Logarithmic where a linear grid would hold the middle half of the records in a few leaves."""
    order = np.argsort(ticks)
    cumulative = np.cumsum(counts[order]) / counts.sum()
    first, last = (ticks[order][np.searchsorted(cumulative, share)] for share in (0.25, 0.75))
    crowded = (last - first) < (high - low) / 16
    return "log" if high - low >= 256 and crowded else "linear"


def _atoms(ticks: Int64Array, counts: Float64Array, edges: Int64Array, step: int) -> list[int]:
    """The most frequent of the values with a share of their own that no leaf holds alone.

    Where at most `MAX_ATOMS` values, each of several records, make up nearly all cells, these are all
    of them.
    """
    distinct, index = np.unique(ticks, return_inverse=True)
    sums = np.bincount(index, weights=counts)
    leaf = np.searchsorted(edges, distinct, side="right") - 1
    shared = sums >= SHARED_BOUND
    listed = shared.sum() <= MAX_ATOMS and sums[shared].sum() >= NEARLY_ALL_LISTED * sums.sum()
    least = SHARED_BOUND if listed else max(ATOM_SHARE * sums.sum(), ATOM_COUNT)
    heavy = np.flatnonzero((sums >= least) & (np.diff(edges)[leaf] > step))
    kept = heavy[np.argsort(-sums[heavy], kind="stable")[:MAX_ATOMS]]
    return [int(tick) for tick in np.sort(distinct[kept])]
