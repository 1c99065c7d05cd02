"""The law of two ordered columns: exact probabilities, margins that stay, codes in their order."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from fedsynth_common.schema import IntegerColumn, NumericColumn, domain_of
from fedsynth_release.copula.bivariate import MOST, cuts, dependence, scores
from fedsynth_release.copula.code_order import ordered_codes

ROWS, COLUMNS = np.array([0.1, 0.45, 0.4, 0.05]), np.array([0.6, 0.399, 0.001])


@pytest.mark.parametrize("correlation", [-0.9, -0.3, 0.0, 0.5, 0.95, MOST])
def test_a_pair_of_codes_has_the_probability_of_its_rectangle(correlation):
    table = np.outer(ROWS, COLUMNS) + dependence(ROWS, COLUMNS, np.array([correlation]))[0]
    law = multivariate_normal([0, 0], [[1, correlation], [correlation, 1]])
    below = law.cdf(np.stack(np.meshgrid(cuts(ROWS), cuts(COLUMNS), indexing="ij"), axis=-1))
    assert table == pytest.approx(np.diff(np.diff(below, axis=0), axis=1), abs=3e-5)


def test_the_margins_are_those_that_were_given():
    correlations = np.array([-0.8, 0.2, 0.99])
    law = dependence(ROWS, COLUMNS, correlations)
    assert law.sum(axis=1) == pytest.approx(0.0, abs=1e-9)
    assert law.sum(axis=2) == pytest.approx(0.0, abs=1e-9)
    assert (np.outer(ROWS, COLUMNS) + law).min() > -1e-6


def test_scores_are_the_means_of_the_parts():
    drawn = np.sort(np.random.default_rng(0).normal(size=200_000))
    parts = np.split(drawn, (np.cumsum(ROWS)[:-1] * len(drawn)).astype(int))
    assert scores(ROWS) == pytest.approx([part.mean() for part in parts], abs=0.02)
    assert np.isfinite(scores(np.array([0.0, 1.0, 0.0]))).all()


def test_a_bin_around_an_atom_stands_where_its_mass_is():
    column = IntegerColumn(name="a", minimum=0, maximum=9, atoms=(5,), nullable=True)
    domain = domain_of(column)  # the atom 5, ten leaves, missing
    view = np.array([2, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 3], dtype=np.uint16)
    shape = np.ones(12)
    assert ordered_codes(domain, view, shape).tolist() == [0, 2, 1]
    shape[5] = 99.0  # nearly all of code 1 is now below the atom
    assert ordered_codes(domain, view, shape).tolist() == [0, 1, 2]


def test_codes_of_negative_numbers_ascend():
    domain = domain_of(NumericColumn(name="a", minimum=-5, maximum=5, decimals=0))
    view = np.arange(domain.width)[::-1].astype(np.uint16)
    order = ordered_codes(domain, view, np.ones(domain.width))
    assert order.tolist() == list(range(domain.width))[::-1]
