"""Naive Bayes from noisy label tables, the floor of utility for the declared target.

There are two rounds and no neural network. First every site counts the fine cells of each column,
and the bins are chosen from the noisy sums as in a real study (`build_codebook`). Then every site
counts, for each column except the target, the table (target x column). The sums over the sites give
p(target) and p(column | target), from which records are drawn. This represents every pair that
contains the target, and no other pair. A generator must be clearly better on the mean over ten
targets. On the declared target alone naive Bayes is hard to beat, which shows that a benchmark with
a single target says little about generators.

A record is in one cell of each table. The release therefore consists of d marginals for the bins,
with twice the noise, and d - 1 for the tables. The project's own accountant computes the noise from
ε. The noise is local: `sites` independent draws are added. Counts are additive, so nothing else
depends on which site a record is at.

Negative noisy counts are removed by the norm-sub rule (Wang et al. 2020): subtract a constant and
cut at 0, so that the total stays the same. Cutting alone would add mass to empty cells.

Use it for benchmarks only. The noise comes from a seeded generator, so that runs can be repeated,
and a result is therefore *not private*, whatever its ε.
"""

import math

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Float64Array, Int64Array, UInt16Array
from fedsynth_common.encoding import encode
from fedsynth_common.errors import InputError
from fedsynth_common.privacy.events import CountsEvent, Event
from fedsynth_common.privacy.noise import noisy_counts
from fedsynth_common.privacy.randomness import SeededRandomness
from fedsynth_common.schema import Schema, domains
from fedsynth_release.decoding import Codebook, decode
from fedsynth_server.aggregation.binning import build_codebook
from fedsynth_server.study.calibration import calibrate

MAX_BINS = 32
BINNING_NOISE = 2.0
"""Noise of the histograms relative to the label tables; it gives them a fifth of the budget."""
MIN_EPSILON, MAX_EPSILON = 0.01, 100.0  # what the calibration supports


def naive_bayes(
    train: pd.DataFrame,
    schema: Schema,
    n: int,
    rng: np.random.Generator,
    *,
    epsilon: float | None = None,
    delta: float = 1e-5,
    sites: int = 1,
) -> pd.DataFrame:
    """`n` records drawn from a naive Bayes model of `train`.

    Args:
        train: The real training rows of all sites together.
        schema: Their public schema; must declare a target.
        n: Records to draw.
        rng: Source of all randomness, the noise included.
        epsilon: Privacy budget per site (one record, add/remove); None = exact counts.
        delta: The other half of the budget.
        sites: Sites that each add the full noise.

    Raises:
        InputError: no target, a single column, a budget out of range, nothing to draw from, or a
            table that does not fit the schema.
    """
    target = schema.target_index
    if target is None or len(schema.modelled) < 2:
        raise InputError("naive Bayes needs a schema with a target and at least one other column")
    if sites < 1 or n < 0 or not len(train):
        raise InputError(
            f"naive Bayes cannot draw {n} rows from {len(train)} rows of {sites} sites"
        )
    if epsilon is not None and not MIN_EPSILON <= epsilon <= MAX_EPSILON:
        raise InputError(f"epsilon must be {MIN_EPSILON:g} to {MAX_EPSILON:g}, got {epsilon!r}")
    fine = encode(train, schema, extra="ignore").codes
    noise = _Noise(len(schema.modelled), epsilon, delta, sites, rng)
    book = _codebook(fine, schema, noise)
    tables = _label_tables(book.apply(fine), book.widths, target, noise)
    return decode(book.to_fine(_draw(tables, target, n, rng), rng), schema, rng)


class _Noise:
    """The noise that all sites together add to a sum of counts; none if epsilon is None."""

    def __init__(
        self,
        columns: int,
        epsilon: float | None,
        delta: float,
        sites: int,
        rng: np.random.Generator,
    ) -> None:
        def events(scale: float) -> list[Event]:
            return [
                CountsEvent(scale=BINNING_NOISE * scale, sensitivity=1, blocks=columns),
                CountsEvent(scale=scale, sensitivity=1, blocks=columns - 1),
            ]

        self._sites = sites
        self._scale = 0.0 if epsilon is None else calibrate(events, epsilon, delta)
        self._randomness = SeededRandomness(int(rng.integers(2**63)))

    def std(self, factor: float) -> float:
        """Standard deviation of the sum of all sites' noise in one cell."""
        return factor * self._scale * math.sqrt(self._sites)

    def add(self, counts: Int64Array, factor: float) -> Int64Array:
        """Counts plus one draw of `factor` times the base noise for every site."""
        if self._scale > 0:
            for _ in range(self._sites):
                counts = noisy_counts(counts, factor * self._scale, self._randomness)
        return counts


def _codebook(fine: UInt16Array, schema: Schema, noise: _Noise) -> Codebook:
    histograms = [
        noise.add(np.bincount(fine[:, j], minlength=domain.width), BINNING_NOISE).astype(float)
        for j, domain in enumerate(domains(schema))
    ]
    sigmas = [noise.std(BINNING_NOISE)] * len(histograms)
    return build_codebook(schema, histograms, sigmas, max_bins=MAX_BINS)


def _label_tables(
    codes: UInt16Array, widths: tuple[int, ...], target: int, noise: _Noise
) -> list[Int64Array]:
    """Noisy counts (labels x width) for every column but the target, in order."""
    label = codes[:, target].astype(np.int64)
    tables = []
    for j, width in enumerate(widths):
        if j != target:
            flat = np.bincount(label * width + codes[:, j], minlength=widths[target] * width)
            tables.append(noise.add(flat, 1.0).reshape(widths[target], width))
    return tables


def _draw(tables: list[Int64Array], target: int, n: int, rng: np.random.Generator) -> UInt16Array:
    """Codes (n x d) from p(label) and p(column | label)."""
    # every table's row sums estimate the label counts; narrow tables carry the least noise
    weights = np.array([1 / table.shape[1] for table in tables])
    sums = np.array([table.sum(axis=1) for table in tables])
    totals = _norm_sub(np.average(sums, axis=0, weights=weights), None)
    labels = rng.choice(len(totals), size=n, p=totals / totals.sum())
    columns = [_given(table, totals, labels, rng) for table in tables]
    columns.insert(target, labels)
    return np.column_stack(columns).astype(np.uint16)


def _given(
    table: Int64Array,
    totals: Float64Array,
    labels: Int64Array,
    rng: np.random.Generator,
) -> Int64Array:
    codes = np.empty(len(labels), dtype=np.int64)
    for label in range(len(totals)):
        rows = np.flatnonzero(labels == label)
        if len(rows):
            mass = _norm_sub(table[label].astype(float), max(totals[label], 1.0))
            codes[rows] = rng.choice(len(mass), size=len(rows), p=mass / mass.sum())
    return codes


def _norm_sub(counts: Float64Array, total: float | None) -> Float64Array:
    """Non-negative counts that sum to `total` (default: their own sum), by subtracting a constant.

    >>> _norm_sub(np.array([8.0, 3.0, -1.0]), None).tolist()
    [7.5, 2.5, 0.0]
    """
    wanted = max(float(counts.sum()) if total is None else total, 1.0)
    ordered = np.sort(counts)[::-1]
    surplus = (np.cumsum(ordered) - wanted) / np.arange(1, len(counts) + 1)
    kept = int(np.flatnonzero(ordered > surplus).max())
    return np.asarray(np.maximum(counts - surplus[kept], 0.0), dtype=np.float64)
