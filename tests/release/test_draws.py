"""What records are drawn with: codes by groups, cells by the alias method, ticks by rank."""

import numpy as np
import pytest
from scipy import stats

from fedsynth_common.schema import IntegerColumn, domain_of
from fedsynth_common.schema.tick_set import TickSet
from fedsynth_release.decoding.cell_draws import CellDraws
from fedsynth_release.decoding.cell_ticks import EXACT, CellTicks, leaf_values
from fedsynth_release.sampling.latents import Groups, cumulative


def test_the_codes_of_a_group_are_as_many_as_its_points_below_each_share():
    rng = np.random.default_rng(0)
    table = cumulative(rng.dirichlet(np.full(6, 0.4), size=50)).astype(np.float32)
    latent = np.sort(rng.integers(50, size=3000))
    codes = Groups.of(latent).codes(table, rng)
    for group in np.unique(latent):
        here = codes[latent == group]
        assert (np.diff(here.astype(int)) >= 0).all()  # points ascend inside a group
        below = np.array([(here <= code).sum() for code in range(6)])
        assert np.abs(below - len(here) * table[group]).max() < 1


def test_a_code_has_its_probability_in_a_group_of_any_size():
    """Groups of one and of three rows, 30,000 of each: no part of a group is favoured."""
    rng = np.random.default_rng(1)
    table = cumulative(np.array([[0.3, 0.0, 0.5, 0.2]])).astype(np.float32)
    for size in (1, 3):
        groups = Groups.of(np.zeros(size, dtype=int))
        seen = np.concatenate([groups.codes(table, rng) for _ in range(30_000 // size)])
        assert set(seen) == {0, 2, 3}
        expected = len(seen) * np.array([0.3, 0.5, 0.2])
        assert stats.chisquare(np.bincount(seen)[[0, 2, 3]], expected).pvalue > 1e-4


def test_shuffling_keeps_rows_in_their_group_and_every_order_is_as_likely():
    rng, latent = np.random.default_rng(2), np.array([5, 0, 5, 5, 0])
    orders = [tuple(Groups.of(latent).shuffled(rng)) for _ in range(6000)]
    assert {tuple(sorted(order[:2])) for order in orders} == {(1, 4)}
    counts = np.unique([str(order[2:]) for order in orders], return_counts=True)[1]
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > 1e-4


def test_an_alias_table_draws_each_cell_by_its_share_of_its_code():
    rng = np.random.default_rng(3)
    view = rng.permutation(np.repeat([0, 1, 2], [1, 9, 40]))
    shape = rng.random(50) ** 3 * (rng.random(50) < 0.8)
    shape /= np.bincount(view, weights=shape)[view]
    draws = CellDraws.of(view, shape)
    for code in (1, 2):
        cells = draws.draw(np.full(60_000, code, dtype=np.uint16), rng)
        held = np.flatnonzero((view == code) & (shape > 0))
        counts = np.bincount(cells, minlength=50)
        assert counts.sum() == counts[held].sum()
        expected = shape[held] / shape[held].sum() * 60_000
        assert stats.chisquare(counts[held], expected).pvalue > 1e-4


def test_ticks_leave_out_what_has_a_cell_of_its_own():
    column = IntegerColumn(name="n", minimum=0, maximum=9999, atoms=(3, 500), nullable=True)
    domain = domain_of(column)
    ticks = CellTicks.of(domain, leaf_values(domain))
    assert ticks.gaps is not None
    rng, leaf = np.random.default_rng(4), int(np.searchsorted(domain.ticks, 500, "right")) - 1
    drawn = ticks.draw(np.full(20_000, domain.atoms + leaf), rng)
    inside = sorted(set(range(domain.ticks[leaf], domain.ticks[leaf + 1])) - {500})
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == inside
    assert stats.chisquare(counts).pvalue > 1e-4
    assert ticks.draw(np.array([0, 1]), rng).tolist() == [3, 500]


@pytest.mark.parametrize("size", [1000, 8 * EXACT])
def test_the_last_value_of_a_leaf_can_be_drawn_and_the_next_cannot(size):
    domain = domain_of(IntegerColumn(name="n", minimum=0, maximum=1))
    held = TickSet([0], [size])
    ticks = CellTicks(np.array([0, 7]), np.array([size, 1]), None, 0, 2)
    drawn = ticks.draw(np.zeros(50_000, dtype=np.int64), np.random.default_rng(5))
    assert drawn.min() >= 0
    assert drawn.max() < len(held)
    assert len(np.unique(drawn % 2)) == 2  # odd ones too, however many there are
    assert domain.width == 2
