"""Which triples are chosen, at what noise they are asked for, and what is left of the noise."""

import itertools
import math

import numpy as np
import pytest

from fedsynth_common.protocol.plan import MeasureStep
from fedsynth_server.aggregation.marginal_queries import (
    MarginalQueries,
    MarginalQuery,
    variance_for,
)
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.aggregation.second_measurement import measured_together, scaled
from fedsynth_server.aggregation.three_way import (
    MOST_SCREENED,
    PairError,
    Screened,
    best_division,
    equal_groups,
    groups_of,
    interaction,
    screened,
    screened_triples,
)
from fedsynth_server.aggregation.three_way_noise import without_noise

RECORDS, VARIANCE = 20_000.0, 1e-6
TRIPLES = list(itertools.combinations(range(5), 3))
NO_ERROR = PairError([(np.full(4, 1e-6), np.full(4, 0.25))], 0.25)


def independent():
    return np.full((4, 4, 4), 1 / 64)


def exclusive(strength):
    """All pairs of the three are independent; the three together are not."""
    sign = np.array([1, 1, -1, -1])
    return independent() + strength / 64 * np.einsum("a,b,c->abc", sign, sign, sign)


def seen(table, triple, rng):
    noisy = table + rng.normal(0, math.sqrt(VARIANCE + 1 / (RECORDS * 64)), table.shape)
    return MarginalEstimate(columns=triple, frequencies=noisy, variance=VARIANCE)


def said_of(tables, seed=0):
    rng = np.random.default_rng(seed)
    measured = [seen(table, triple, rng) for table, triple in zip(tables, TRIPLES, strict=True)]
    return screened(measured, [independent()] * len(measured), RECORDS)


def test_groups_have_about_equal_mass_and_keep_heavy_codes_apart():
    rng = np.random.default_rng(0)
    mass = rng.dirichlet(np.full(40, 0.5))
    groups = equal_groups(mass, rng.permutation(40), 4)
    assert set(groups) == set(range(groups.max() + 1))
    assert groups.max() < 4
    assert equal_groups(mass[:3], range(3), 4).tolist() == [0, 1, 2]
    assert equal_groups(np.array([0.9, 0.05, 0.05]), range(3), 2).tolist() == [0, 1, 1]


def test_groups_follow_the_order_or_the_main_dependence():
    one_way = [
        MarginalEstimate(columns=(j,), frequencies=np.full(6, 1 / 6), variance=0) for j in (0, 1)
    ]
    lean = np.array([3.0, -3, 2, -2, 1, -1])
    order, free = groups_of(
        one_way, [np.eye(6), np.outer(lean, lean)], [np.arange(6)[::-1], None], 2
    )
    assert order.tolist() == [1, 1, 1, 0, 0, 0]
    assert set(free[[0, 2, 4]]) == {free[0]}
    assert set(free[[1, 3, 5]]) == {1 - free[0]}


def test_an_interaction_is_what_no_pair_shows():
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(4, 3, 1)) + rng.normal(size=(4, 1, 2)) + rng.normal(size=(1, 3, 2))
    np.testing.assert_allclose(interaction(pairs), 0, atol=1e-12)
    np.testing.assert_allclose(
        interaction(exclusive(0.5) - independent()), exclusive(0.5) - independent()
    )


def test_nothing_is_chosen_where_there_is_noise_alone():
    chosen = [
        best_division(
            said_of([independent()] * 10, seed),
            dict.fromkeys(TRIPLES, (4, 4, 4)),
            PairError([(np.full(16, 1e-3), np.full(16, 1 / 16))], 0.25),
            1e-7,
        ).triples
        for seed in range(20)
    ]
    assert sum(map(bool, chosen)) <= 2


def test_a_triple_beyond_pairs_is_found_and_gets_the_budget():
    tables = [independent()] * 10
    tables[7] = exclusive(0.8)
    division = best_division(said_of(tables), dict.fromkeys(TRIPLES, (4, 4, 4)), NO_ERROR, 1e-7)
    assert TRIPLES[7] in division.triples
    assert division.share > 0


def test_pairs_that_are_worse_keep_the_budget():
    shapes, energy = dict.fromkeys(TRIPLES, (4, 4, 4)), 1e-6
    said = [Screened(triple, 64, energy) for triple in TRIPLES]
    rough = PairError([(np.full(16, 0.02), np.full(16, 1 / 16))], 0.25)
    assert best_division(said, shapes, rough, 1e-9).triples == []
    assert best_division(said, shapes, NO_ERROR, 1e-9).triples == TRIPLES


def test_of_many_columns_the_triples_of_dependent_pairs_are_screened():
    columns = 20
    dependence = {pair: float(max(pair) < 4) for pair in itertools.combinations(range(columns), 2)}
    triples = screened_triples(dependence, columns)
    assert len(triples) == MOST_SCREENED < math.comb(columns, 3)
    assert set(itertools.combinations(range(4), 3)) <= set(triples)


def test_columns_with_one_code_say_nothing():
    flat = np.full((4, 4, 1), 1 / 16)
    measured = [MarginalEstimate(columns=(0, 1, 2), frequencies=flat, variance=1e-6)]
    assert screened(measured, [flat], RECORDS) == []
    assert best_division([], {}, NO_ERROR, 1e-9).triples == []


def test_noise_of_an_interaction_is_removed():
    rng, truth = np.random.default_rng(1), exclusive(0.8)
    noisy = [seen(truth, (0, 1, 2), rng), seen(independent(), (0, 1, 3), rng)]
    groups = [np.arange(4)] * 4
    cleaned = without_noise(noisy, [independent()] * 2, groups, [np.eye(4)] * 4)
    for got, had, true in zip(cleaned.marginals, noisy, (truth, independent()), strict=True):
        before = np.square(had.frequencies - true).sum()
        assert np.square(got.frequencies - true).sum() < 0.6 * before
        assert got.frequencies.sum() == pytest.approx(1.0)
    assert 0 < cleaned.expected_loss < 1


def query(axes, rows, step):
    queries = tuple(
        MarginalQuery(tuple((c, c) for c in columns), (2,) * len(columns)) for columns in axes
    )
    views = (np.array([0, 1], np.uint16),) * 5
    return MarginalQueries(views, queries, variance_for(len(queries), step, rows))


def test_counts_of_other_sites_are_scaled_with_their_noise():
    step = MeasureStep(step=2, purpose="marginals", noise_multiplier=3.0)
    pairs = query([(0, 1)], 1, step)
    half, counts = scaled(pairs, {"all sites": [np.full((2, 2), 50.0)]}, 0.5)
    assert counts["all sites"][0].sum() == 100.0
    assert half.variance == pytest.approx(pairs.variance / 4, abs=1)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("rows", [1, 3])
def test_both_in_one_message_cost_what_the_step_allows(share, rows):
    step = MeasureStep(step=4, purpose="three-way marginals", noise_multiplier=1.7)
    pairs = query(itertools.combinations(range(5), 2), rows, step)
    triples = query(TRIPLES[:3], rows, step)
    both = measured_together(pairs, triples, share)
    variances = [math.ceil(both.variance * q.spread**2) for q in both.marginals]
    assert len(set(variances)) == 2
    cost = sum(rows**2 / variance for variance in variances)
    assert 0.9 / step.noise_multiplier**2 < cost <= 1 / step.noise_multiplier**2
    of_triples = sum(rows**2 / variance for variance in variances[len(pairs.marginals) :])
    assert of_triples == pytest.approx(share / step.noise_multiplier**2, rel=0.1)
    assert [axis[1] for axis in both.marginals[-1].axes] == [5 + c for c in TRIPLES[2]]
