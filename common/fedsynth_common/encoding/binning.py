"""Codes of a study chosen from noisy histograms of the fine cells. Post-processing: costs nothing.

What is modelled must be narrow (noise grows with the number of codes) and must not smear values
that matter. So, per column:

- atoms, missing and `other` always keep a code of their own;
- numbers with more leaves than `max_bins`: a heavy leaf (above its fair share and beyond 4 standard
  deviations of noise) is a bin by itself; the others, in order, form bins of near equal mass,
  each also large enough that its noise is at most a third of it (at least two bins);
- categorical columns beyond 32 codes: categories that drown in noise (below 4 sigma) become one
  code, drawn from in proportion to their clipped counts. Where the schema names groups of a public
  code list, each group's rare categories become one code, drawn from by their top-down mass, and
  groups that drown together become one. No column gets more than 256 codes, so that pairs stay
  small however long its list: the most frequent keep theirs.

Counts are first made non-negative from the top down: the whole range is halved again and again, and
each half is given its share of the mass above it, never less than nothing (the tree of Hay et al.
2010 with the non-negativity of Wang et al., NDSS 2020, arXiv 1905.08320). Sums over long stretches
are far less noisy than their leaves, so the mass of an empty tail goes to where the records are;
projecting all leaves at once would leave some in every one of hundreds of empty cells.

Inside a bin, the shape used for decoding is half that mass itself and half a smooth version of it: the
mass where it stands out from the noise, the local average where it does not, mixed with the uniform
in proportion to the noise of the bin. The first half keeps means of long tails, the second the
details. Without noise both are the counts themselves.

Guarantees: deterministic; a function of the arguments alone, which are public.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fedsynth_common.encoding.codebook import Codebook, Codes, Shape
from fedsynth_common.encoding.domain import FineDomain, domains
from fedsynth_common.errors import InputError
from fedsynth_common.schema.columns import CategoricalColumn, ModelledColumn
from fedsynth_common.schema.schema import Schema

SIGNIFICANT = 4.0  # standard deviations of noise beyond which a single cell is believed
BIN_NOISE = 1 / 3  # the most noise a bin may have, as a share of its mass
MAX_CATEGORY_CODES = 32
MOST_CODES = 256  # of one categorical column: a pair of them then has 65,536 cells
Groups = npt.NDArray[np.int64]


def build_codebook(
    schema: Schema,
    histograms: Sequence[Shape],
    sigmas: Sequence[float],
    max_bins: int = 24,
    runs: int | None = None,
) -> Codebook:
    """Choose views and shapes from noisy counts.

    Args:
        schema: The public schema.
        histograms: Per modelled column, noisy counts of its fine cells; may be negative.
        sigmas: Per modelled column, the standard deviation of that noise in one cell; 0 for none.
        max_bins: The most bins for the leaves of a number.
        runs: Number of equal runs of leaves whose totals were measured too, with the same noise,
            for numbers with more than twice as many leaves; sums over many leaves are then far
            less noisy than the leaves alone would say.

    Raises:
        InputError: wrong shapes, non-finite counts, a negative sigma, or fewer than two bins.
    """
    columns = domains(schema)
    if max_bins < 2:
        raise InputError("max_bins must be at least 2")
    if len(histograms) != len(columns) or len(sigmas) != len(columns):
        raise InputError(f"expected histograms and sigmas of {len(columns)} columns")
    parts = [
        _column(column, domain, _checked(domain, histogram, sigma), float(sigma), max_bins, runs)
        for column, domain, histogram, sigma in zip(
            schema.modelled, columns, histograms, sigmas, strict=True
        )
    ]
    return Codebook(tuple(view for view, _ in parts), tuple(shape for _, shape in parts))


def _checked(domain: FineDomain, histogram: Shape, sigma: float) -> Shape:
    counts = np.asarray(histogram, dtype=np.float64)
    if counts.shape != (domain.width,) or not np.isfinite(counts).all():
        raise InputError(f"column {domain.name!r}: expected {domain.width} finite counts")
    if not (np.isfinite(sigma) and sigma >= 0):
        raise InputError(f"column {domain.name!r}: the noise must be finite and not negative")
    return counts


def _column(
    column: ModelledColumn,
    domain: FineDomain,
    counts: Shape,
    sigma: float,
    max_bins: int,
    runs: int | None,
) -> tuple[Codes, Shape]:
    """View and shape of one column."""
    groups = np.arange(domain.width, dtype=np.int64)
    shape = np.ones(domain.width)
    if domain.ordered and domain.leaves > max_bins:
        cells = np.arange(domain.atoms, domain.atoms + domain.leaves)
        steady = runs is not None and domain.leaves > 2 * runs
        run = domain.leaves / runs if runs and steady else 1.0
        bins = _bins(counts[cells], sigma, max_bins, run)
        groups[cells] = domain.width + bins
        shape[cells] = _leaf_shape(top_down(counts[cells]), bins, sigma)
    elif not domain.ordered and domain.width > MAX_CATEGORY_CODES:
        rare = _rare(domain, counts, sigma)
        parents = column.parents if isinstance(column, CategoricalColumn) else ()
        if parents:
            groups, shape = _rolled_up(parents, rare, counts, sigma)
        elif rare.size > 1:
            groups[rare] = domain.width
            shape[rare] = _normalised(np.maximum(counts[rare], 0.0))
    return _renumbered(groups), shape


def _rolled_up(
    parents: Sequence[str], rare: Groups, counts: Shape, sigma: float
) -> tuple[Groups, Shape]:
    """Rare categories by their group; groups that drown in noise with them, as one."""
    width = len(counts)
    groups, shape = np.arange(width, dtype=np.int64), np.ones(width)
    number = {name: index for index, name in enumerate(dict.fromkeys(parents))}
    group = np.array([number[name] for name in parents], dtype=np.int64)
    held = rare[rare < len(parents)]
    sums = np.bincount(group[held], weights=counts[held], minlength=len(number))
    sizes = np.bincount(group[held], minlength=len(number))
    weak = sums < SIGNIFICANT * sigma * np.sqrt(sizes)
    keep = np.argsort(-sums, kind="stable")[: MOST_CODES // 2]
    weak[np.setdiff1d(np.arange(len(number)), keep)] = True
    groups[held] = width + np.where(weak[group[held]], len(number), group[held])
    for code in np.unique(groups[held]):
        inside = np.flatnonzero(groups == code)
        shape[inside] = _normalised(top_down(counts[inside]))
    return groups, shape


def top_down(counts: Shape) -> Shape:
    """Non-negative counts with the same sum (all zero if that is not positive).

    At each node the two halves' noisy sums are moved to the nearest pair that is not negative and adds
    up to the node's mass.

    >>> top_down(np.array([10.0, -2.0, 4.0, 0.0])).tolist()
    [8.0, 0.0, 4.0, 0.0]
    """
    sums = np.concatenate([[0.0], np.cumsum(counts)])
    mass = np.zeros(len(counts))
    nodes = [(0, len(counts), max(float(sums[-1]), 0.0))]
    while nodes:
        start, end, total = nodes.pop()
        if end - start == 1:
            mass[start] = total
            continue
        middle = (start + end) // 2
        left, right = sums[middle] - sums[start], sums[end] - sums[middle]
        part = min(max((left - right + total) / 2, 0.0), total)
        nodes += [(start, middle, part), (middle, end, total - part)]
    return mass


def _bins(counts: Shape, sigma: float, max_bins: int, run: float) -> Groups:
    """Bin of every leaf, numbered from 0 without gaps."""
    mass = top_down(counts)
    heavy = (mass > mass.sum() / max_bins) & (counts > SIGNIFICANT * sigma)
    bins = np.empty(len(counts), dtype=np.int64)
    # fewer than max_bins leaves can hold more than a max_bins-th: some leaf and a bin are left
    rest, lone = np.flatnonzero(~heavy), np.flatnonzero(heavy)
    parts = _equal_mass(mass[rest], counts[rest], sigma, max_bins - len(lone), run)
    if not len(lone) and parts.max() == 0:
        parts = _halves(mass[rest])
    bins[rest] = parts
    bins[lone] = parts.max() + 1 + np.arange(len(lone))
    return bins


def _equal_mass(mass: Shape, counts: Shape, sigma: float, most: int, run: float) -> Groups:
    """Contiguous groups of near equal mass, none dominated by noise, at most `most`.

    Noise is judged on the raw counts too: over many near-empty leaves `mass` is biased upwards.
    """
    parts = np.zeros(len(mass), dtype=np.int64)
    part, size, inside, seen, left = 0, 0, 0.0, 0.0, float(mass.sum())
    for cell, here in enumerate(mass):
        fair = (left + inside) / max(1, most - part)
        enough = min(inside, seen) >= _sum_noise(size, sigma, run) / BIN_NOISE
        # close the group where its mass comes nearest to its fair share
        if size and part < most - 1 and enough and inside + here / 2 > fair:
            part, size, inside, seen = part + 1, 0, 0.0, 0.0
        parts[cell] = part
        size, inside, seen, left = size + 1, inside + here, seen + counts[cell], left - here
    if part and min(inside, seen) < _sum_noise(size, sigma, run) / BIN_NOISE:
        parts[parts == part] = part - 1  # the tail drowns in noise: join it to its neighbour
    return parts


def _sum_noise(size: int, sigma: float, run: float) -> float:
    """Standard deviation of the sum of `size` neighbouring leaves.

    Leaves alone give variance `size`. With totals of runs of `run` leaves measured too, a sum is made
    of whole runs, each of variance below one, and of half a run of single leaves at its two ends.
    """
    return float(sigma * np.sqrt(min(size, size / run + run / 2)))


def _halves(mass: Shape) -> Groups:
    """Two groups of equal mass; of equal width where there is no mass."""
    weight = mass if mass.sum() > 0 else np.ones_like(mass)
    cut = int(np.searchsorted(np.cumsum(weight), weight.sum() / 2)) + 1
    return (np.arange(len(mass)) >= min(cut, len(mass) - 1)).astype(np.int64)


def _leaf_shape(mass: Shape, bins: Groups, sigma: float) -> Shape:
    shape = np.ones(len(mass))
    for part in range(int(bins.max()) + 1):
        inside = np.flatnonzero(bins == part)
        own = _normalised(mass[inside])
        shape[inside] = (own + _smooth(mass[inside], sigma)) / 2
    return shape


def _smooth(mass: Shape, sigma: float) -> Shape:
    """Smooth distribution inside one bin from noisy, non-negative leaf counts."""
    size, total = len(mass), float(mass.sum())
    uniform = np.full(size, 1 / size)
    if size == 1 or total <= 0:
        return uniform
    if sigma == 0:
        return mass / total
    # a window of b leaves has mass b * total / size and noise sigma * sqrt(b)
    window = (sigma * size / (BIN_NOISE * total)) ** 2
    average = _moving_average(mass, int(min(window, size)) // 2)
    noise = (3 * sigma) ** 2
    belief = (mass - average) ** 2 / ((mass - average) ** 2 + noise)
    estimate = _normalised(belief * mass + (1 - belief) * average)
    doubt = sigma * np.sqrt(size)
    return np.asarray((total * estimate + doubt * uniform) / (total + doubt))


def _moving_average(values: Shape, reach: int) -> Shape:
    """Mean over `reach` neighbours on each side, fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    start, stop = np.maximum(place - reach, 0), np.minimum(place + reach + 1, len(values))
    return np.asarray(np.maximum(sums[stop] - sums[start], 0.0) / (stop - start))


def _rare(domain: FineDomain, counts: Shape, sigma: float) -> Groups:
    """Categories whose counts cannot be told from noise, or are not among the most frequent.

    Never `other`, never missing.
    """
    special = [cell for cell in (domain.other, domain.missing) if cell is not None]
    rare = counts < SIGNIFICANT * sigma
    rare[special] = False
    if domain.width - rare.sum() > MOST_CODES // 2:
        order = np.argsort(-counts, kind="stable")
        order = order[~np.isin(order, special)]
        rare[order[MOST_CODES // 2 - len(special) - 1 :]] = True
    return np.flatnonzero(rare)


def _normalised(weights: Shape) -> Shape:
    total = weights.sum()
    return np.asarray(weights / total) if total > 0 else np.full(len(weights), 1 / len(weights))


def _renumbered(groups: Groups) -> Codes:
    """Groups numbered 0, 1, ... by their first cell."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.uint16)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[inverse], dtype=np.uint16)
