"""The test for drift: its law without a change, and what it finds with one."""

import numpy as np
import pytest

from fedsynth_common.schema import CategoricalColumn, Schema
from fedsynth_release.decoding import Codebook
from fedsynth_release.drift import holm
from fedsynth_server.aggregation.carried import Counts
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.refresh.drift import Side, _column, _pair, average, find_drift

WIDTHS = (3, 4)
SCHEMA = Schema(
    name="t",
    columns=tuple(
        CategoricalColumn(name=f"c{k}", categories=tuple("abcd"[:w]), other=False)
        for k, w in enumerate(WIDTHS)
    ),
)


def joint(strength):
    """A distribution of both columns, dependent by `strength`."""
    p = np.outer([0.5, 0.3, 0.2], [0.4, 0.3, 0.2, 0.1])
    tilt = np.outer([1, -1, 0], [1, -1, 0, 0])
    return p + strength * tilt * 0.05


def side(p, records, noise, rng):
    """What would be measured of `records` records drawn from p, with noise in every cell."""
    counts = rng.multinomial(records, p.ravel()).reshape(p.shape).astype(float)
    noisy = counts + rng.normal(0, noise, p.shape)
    one = [counts.sum(1) + rng.normal(0, noise, 3), counts.sum(0) + rng.normal(0, noise, 4)]
    variance = noise**2 / records**2
    first = [
        MarginalEstimate(columns=(c,), frequencies=x / records, variance=variance)
        for c, x in enumerate(one)
    ]
    pair = MarginalEstimate(columns=(0, 1), frequencies=noisy / records, variance=variance)
    return Side([*first, pair], WIDTHS, 1 / records)


@pytest.mark.parametrize("noise", [1.0, 60.0])
@pytest.mark.parametrize("strength", [0.0, 0.9])
def test_without_a_change_small_p_values_are_as_rare_as_they_say(noise, strength):
    """Where noise dominates and where chance does, for independent and dependent columns."""
    rng = np.random.default_rng(3)
    p, columns, pairs = joint(strength), [], []
    for _ in range(600):
        old, new = side(p, 9000, noise, rng), side(p, 3000, noise, rng)
        shared = [average(a, b) for a, b in zip(old.first, new.first, strict=True)]
        columns.append(_column(old.first[1], new.first[1], shared[1], old, new)[0])
        pairs.append(_pair((0, 1), shared, old, new)[0])
    for found in (columns, pairs):
        assert (np.array(found) < 0.05).mean() < 0.05 + 3 * (0.05 * 0.95 / 600) ** 0.5
        assert (np.array(found) < 0.001).mean() < 0.01


def test_a_change_of_the_dependence_alone_is_a_pair_and_no_column():
    rng = np.random.default_rng(4)
    old, new = side(joint(0.9), 9000, 20.0, rng), side(joint(-0.9), 3000, 20.0, rng)
    found = find_drift(old, new, SCHEMA, Codebook.identity(SCHEMA), ["1", "2"])
    assert not found.changed
    assert [pair.columns for pair in found.pairs] == [("c0", "c1")]
    assert found.tests == 3


def test_a_change_of_a_column_alone_is_a_column_and_no_pair():
    rng = np.random.default_rng(5)
    other = np.outer([0.3, 0.5, 0.2], joint(0).sum(0))
    old, new = side(joint(0), 9000, 20.0, rng), side(other, 3000, 20.0, rng)
    found = find_drift(old, new, SCHEMA, Codebook.identity(SCHEMA), ["1", "2"])
    assert [column.column for column in found.changed] == ["c0"]
    assert not found.pairs
    assert {moved.value for moved in found.changed[0].moved[:2]} == {"a", "b"}


def test_holm_rejects_no_more_than_bonferroni_would_first():
    rng = np.random.default_rng(6)
    false = sum(holm(rng.random(50), 0.05).any() for _ in range(2000))
    assert false / 2000 < 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5


def test_added_counts_have_the_variance_that_is_said():
    rng = np.random.default_rng(7)
    draws = []
    for _ in range(4000):
        old, new = (Counts.of({"a": [rng.normal(0, s, 2)]}, s**2) for s in (3.0, 2.0))
        both = old.plus(new, 0.5)
        draws.append(both.by_site["a"])
    assert both.variance["a"] == pytest.approx(0.25 * 9 + 4)
    assert np.var(draws) == pytest.approx(both.variance["a"], rel=0.05)
