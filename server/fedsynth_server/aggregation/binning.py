"""Codes of a study chosen from noisy histograms of the fine cells. Post-processing: costs nothing.

A column should have few codes, because noise grows with their number, and values that matter must keep
a code of their own. The rules for each kind of column are:

- missing and `other` always keep a code of their own;
- numbers with more cells (atoms and leaves, in their order) than `max_bins`: the eight most frequent
  atoms that stand out from the noise keep a code of their own; a heavy cell (above its fair share and
  beyond 4 standard deviations of noise) is a bin by itself; the others, in order, form bins of near
  equal mass, each also large enough that its noise is at most a third of it (at least two bins; a
  study of histories allows more noise while there are few). In a wide table the pairs, which are
  measured later, will be noisier than the histograms; bins are then judged by the noise of the pairs;
- categorical columns beyond 32 codes: categories that cannot be told from noise (below 4 sigma)
  share one code; when a value is drawn from it, they are drawn in proportion to their mass. Where the
  schema names groups of a public code list, each group's rare categories become one code, and groups
  that cannot be told from noise share one code. No column gets more than 256 codes, so that pairs stay
  small however long its list: the most frequent keep theirs.

Where the mass of the cells lies, for choosing bins and for drawing inside them, is the posterior mean of
`histogram_tree.tree_mass`, and beyond the last well-measured quantiles of a number that of a law
(`tails`); without noise it is the counts themselves.

The result is deterministic and depends on the arguments alone, which are public.
"""

from collections.abc import Sequence

import numpy as np

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array, UInt16Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import domains
from fedsynth_common.schema.columns import CategoricalColumn, ModelledColumn
from fedsynth_common.schema.domain import FineDomain
from fedsynth_common.schema.schema import Schema
from fedsynth_release.decoding.codebook import Codebook
from fedsynth_release.histogram_noise import sum_noise
from fedsynth_server.aggregation.histogram_tree import tree_mass
from fedsynth_server.aggregation.tails import with_tails

ATOMS_APART = 8  # of a number that get a code of their own whatever their share
SIGNIFICANT = 4.0  # a single cell counts as more than noise beyond so many standard deviations
BIN_NOISE = 1 / 3  # largest noise of a bin, as a share of its mass
FEW_BINS = 8  # of a number whose bins may be noisier where `bin_noise` says so
PAIR_NOISE = 1.3  # weight of the noise of a pair's cell in that rule; a histogram's has weight 1
MAX_CATEGORY_CODES = 32
MOST_CODES = 256  # of one categorical column: a pair of them then has 65,536 cells


