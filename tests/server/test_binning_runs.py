"""Bins when totals of runs of leaves were measured too: narrower where the noise allows."""

import numpy as np

from fedsynth_common.encoding import build_codebook
from fedsynth_common.encoding.histogram_tree import sum_noise
from fedsynth_common.schema import NumericColumn, Schema

COLUMN = NumericColumn(kind="numeric", name="x", minimum=0.0, maximum=1000.0, decimals=2)
SCHEMA = Schema(name="t", columns=(COLUMN,))


def test_totals_of_runs_allow_more_bins_at_the_same_noise():
    counts = np.random.default_rng(0).normal(12.0, 20.0, 256)
    alone = build_codebook(SCHEMA, [counts], [20.0])
    steady = build_codebook(SCHEMA, [counts], [20.0], runs=16)
    assert steady.widths[0] > alone.widths[0]


def test_noise_of_a_sum_of_leaves_matches_measured_runs():
    """Least-squares leaves given both levels: the bound is not below what sums really vary by."""
    from fedsynth_server.histograms import consistent

    rng, view = np.random.default_rng(1), np.arange(256) // 16
    sums = {n: [] for n in (4, 16, 64, 200)}
    for _ in range(400):
        leaves = consistent(rng.normal(size=256), rng.normal(size=16), view)
        for n, found in sums.items():
            found.append(leaves[7 : 7 + n].sum())
    for n, found in sums.items():
        assert np.std(found) <= 1.15 * sum_noise(np.array(n), 1.0, 16.0)
