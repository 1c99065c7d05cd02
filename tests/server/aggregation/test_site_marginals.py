"""What the sites' own one-way marginals add to pairs of which only the sum is known."""

import numpy as np
import pytest

from fedsynth_common.errors import FedsynthError
from fedsynth_server.aggregation.denoising import denoise
from fedsynth_server.aggregation.marginal_queries import MarginalQueries, MarginalQuery
from fedsynth_server.aggregation.marginals import MarginalEstimate, one_way_marginals
from fedsynth_server.aggregation.pairs_by_site import single_site
from fedsynth_server.aggregation.site_marginals import (
    implausible,
    read_site_marginals,
    refuse_other_records,
)

WIDTHS, RECORDS = (6, 8), {"a": 3_000, "b": 2_000, "c": 5_000}
QUERIES = MarginalQueries(
    (), tuple(MarginalQuery(((j, -1),), (width,)) for j, width in enumerate(WIDTHS)), 100
)


def truth(seed, apart=1.0):
    """Frequencies of both columns at every site, which are independent of each other within it."""
    rng = np.random.default_rng(seed)
    whole = [rng.dirichlet(np.full(width, 3.0)) for width in WIDTHS]
    return {
        site: [(1 - apart) * p + apart * rng.dirichlet(np.full(p.size, 1.0)) for p in whole]
        for site in RECORDS
    }


def answers(sites, seed, variance=100.0):
    rng = np.random.default_rng(seed)
    return {
        site: [RECORDS[site] * p + rng.normal(0, variance**0.5, p.size) for p in columns]
        for site, columns in sites.items()
    }


def summed_pair(sites, seed, variance):
    total = sum(RECORDS.values())
    exact = sum(RECORDS[s] * np.outer(*columns) for s, columns in sites.items()) / total
    noise = np.random.default_rng(seed).normal(0, variance**0.5, exact.shape) / total
    pair = MarginalEstimate(columns=(0, 1), frequencies=exact + noise, variance=variance / total**2)
    return exact, pair


def error(marginals, by_site, exact):
    cleaned = denoise(marginals, WIDTHS, by_site).marginals[-1].frequencies
    return float(np.abs(cleaned - exact).sum() / 2)


def test_they_explain_what_comes_from_differences_between_sites():
    """Independent columns within sites that differ: all dependence is between the sites."""
    with_sites, without = [], []
    for seed in range(12):
        sites = truth(seed)
        exact, pair = summed_pair(sites, seed, variance=2_500.0)
        own = read_site_marginals(QUERIES, answers(sites, seed), WIDTHS)
        with_sites.append(error([*own.pooled, pair], own.by_site, exact))
        without.append(error([*own.pooled, pair], single_site([pair], WIDTHS), exact))
    assert np.mean(with_sites) < 0.8 * np.mean(without)


def test_like_sites_are_found_to_be_alike():
    sites = truth(3, apart=0.0)
    own = read_site_marginals(QUERIES, answers(sites, 4), WIDTHS)
    assert np.abs(own.by_site.between(0, 1)).max() < 1e-4
    assert own.by_site.shares == pytest.approx([0.3, 0.2, 0.5], abs=0.02)


def test_nothing_of_a_pair_is_lost_whichever_sites_answered():
    """Product, part between the sites and the rest are the pair that was measured."""
    sites = truth(5)
    _, pair = summed_pair(sites, 5, variance=1.0)
    one_way = one_way_marginals([pair], WIDTHS)
    two = {site: tables for site, tables in answers(sites, 5).items() if site != "b"}
    for answered in (answers(sites, 5), two):
        by_site = read_site_marginals(QUERIES, answered, WIDTHS).by_site
        rest, variance = by_site.within(pair, one_way)
        product = np.outer(one_way[0].frequencies, one_way[1].frequencies)
        again = product + by_site.between(0, 1) + rest
        assert np.abs(again - pair.frequencies).max() < 0.02
        assert variance == pair.variance


def test_a_site_whose_counts_cannot_be_true_is_named():
    counts = answers(truth(6), 6)
    assert implausible(QUERIES, counts, declared=3_000) == {}
    counts["b"][0] = counts["b"][0] * 3
    assert "disagree" in implausible(QUERIES, counts, declared=3_000)["b"]
    counts["b"] = [table * 1e4 for table in answers(truth(6), 6)["b"]]
    assert "50 times" in implausible(QUERIES, counts, declared=3_000)["b"]


def test_a_sum_of_other_records_than_the_sites_show_is_refused():
    sites = truth(7)
    total = float(sum(RECORDS.values()))
    counts = answers(sites, 7)
    _, pair = summed_pair(sites, 7, variance=400.0)
    refuse_other_records(QUERIES, counts, one_way_marginals([pair], WIDTHS), total)
    shifted = pair.frequencies.copy()
    shifted[0] += 600 / total  # records of one value that nobody has
    lied = MarginalEstimate(columns=(0, 1), frequencies=shifted, variance=pair.variance)
    with pytest.raises(FedsynthError, match="not those of their sum"):
        refuse_other_records(QUERIES, counts, one_way_marginals([lied], WIDTHS), total)
