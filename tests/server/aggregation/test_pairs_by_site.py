"""Replies by site: what differs between sites is found, what a site cannot know adds no noise."""

import numpy as np
import pytest

from fedsynth_common.protocol.codec import pack_counts
from fedsynth_server.aggregation.denoising import denoise, denoised_one_way
from fedsynth_server.aggregation.marginal_queries import MarginalQueries, MarginalQuery, summed
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.aggregation.pairs_by_site import (
    PairsBySite,
    best_weights,
    centred,
    pairs_by_site,
    single_site,
)

WIDTHS = (3, 4, 2)
PAIRS = ((0, 1), (0, 2), (1, 2))


def read(tables, std, seed=0):
    """`PairsBySite`, pooled marginals and pooled truth of sites with the given counts (3, 4, 2)."""
    rng = np.random.default_rng(seed)
    asked = tuple(
        MarginalQuery(tuple((c, c) for c in p), tuple(WIDTHS[c] for c in p)) for p in PAIRS
    )
    queries = MarginalQueries((), asked, max(1, round(std**2)))
    replies = {}
    for number, table in enumerate(tables):
        exact = [table.sum(tuple({0, 1, 2} - set(pair))) for pair in PAIRS]
        noisy = np.concatenate([(e + rng.normal(0, std, e.shape)).ravel() for e in exact])
        replies[f"site-{number}"] = pack_counts(noisy.round().astype(np.int64))
    sizes = {site: table.sum() for site, table in zip(replies, tables, strict=True)}
    whole, total = sum(tables), sum(sizes.values())
    counts = {site: queries.read(reply) for site, reply in replies.items()}
    pooled = [
        MarginalEstimate(
            columns=pair, frequencies=c / total, variance=queries.variance * len(tables) / total**2
        )
        for pair, c in zip(PAIRS, summed(counts.values()), strict=True)
    ]
    return pairs_by_site(queries, counts, sizes, WIDTHS), pooled, whole / total


def product(size, *frequencies):
    return size * np.einsum("i,j,k->ijk", *frequencies)


def pairs_of(truth):
    return {pair: truth.sum(tuple({0, 1, 2} - set(pair))) for pair in PAIRS}


def dependence(pair):
    return pair - np.outer(pair.sum(1), pair.sum(0))


def plain_dependence(pair, first):
    a, b = pair.columns
    return centred(pair.frequencies - np.outer(first[a].frequencies, first[b].frequencies))


LOW = ([0.7, 0.2, 0.1], [0.4, 0.3, 0.2, 0.1], [0.9, 0.1])
HIGH = ([0.1, 0.2, 0.7], [0.1, 0.2, 0.3, 0.4], [0.2, 0.8])


def test_without_noise_the_sites_margins_are_all_the_dependence_of_independent_sites():
    sites, _, truth = read([product(60_000, *LOW), product(30_000, *HIGH)], 0.0)
    assert sites.shares == pytest.approx([2 / 3, 1 / 3])
    for (a, b), pair in pairs_of(truth).items():
        assert sites.between(a, b) == pytest.approx(dependence(pair), abs=1e-4)


def test_alike_sites_differ_by_little_of_their_noise():
    for seed in range(5):
        sites, _, _ = read([product(2000, *LOW)] * 4, 60.0, seed)
        noise = 60.0 / 2000  # of a margin's cell, at least
        for deviations in sites.deviations:
            assert np.sqrt(np.square(deviations).mean()) < 0.5 * noise


def test_equal_sites_weigh_the_same():
    """Then the best estimate is the plain sum."""
    table = np.random.default_rng(0).dirichlet(np.ones(24)).reshape(WIDTHS) * 5000
    sites, pooled, _ = read([table] * 3, 0.0)
    first = denoised_one_way(pooled, WIDTHS)
    for pair in pooled:
        found, variance = sites.within(pair, first)
        assert found == pytest.approx(plain_dependence(pair, first), abs=1e-9)
        assert variance == pytest.approx(pair.variance)


