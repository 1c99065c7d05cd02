"""What a study reads from one opened sum: its noise, its records, and what cannot be a sum."""

import numpy as np
import pytest
from small_study import DELTA, SCHEMA, make_frame

from fedsynth_client.records.records import load_records
from fedsynth_client.vault.measure import Axis, Marginal, contingency
from fedsynth_common.errors import FedsynthError
from fedsynth_common.privacy.noise import noisy_counts
from fedsynth_common.privacy.randomness import SeededRandomness
from fedsynth_common.privacy.secure_noise import share_variance
from fedsynth_common.schema import domains
from fedsynth_server.aggregation.marginal_queries import (
    all_pairs,
    histogram_queries,
    marginal_queries,
)
from fedsynth_server.messages.secure_session import OpenedSum
from fedsynth_server.study.planning import make_plan
from fedsynth_server.study.roster import make_secure_sum
from fedsynth_server.study.summed import SummedMeasurements

SITES = ("a", "b", "c", "d", "e")
ROWS = 2_000
KEYS = {site: f"{i}" * 64 for i, site in enumerate(SITES)}
PLAN = make_plan(
    study="study",
    table=SCHEMA,
    sites=SITES,
    records_per_site=ROWS,
    epsilon=3.0,
    delta=DELTA,
    secure_sum=make_secure_sum(SITES, KEYS),
)
RECORDS = {
    site: load_records(make_frame(ROWS, seed), SCHEMA, SeededRandomness(seed))
    for seed, site in enumerate(SITES)
}


class Sums:
    """Exact counts of the sites' records with each site's share of the noise, added up in the open.

    It stands in for the masks alone: they cancel, which the tests of the protocol show.
    """

    def __init__(self, *present):
        self.present, self.broken = list(present), False

    def measure(self, queries, index):
        sites = self.present[index]
        asked = [
            Marginal(
                tuple(
                    Axis(column, width, None if view == -1 else view)
                    for (column, view), width in zip(query.axes, query.shape, strict=True)
                ),
                queries.variance,
            )
            for query in queries.marginals
        ]
        share = share_variance(queries.variance, PLAN.noise_shares) ** 0.5
        total = [np.zeros(query.shape) for query in queries.marginals]
        for i, site in enumerate(sites):
            counts = contingency(RECORDS[site].codes, queries.views, asked)
            for table, own in zip(total, counts, strict=True):
                noisy = noisy_counts(own, share, SeededRandomness(10 * index + i))
                table += noisy.reshape(table.shape)
        if self.broken:
            total[0].flat[0] -= 1e6
        return OpenedSum(total, tuple(sites))


def measured(session):
    summed = SummedMeasurements(PLAN, domains(SCHEMA), session)
    first = histogram_queries(summed.domains, PLAN.measure[0], 1)
    histograms = summed.histograms(first, 100)
    pairs = marginal_queries(
        histograms.codebook, all_pairs(len(summed.domains)), PLAN.measure[1], 1
    )
    answers = summed.answers(pairs, histograms, 1)
    return pairs, histograms, *summed.marginals(*answers, histograms)


@pytest.mark.parametrize("present", [SITES, SITES[:4]])
def test_the_noise_of_a_sum_is_that_of_the_sites_in_it(present):
    pairs, histograms, marginals, by_site = measured(Sums(present, present))
    share = share_variance(pairs.variance, PLAN.noise_shares)
    pair = marginals[-1]
    assert pair.variance == pytest.approx(share * len(present) / histograms.records**2)
    assert histograms.records == pytest.approx(ROWS * len(present), rel=0.05)
    assert pair.frequencies.sum() == pytest.approx(1.0, abs=0.05)
    assert len(by_site.shares) == 1  # nobody knows a pair of one site


def test_a_site_that_goes_between_two_sums_takes_its_records_with_it():
    _, histograms, marginals, _ = measured(Sums(SITES, SITES[:4]))
    assert histograms.records == pytest.approx(5 * ROWS, rel=0.05)
    assert marginals[-1].frequencies.sum() == pytest.approx(1.0, abs=0.05)


def test_a_sum_that_cannot_be_one_of_records_stops_the_study():
    session = Sums(SITES, SITES)
    session.broken = True
    with pytest.raises(FedsynthError, match="cannot be one of records"):
        measured(session)


def test_a_sum_of_far_more_records_than_declared_stops_the_study(monkeypatch):
    monkeypatch.setattr("fedsynth_server.aggregation.plausibility.LARGEST", 0.5)
    with pytest.raises(FedsynthError, match="records that the plan declares"):
        measured(Sums(SITES, SITES))
