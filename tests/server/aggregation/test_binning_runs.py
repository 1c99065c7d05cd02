"""Bins when totals of runs of leaves were measured too: narrower where the noise allows."""

import numpy as np
import pytest

from fedsynth_common.schema import NumericColumn, Schema
from fedsynth_release.histogram_noise import sum_noise
from fedsynth_server.aggregation.binning import BIN_NOISE, PAIR_NOISE, build_codebook

COLUMN = NumericColumn(kind="numeric", name="x", minimum=0.0, maximum=1000.0, decimals=2)
SCHEMA = Schema(name="t", columns=(COLUMN,))


def test_totals_of_runs_allow_more_bins_at_the_same_noise():
    counts = np.random.default_rng(0).normal(12.0, 20.0, 256)
    alone = build_codebook(SCHEMA, [counts], [20.0])
    steady = build_codebook(SCHEMA, [counts], [20.0], runs=16)
    assert steady.widths[0] > alone.widths[0]


def test_noise_of_a_sum_of_leaves_matches_measured_runs():
    """Least-squares leaves given both levels: the bound is not below what sums really vary by."""
    from fedsynth_server.aggregation.histograms import consistent

    rng, view = np.random.default_rng(1), np.arange(256) // 16
    sums = {n: [] for n in (4, 16, 64, 200)}
    for _ in range(400):
        leaves = consistent(rng.normal(size=256), rng.normal(size=16), view)
        for n, found in sums.items():
            found.append(leaves[7 : 7 + n].sum())
    for n, found in sums.items():
        assert np.std(found) <= 1.15 * sum_noise(np.array(n), 1.0, 16.0)


@pytest.mark.parametrize("sigma", [0.0, 5.0])
def test_bins_are_judged_by_the_noise_of_the_pairs_where_that_is_more(sigma):
    counts = np.full(256, 100.0)
    fine = build_codebook(SCHEMA, [counts], [sigma]).widths[0]
    little = build_codebook(SCHEMA, [counts], [sigma], pairs=sigma / PAIR_NOISE).widths[0]
    wide = build_codebook(SCHEMA, [counts], [sigma], pairs=500.0)
    assert little == fine
    assert 2 <= wide.widths[0] < fine
    held = np.bincount(wide.views[0], weights=counts)
    assert held.min() >= PAIR_NOISE * 500.0 / BIN_NOISE
