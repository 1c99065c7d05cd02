"""Finds what changed between a cohort and the earlier ones, from noisy counts of both.

A difference of frequencies has two sources besides a change: the noise, whose variance s is known and
equal in all cells, and the choice of the records, which gives frequencies p the covariance
a (diag(p) - p pᵀ) with a = 1/n_old + 1/n_new. Both are in the statistics, which are compared with a
chi-square law.

* *A column.* Q = sum d² / (s + a p). Its law is that of k - 1 squared standard normals and of one that
  is smaller, so the chi-square law of k degrees of freedom is an upper bound.
* *A pair.* What is compared is the dependence D = P - p_a p_bᵀ, so that a column that changed by itself
  does not make all of its pairs change. For independent columns the choice of records gives D the
  covariance a (S_a (x) S_b), S = diag(p) - p pᵀ. In the eigenbases of S_a and S_b the cells of D are
  therefore uncorrelated, with variances s + a l_i m_j, and the sum of their squares over these has k
  degrees of freedom. Columns that depend on each other strongly have a larger covariance in some
  directions: the part of D that is known before is therefore added to it, as an upper bound.

Over all tests of a refresh the share of refreshes with any false entry is kept below `LEVEL` by Holm's
procedure (Holm 1979), which needs no independence.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2

from fedsynth_common.array_types import Float64Array
from fedsynth_common.schema import Schema
from fedsynth_release.code_labels import code_labels
from fedsynth_release.decoding import Codebook
from fedsynth_release.drift import Drift, Moved, Tested, findings, largest, tested_columns
from fedsynth_server.aggregation.marginals import MarginalEstimate, one_way_marginals


class Side:
    """Pooled noisy marginals of one side: the earlier cohorts, or the newest.

    Attributes:
        first: one-way marginals by column, from everything that was measured.
        pairs: by columns.
        chosen: variance that the choice of records gives a frequency p, divided by p (1 - p).
    """

    def __init__(
        self, marginals: Sequence[MarginalEstimate], widths: Sequence[int], chosen: float
    ) -> None:
        self.first = one_way_marginals(marginals, widths)
        self.pairs = {(m.columns[0], m.columns[1]): m for m in marginals if len(m.columns) == 2}
        self.chosen = chosen

    def dependence(self, a: int, b: int) -> Float64Array:
        """What a pair differs by from independent columns."""
        alone = np.outer(self.first[a].frequencies, self.first[b].frequencies)
        difference: Float64Array = self.pairs[a, b].frequencies - alone
        return difference


def find_drift(
    old: Side, new: Side, schema: Schema, codebook: Codebook, cohorts: Sequence[str]
) -> Drift:
    """What changed from `old` to `new`; `cohorts` names those of both, the newest last.

    The column that cuts the table is different in every cohort, and is left out.
    """
    tested = tested_columns(schema)
    shared = [average(was, now) for was, now in zip(old.first, new.first, strict=True)]
    singles = {c: _column(old.first[c], new.first[c], shared[c], old, new) for c in tested}
    keys = [key for key in sorted(set(old.pairs) & set(new.pairs)) if set(key) <= set(tested)]
    doubles = {key: _pair(key, shared, old, new) for key in keys}
    names = [column.name for column in schema.modelled]

    def moved(column: int) -> tuple[Moved, ...]:
        return _moved(old.first[column], new.first[column], schema, codebook, column)

    return findings(names, singles, doubles, cohorts, moved)


def average(old: MarginalEstimate, new: MarginalEstimate) -> Float64Array:
    """Frequencies of both sides together, weighted by their noise, at least 0, with sum 1."""
    both, _ = _weighted(old.frequencies, new.frequencies, old, new)
    cut = np.maximum(both, 0.0)
    return np.asarray(cut / cut.sum()) if cut.sum() > 0 else np.full(cut.shape, 1 / cut.size)


def _column(
    old: MarginalEstimate, new: MarginalEstimate, p: Float64Array, before: Side, now: Side
) -> Tested:
    """p-value and size of the change of a column."""
    noise, chosen = old.variance + new.variance, before.chosen + now.chosen
    variance = noise + chosen * p
    difference = new.frequencies - old.frequencies
    statistic = float((difference**2 / variance).sum())
    return float(chi2.sf(statistic, p.size)), _distance(difference, variance)


def _pair(key: tuple[int, int], shared: Sequence[Float64Array], old: Side, new: Side) -> Tested:
    """p-value and size of the change of a pair's dependence."""
    a, b = key
    sides = old.pairs[key], new.pairs[key]
    before, now = (side.dependence(a, b) for side in (old, new))
    difference = now - before
    noise, chosen = sides[0].variance + sides[1].variance, old.chosen + new.chosen
    (left, basis), (right, other) = (
        np.linalg.eigh(np.diag(p) - np.outer(p, p)) for p in map(shared.__getitem__, key)
    )
    known = np.abs(basis.T @ average_dependence(before, now, *sides) @ other)
    variance = noise + chosen * (np.maximum(np.outer(left, right), 0.0) + known)
    turned = basis.T @ difference @ other
    statistic = float((turned**2 / variance).sum())
    return float(chi2.sf(statistic, difference.size)), _distance(difference, variance)


def average_dependence(
    old: Float64Array, new: Float64Array, before: MarginalEstimate, now: MarginalEstimate
) -> Float64Array:
    """The dependence of both sides, weighted by their noise, less what noise alone would show."""
    both, variance = _weighted(old, new, before, now)
    noise = variance**0.5
    kept: Float64Array = np.sign(both) * np.maximum(np.abs(both) - 2 * noise, 0.0)
    return kept


def _weighted(
    old: Float64Array, new: Float64Array, before: MarginalEstimate, now: MarginalEstimate
) -> tuple[Float64Array, float]:
    """The mean of both sides, weighted by the noise of their estimates, and its variance."""
    weights = np.array([1 / before.variance, 1 / now.variance])
    mean: Float64Array = (weights[0] * old + weights[1] * new) / weights.sum()
    return mean, float(1 / weights.sum())


def _distance(difference: Float64Array, variance: Float64Array) -> float:
    """Total variation distance, of which what noise explains is taken off in squares."""
    squared = float((difference**2).sum())
    if squared == 0.0:
        return 0.0
    kept = float(np.sqrt(max(0.0, 1.0 - float(variance.sum()) / squared)))
    return round(min(1.0, kept * 0.5 * float(np.abs(difference).sum())), 4)


def _moved(
    old: MarginalEstimate, new: MarginalEstimate, schema: Schema, codebook: Codebook, column: int
) -> tuple[Moved, ...]:
    """The values whose shares moved most."""
    names = code_labels(schema.modelled[column], codebook.views[column])
    return largest(names, old.frequencies, new.frequencies)
