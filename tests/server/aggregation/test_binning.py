"""The choice of bins from noisy counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedsynth_common.errors import InputError
from fedsynth_common.schema import BooleanColumn, CategoricalColumn, IntegerColumn, Schema, domains
from fedsynth_release.decoding.codebook import group_totals
from fedsynth_server.aggregation.binning import FEW_BINS, build_codebook


def number(maximum=999, **fields):
    return Schema(
        name="s", columns=(IntegerColumn(name="n", minimum=0, maximum=maximum, **fields),)
    )


def labels(count, **fields):
    texts = tuple(f"v{k:03}" for k in range(count))
    return Schema(name="s", columns=(CategoricalColumn(name="c", categories=texts, **fields),))


def bell(total, width=256):
    weight = np.exp(-0.5 * ((np.arange(width) - 90) / 30) ** 2)
    return total * weight / weight.sum()


def spread(schema, counts, sigma, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma, len(counts)) if sigma else 0.0
    return build_codebook(schema, [counts + noise], [sigma])


def test_bins_without_noise_have_near_equal_mass():
    counts = bell(50_000)
    book = spread(number(), counts, 0.0)
    masses = group_totals(book.views[0], counts)
    assert len(masses) == 24
    assert masses.max() < 2 * counts.sum() / 24
    np.testing.assert_allclose(book.shapes[0], counts / masses[book.views[0]], atol=1e-9)


def test_bins_are_contiguous_apart_from_heavy_leaves():
    book = spread(number(), bell(50_000), 5.0)
    assert (np.diff(book.views[0].astype(int)) >= 0).all()


def test_a_heavy_leaf_is_its_own_bin():
    counts = bell(20_000)
    counts[[0, 40, 250]] += 5_000  # the last one among leaves that are all but empty
    for sigma in (0.0, 40.0):
        view = spread(number(), counts, sigma).views[0]
        for leaf in (0, 40, 250):
            assert np.count_nonzero(view == view[leaf]) == 1
        assert len(np.unique(view)) <= 24


def test_a_spike_of_noise_is_no_heavy_leaf():
    for seed in range(10):
        view = spread(number(), np.full(256, 5.0), 60.0, seed).views[0]
        assert np.bincount(view).min() > 1


def test_noise_makes_fewer_and_larger_bins():
    widths = [spread(number(), bell(20_000), sigma).widths[0] for sigma in (0, 20, 100, 400)]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == 24
    assert 2 <= widths[-1] < 8


@pytest.mark.parametrize("sigma", [10.0, 60.0])
def test_bins_do_not_drown_in_noise(sigma):
    """The worst bin's noise over its true mass: a third is asked of what was seen."""
    counts, worst = bell(30_000), []
    for seed in range(40):
        view = spread(number(), counts, sigma, seed).views[0]
        worst.append((sigma * np.sqrt(np.bincount(view)) / group_totals(view, counts)).max())
    assert np.median(worst) < 0.5


def test_bins_that_may_be_noisier_are_more():
    counts, sigma = bell(5_000), 80.0
    noisy = counts + np.random.default_rng(1).normal(0, sigma, len(counts))
    books = [build_codebook(number(), [noisy], [sigma], bin_noise=share) for share in (1 / 3, 0.7)]
    assert books[1].widths[0] > 1.5 * books[0].widths[0]
    worst = [
        (sigma * np.sqrt(np.bincount(book.views[0])) / group_totals(book.views[0], counts)).max()
        for book in books
    ]
    assert worst[0] < worst[1] < 1.0


def test_only_few_bins_may_be_noisier():
    for sigma in (2.0, 40.0):
        noisy = bell(5_000) + np.random.default_rng(1).normal(0, sigma, 256)
        usual, found = (
            build_codebook(number(), [noisy], [sigma], bin_noise=share).widths[0]
            for share in (1 / 3, 0.7)
        )
        assert found == usual if usual >= FEW_BINS else found <= FEW_BINS


def test_nothing_but_noise_still_gives_two_bins_and_flat_shapes():
    for counts in (np.zeros(256), np.full(256, -5.0)):
        book = build_codebook(number(), [counts], [10.0])
        assert book.widths == (2,)
        np.testing.assert_allclose(book.shapes[0], 1 / 128, rtol=0.02)


def test_shapes_under_noise_come_nearer_to_the_truth_than_flat_ones():
    counts = np.round(bell(20_000))
    counts[100:140:5] += 600  # round numbers that people like to write down
    for seed in range(5):
        book = spread(number(), counts, 25.0, seed)
        view, masses = book.views[0], group_totals(book.views[0], counts)
        flat = 1 / np.bincount(view)[view]
        errors = [np.abs(s * masses[view] - counts).sum() for s in (book.shapes[0], flat)]
        assert errors[0] < 0.75 * errors[1]


