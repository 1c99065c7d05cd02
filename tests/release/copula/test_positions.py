"""Positions inside codes: those of the normal law in a box, even in each code, exact where given."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr

from fedsynth_release.copula.correlations import correlations, matching, positive_definite
from fedsynth_release.copula.evened import Evened
from fedsynth_release.copula.positions import Positions

HALVES = np.array([[0.0, 0.5, 0.9], [0.5, 0.9, 1.0]])
STRONG = np.array([[1.0, 0.9, 0.5], [0.9, 1.0, 0.5], [0.5, 0.5, 1.0]])


def normal(rows, seed=0):
    return np.random.default_rng(seed).multivariate_normal(np.zeros(3), STRONG, size=rows)


def coded(z):
    """Code and position of normal variables, both (rows, columns)."""
    rank = ndtr(z)
    codes = np.searchsorted(HALVES[1], rank)
    return codes, (rank - HALVES[0][codes]) / (HALVES[1] - HALVES[0])[codes]


@pytest.mark.parametrize("box", [(2, 2, 2), (0, 1, 0), (0, 0, 2)])
def test_positions_in_a_box_are_those_of_the_normal_law(box):
    codes, truth = coded(normal(400_000))
    inside = truth[(codes == box).all(axis=1)]
    asked = np.tile(np.array(box), (len(inside), 1))
    drawn = Positions([HALVES] * 3, STRONG).draw(asked, np.random.default_rng(1))
    assert drawn.mean(axis=0) == pytest.approx(inside.mean(axis=0), abs=0.03)
    assert np.cov(drawn.T) == pytest.approx(np.cov(inside.T), abs=0.012)


def test_a_given_position_stays_and_draws_the_others_to_itself():
    law = Positions([HALVES] * 3, STRONG)
    codes = np.full((4000, 3), 2)
    known = np.full((4000, 3), np.nan)
    known[:2000, 0], known[2000:, 0] = 0.05, 0.95
    drawn = law.draw(codes, np.random.default_rng(2), known=known)
    assert drawn[:, 0] == pytest.approx(known[:, 0], abs=1e-6)
    low, high = drawn[:2000].mean(axis=0), drawn[2000:].mean(axis=0)
    assert high[1] > low[1] + 0.2
    assert high[2] > low[2]


def test_a_span_confines_one_column_and_moves_the_others():
    law = Positions([HALVES] * 3, STRONG)
    upper = np.array([[0.7] * 3, [1.0] * 3])
    codes = np.full((4000, 3), 2)
    drawn = law.draw(codes, np.random.default_rng(3), spans=[upper, None, None])
    anywhere = law.draw(codes, np.random.default_rng(3))
    assert drawn[:, 0].min() >= 0.7 - 1e-9
    assert drawn[:, 1].mean() > anywhere[:, 1].mean() + 0.1


def test_the_maps_make_any_positions_even_and_can_be_inverted():
    rng = np.random.default_rng(4)
    codes = rng.integers(3, size=60_000)
    uneven = rng.random(60_000) ** (1.0 + codes)
    maps = Evened.of(codes, uneven, 4)
    even = maps.after(codes, uneven)
    assert (even >= 0).all()
    assert (even < 1).all()
    for code in range(3):
        assert stats.kstest(even[codes == code], "uniform").statistic < 0.03
    assert maps.before(codes, even) == pytest.approx(uneven, abs=1e-6)
    rare = np.full(5, 3)  # no position was seen: it keeps its own
    assert maps.after(rare, np.linspace(0, 0.9, 5)) == pytest.approx(np.linspace(0, 0.9, 5))


@pytest.mark.parametrize("correlation", [-0.8, 0.0, 0.3, 0.95])
def test_the_correlation_of_two_columns_is_found_from_their_codes(correlation):
    rng = np.random.default_rng(5)
    z = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=40_000)
    edges = [-1.0, 0.0, 0.5, 1.5]
    soft = [np.eye(6)[np.searchsorted(edges, column)] for column in z.T]
    missing = rng.random(40_000) < 0.2
    soft[0][missing] = np.eye(6)[5]
    found = correlations(soft, [np.arange(5), np.arange(5)], least=0.05)
    assert found[0, 1] == pytest.approx(correlation, abs=0.02)


def test_correlations_that_contradict_each_other_become_possible_ones():
    odd = np.array([[1, 0.95, -0.95], [0.95, 1, 0.95], [-0.95, 0.95, 1]])
    mended = positive_definite(odd)
    assert np.linalg.eigvalsh(mended).min() > 0
    assert np.diag(mended) == pytest.approx(1.0)
    assert matching(np.array([0.5, 0.5]), np.array([0.5, 0.5]), 99.0) > 0.99