def build_codebook(
    schema: Schema,
    histograms: Sequence[Float64Array],
    sigmas: Sequence[float],
    max_bins: int = 24,
    runs: int | None = None,
    pairs: float = 0.0,
    bin_noise: float = BIN_NOISE,
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
        pairs: Standard deviation of the noise in one cell of the pairs that will be measured.
        bin_noise: Largest noise of a bin, as a share of its mass, of a number that would otherwise have
            fewer than `FEW_BINS` bins.

    Raises:
        InputError: wrong shapes, non-finite counts, a negative sigma, or fewer than two bins.
    """
    columns = domains(schema)
    if max_bins < 2:
        raise InputError("max_bins must be at least 2")
    if len(histograms) != len(columns) or len(sigmas) != len(columns):
        raise InputError(f"expected histograms and sigmas of {len(columns)} columns")
    parts = [
        _column(
            column,
            domain,
            _checked(domain, histogram, sigma),
            float(sigma),
            max_bins,
            runs,
            PAIR_NOISE * pairs,
            bin_noise,
        )
        for column, domain, histogram, sigma in zip(
            schema.modelled, columns, histograms, sigmas, strict=True
        )
    ]
    return Codebook(tuple(view for view, _ in parts), tuple(shape for _, shape in parts))


def codebook_of_views(
    columns: Sequence[FineDomain],
    views: Sequence[UInt16Array],
    histograms: Sequence[Float64Array],
    sigmas: Sequence[float],
    runs: int | None = None,
) -> Codebook:
    """The codebook of given views: where the mass lies inside each code. Arguments as above."""
    shapes = []
    for domain, view, histogram, sigma in zip(columns, views, histograms, sigmas, strict=True):
        shape = np.ones(domain.width)
        if int(view.max()) + 1 < domain.width:
            counts = _checked(domain, histogram, sigma)
            if domain.ordered:
                run = domain.leaves / runs if runs and domain.leaves > 2 * runs else 1.0
                shape = _shape(_mass(domain, counts, sigma, run), view.astype(np.int64))
            else:
                shape = _shape(tree_mass(counts, sigma), view.astype(np.int64))
        shapes.append(shape)
    return Codebook(tuple(views), tuple(shapes))


def _checked(domain: FineDomain, histogram: Float64Array, sigma: float) -> Float64Array:
    counts = np.asarray(histogram, dtype=np.float64)
    if counts.shape != (domain.width,) or not np.isfinite(counts).all():
        raise InputError(f"column {domain.name!r}: expected {domain.width} finite counts")
    if not (np.isfinite(sigma) and sigma >= 0):
        raise InputError(f"column {domain.name!r}: the noise must be finite and not negative")
    return counts


def _column(
    column: ModelledColumn,
    domain: FineDomain,
    counts: Float64Array,
    sigma: float,
    max_bins: int,
    runs: int | None,
    pairs: float,
    bin_noise: float,
) -> tuple[UInt16Array, Float64Array]:
    """View and shape of one column."""
    groups = np.arange(domain.width, dtype=np.int64)
    shape = np.ones(domain.width)
    if domain.ordered and domain.atoms + domain.leaves > max_bins:
        run = domain.leaves / runs if runs and domain.leaves > 2 * runs else 1.0
        cells = domain.in_order
        mass = _mass(domain, counts, sigma, run)[cells]
        apart = _own_code(domain, counts, sigma)[cells]
        judged = max(sigma, pairs) / BIN_NOISE, max(sigma, pairs) / bin_noise
        bins = _bins(mass, counts[cells], apart, sigma, judged, max_bins, run)
        groups[cells] = domain.width + bins
        shape[cells] = _shape(mass, bins)
    elif not domain.ordered and domain.width > MAX_CATEGORY_CODES:
        rare = _rare(domain, counts, sigma)
        parents = column.parents if isinstance(column, CategoricalColumn) else ()
        if parents:
            groups, shape = _rolled_up(parents, rare, counts, sigma)
        elif rare.size > 1:
            groups[rare] = domain.width
            shape[rare] = _normalised(tree_mass(counts[rare], sigma))
    return _renumbered(groups), shape


def _mass(domain: FineDomain, counts: Float64Array, sigma: float, run: float) -> Float64Array:
    """Mass of each cell of a number, (width,); the tails of its leaves by a law (`tails`)."""
    cells, leaves = domain.in_order, slice(domain.atoms, domain.atoms + domain.leaves)
    mass = np.zeros(domain.width)
    mass[cells] = tree_mass(counts[cells], sigma, run)
    if sigma > 0:
        edges = domain.ticks.astype(np.float64)
        mass[leaves] = with_tails(mass[leaves], counts[leaves], edges, sigma, run)
    return mass


def _rolled_up(
    parents: Sequence[str], rare: Int64Array, counts: Float64Array, sigma: float
) -> tuple[Int64Array, Float64Array]:
    """Rare categories by their group; rare groups that cannot be told from noise, as one."""
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
        shape[inside] = _normalised(tree_mass(counts[inside], sigma))
    return groups, shape


def _own_code(domain: FineDomain, counts: Float64Array, sigma: float) -> BoolArray:
    """The atoms that stand out from the noise, at most `ATOMS_APART` of them: (width,)."""
    apart = np.zeros(domain.width, dtype=bool)
    atoms = np.argsort(-counts[: domain.atoms], kind="stable")[:ATOMS_APART]
    apart[atoms] = counts[atoms] >= SIGNIFICANT * sigma
    return apart


def _bins(
    mass: Float64Array,
    counts: Float64Array,
    apart: BoolArray,
    sigma: float,
    judged: tuple[float, float],
    max_bins: int,
    run: float,
) -> Int64Array:
    """Bin of every cell of a number in its order, numbered from 0 without gaps; `apart` come on top.

    `judged` is the noise of a cell in units of what a bin may have: of many bins, and of few.
    """
    if np.count_nonzero(~apart) <= max_bins:
        return np.arange(len(counts))
    among = mass[~apart].sum()
    heavy = (mass > among / max_bins) & (counts > SIGNIFICANT * sigma) & ~apart
    bins = np.empty(len(counts), dtype=np.int64)
    # fewer than max_bins cells can hold more than a max_bins-th: some cell and a bin are left
    rest, lone = np.flatnonzero(~heavy & ~apart), np.flatnonzero(heavy | apart)
    most = max_bins - int(heavy.sum())
    parts = _equal_mass(mass[rest], counts[rest], judged[0], most, run)
    if judged[1] < judged[0] and parts.max() + 1 < FEW_BINS:
        parts = _equal_mass(mass[rest], counts[rest], judged[1], min(most, FEW_BINS), run)
    if not heavy.any() and parts.max() == 0:
        parts = _halves(mass[rest])
    bins[rest] = parts
    bins[lone] = parts.max() + 1 + np.arange(len(lone))
    return bins


def _equal_mass(
    mass: Float64Array, counts: Float64Array, judged: float, most: int, run: float
) -> Int64Array:
    """Contiguous groups of near equal mass, none dominated by noise, at most `most`.

    Noise is judged on the raw counts too: over many near-empty leaves `mass` is biased upwards.
    """
    needed = sum_noise(np.arange(len(mass) + 1), judged, run)
    parts = np.zeros(len(mass), dtype=np.int64)
    part, size, inside, seen, left = 0, 0, 0.0, 0.0, float(mass.sum())
    for cell, here in enumerate(mass):
        fair = (left + inside) / max(1, most - part)
        enough = min(inside, seen) >= needed[size]
        # close the group where its mass comes nearest to its fair share
        if size and part < most - 1 and enough and inside + here / 2 > fair:
            part, size, inside, seen = part + 1, 0, 0.0, 0.0
        parts[cell] = part
        size, inside, seen, left = size + 1, inside + here, seen + counts[cell], left - here
    if part and min(inside, seen) < needed[size]:
        parts[parts == part] = part - 1  # too noisy a tail joins its neighbour
    return parts


def _halves(mass: Float64Array) -> Int64Array:
    """Two groups of equal mass; of equal width where there is no mass."""
    weight = mass if mass.sum() > 0 else np.ones_like(mass)
    cut = int(np.searchsorted(np.cumsum(weight), weight.sum() / 2)) + 1
    return (np.arange(len(mass)) >= min(cut, len(mass) - 1)).astype(np.int64)


def _shape(mass: Float64Array, bins: Int64Array) -> Float64Array:
    """The mass of each cell as a share of its bin's."""
    shape = np.empty(len(mass))
    for part in range(int(bins.max()) + 1):
        inside = np.flatnonzero(bins == part)
        shape[inside] = _normalised(mass[inside])
    return shape


def _rare(domain: FineDomain, counts: Float64Array, sigma: float) -> Int64Array:
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


def _normalised(weights: Float64Array) -> Float64Array:
    total = weights.sum()
    return np.asarray(weights / total) if total > 0 else np.full(len(weights), 1 / len(weights))


def _renumbered(groups: Int64Array) -> UInt16Array:
    """Groups numbered 0, 1, ... by their first cell."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.uint16)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[inverse], dtype=np.uint16)