def test_short_ranges_and_missing_keep_their_codes():
    assert spread(number(20, nullable=True), np.zeros(22), 50.0).widths == (22,)
    schema = number(nullable=True)
    (domain,) = domains(schema)
    view = spread(schema, np.zeros(domain.width), 50.0).views[0]
    assert np.count_nonzero(view == view[domain.missing]) == 1


def with_atoms(masses, sigma):
    """View and domain of 0..999 with a flat body and atoms at 10, 110, ... of these masses."""
    schema = number(atoms=tuple(10 + 100 * k for k in range(len(masses))))
    (domain,) = domains(schema)
    counts = np.concatenate([masses, np.full(domain.leaves, 200.0)])
    return spread(schema, counts, sigma).views[0].astype(int), domain


def test_an_atom_that_stands_out_has_a_code_of_its_own():
    view, _ = with_atoms([400.0, 0.0], sigma=40.0)
    assert np.count_nonzero(view == view[0]) == 1


def test_an_atom_that_drowns_shares_the_bin_of_the_values_around_it():
    view, domain = with_atoms([400.0, 0.0], sigma=40.0)
    leaf = np.searchsorted(domain.ticks, 110, side="right") - 1
    assert view[1] in view[domain.atoms :][leaf - 1 : leaf + 1]


@pytest.mark.parametrize("leaves", [17, 18, 24, 25])
def test_few_leaves_beside_many_atoms_keep_their_codes(leaves):
    """Every leaf beyond its fair share of a bin, and every atom apart: nothing is left to bin."""
    schema = number(leaves - 1, atoms=tuple(range(8)))
    (domain,) = domains(schema)
    book = build_codebook(schema, [np.full(domain.width, 500.0)], [1.0])
    assert book.widths[0] == 8 + min(leaves, 24)


def test_of_many_atoms_eight_have_codes_of_their_own():
    view, _ = with_atoms(np.repeat([300.0, 600.0], [2, 8]), sigma=10.0)
    alone = [np.count_nonzero(view == view[atom]) == 1 for atom in range(10)]
    assert alone == [False] * 2 + [True] * 8
    assert view.max() + 1 <= 24 + 8


def test_few_categories_are_left_alone():
    book = build_codebook(labels(20, nullable=True), [np.zeros(22)], [100.0])
    assert book.widths == (22,)


def test_rare_categories_share_one_code():
    counts = np.concatenate([np.full(5, 900.0), np.arange(45.0), [3.0, 2.0]])
    book = build_codebook(labels(50, nullable=True), [counts], [20.0])
    view, shape = book.views[0], book.shapes[0]
    assert book.widths == (8,)  # five frequent, one for the rare, other, missing
    assert len(set(view[5:50])) == 1
    assert len({view[5], view[50], view[51]}) == 3
    order = shape[5:50]
    assert order[:15].sum() < order[15:30].sum() < order[30:].sum()


def test_rare_categories_without_mass_are_drawn_evenly():
    counts = np.concatenate([[900.0], np.full(50, -1.0)])
    book = build_codebook(labels(50), [counts], [20.0])
    np.testing.assert_allclose(book.shapes[0][1:50], 1 / 49)


def test_without_noise_no_category_is_merged():
    assert build_codebook(labels(50), [np.zeros(51)], [0.0]).widths == (51,)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 1.0, 30.0, 1e4]),
    st.integers(2, 40),
    st.booleans(),
    st.sampled_from([0, 9, 24, 30, 9999]),
    st.integers(0, 40),
)
def test_any_histogram_gives_a_valid_deterministic_codebook(
    seed, sigma, max_bins, nullable, maximum, atoms
):
    special = tuple(range(min(atoms, maximum + 1)))
    schema = Schema(
        name="s",
        columns=(
            IntegerColumn(name="n", minimum=0, maximum=maximum, atoms=special, nullable=nullable),
            *labels(60, nullable=nullable).columns,
            BooleanColumn(name="b"),
        ),
    )
    rng = np.random.default_rng(seed)
    counts = [
        rng.pareto(0.6, d.width) * 10 + rng.normal(0, sigma, d.width) for d in domains(schema)
    ]
    one, two = (build_codebook(schema, counts, [sigma] * 3, max_bins) for _ in range(2))
    assert one.widths[0] <= max_bins + 8 + nullable
    for left, right in zip((*one.views, *one.shapes), (*two.views, *two.shapes), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("histograms", "sigmas", "max_bins", "fault"),
    [
        ([np.zeros(3)], [1.0], 24, "column 'n': expected 256 finite counts"),
        ([np.full(256, np.nan)], [1.0], 24, "column 'n': expected 256 finite"),
        ([np.zeros(256)], [-1.0], 24, "column 'n': the noise"),
        ([np.zeros(256)], [np.inf], 24, "column 'n': the noise"),
        ([], [], 24, "of 1 columns"),
        ([np.zeros(256)], [1.0], 1, "max_bins"),
    ],
)
def test_unusable_histograms_are_refused(histograms, sigmas, max_bins, fault):
    with pytest.raises(InputError, match=fault):
        build_codebook(number(), histograms, sigmas, max_bins)