def test_a_site_that_does_not_know_a_column_adds_no_noise_to_its_pairs():
    """Three of four sites have one value of column 2 only; pairs with it are as noisy as of one site."""
    rng = np.random.default_rng(1)
    linked = rng.dirichlet(np.ones(24)).reshape(WIDTHS) * 4000
    blind = np.zeros(WIDTHS)
    blind[:, :, 0] = linked.sum(2)
    ratios, errors, plain = [], [], []
    for seed in range(20):
        sites, pooled, truth = read([linked, blind, blind, blind], 40.0, seed)
        first = denoised_one_way(pooled, WIDTHS)
        for pair in pooled[1:]:
            within, variance = sites.within(pair, first)
            exact = centred(dependence(pairs_of(truth)[pair.columns]))
            ratios.append(variance / pair.variance)
            errors.append(np.square(within + centred(sites.between(*pair.columns)) - exact).sum())
            plain.append(np.square(plain_dependence(pair, first) - exact).sum())
    assert np.mean(ratios) < 0.5
    assert np.mean(errors) < 0.6 * np.mean(plain)


def test_no_claim_gives_a_site_more_weight_than_the_bound():
    rng = np.random.default_rng(0)
    for sites in (2, 5, 20):
        g = rng.lognormal(0, 3, (sites, 10_000))
        weights = best_weights(g)
        assert weights.max() <= (1 + sites**0.5) / 2 + 1e-9
        assert (np.square(weights).sum(0) <= sites + 1e-9).all()


def test_links_that_differ_between_sites_are_not_averaged_away():
    """A small site with a strong link, a large one with the opposite: the plain sum is right."""
    link = np.einsum("ij,k->ijk", np.eye(3, 4) + 0.05, [0.5, 0.5])
    turned = link[:, ::-1]
    sites, pooled, truth = read([link / link.sum() * 3e5, turned / turned.sum() * 1e5], 30.0)
    first = denoised_one_way(pooled, WIDTHS)
    within, variance = sites.within(pooled[0], first)
    exact = centred(dependence(pairs_of(truth)[0, 1])) - centred(sites.between(0, 1))
    assert np.abs(within - exact).max() < 2e-3
    assert variance <= pooled[0].variance * (1 + 1e-9)


def test_sites_known_by_their_sum_alone_give_the_pooled_dependence():
    _, pooled, _ = read([product(500, *LOW)] * 2, 3.0)
    first = denoised_one_way(pooled, WIDTHS)
    found, variance = single_site(pooled, WIDTHS).within(pooled[0], first)
    assert found == pytest.approx(plain_dependence(pooled[0], first), abs=1e-12)
    assert variance == pytest.approx(pooled[0].variance)


def error(cleaned, truth):
    """Sum of the absolute errors of the pairs' dependence."""
    found = {m.columns: dependence(m.frequencies) for m in cleaned.marginals[len(WIDTHS) :]}
    return sum(np.abs(found[p] - dependence(exact)).sum() for p, exact in pairs_of(truth).items())


def errors(tables, seeds):
    """Of denoising with the sites known and not known, by seed."""
    with_sites, without = [], []
    for seed in range(seeds):
        sites, pooled, truth = read(tables, 40.0, seed)
        with_sites.append(error(denoise(pooled, WIDTHS, sites), truth))
        without.append(error(denoise(pooled, WIDTHS), truth))
    return with_sites, without


def test_denoising_finds_what_only_differs_between_sites():
    tables = [product(1000, *LOW), product(1000, *HIGH)]
    with_sites, without = errors(tables, seeds=10)
    assert np.mean(with_sites) < 0.85 * np.mean(without)


def test_denoising_with_sites_that_differ_comes_closer_to_the_truth():
    rng = np.random.default_rng(2)
    tables = [
        rng.multinomial(size, rng.dirichlet(np.full(24, 0.5))).reshape(WIDTHS).astype(float)
        for size in (900, 500, 200, 100)
    ]
    with_sites, without = errors(tables, seeds=20)
    assert np.mean(with_sites) < 0.95 * np.mean(without)


def test_cells_of_no_difference_are_handled():
    """Columns of one code, and sites without a single record in a pair."""
    sites = PairsBySite(
        np.array([0.5, 0.5]), [np.zeros((2, 1))] * 2, {(0, 1): np.full((2, 1, 1), 0.5)}
    )
    one = MarginalEstimate(columns=(0, 1), frequencies=np.ones((1, 1)), variance=1e-4)
    first = [
        MarginalEstimate(columns=(j,), frequencies=np.ones(1), variance=1e-4) for j in range(2)
    ]
    within, variance = sites.within(one, first)
    assert within == pytest.approx(np.zeros((1, 1)))
    assert np.isfinite(variance)
