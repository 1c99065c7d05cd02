"""From noisy histograms to codebook, shares and margins."""

import numpy as np
import pytest
from small_study import SCHEMA, SITES, make_frame, make_small_plan

from fedsynth_client.vault.checks import measurement_of
from fedsynth_client.vault.measure import contingency
from fedsynth_common.encoding import encode
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import pack_counts
from fedsynth_common.schema import domains
from fedsynth_server.aggregation.histograms import consistent, read_histograms
from fedsynth_server.aggregation.marginal_queries import histogram_queries
from fedsynth_server.aggregation.marginals import estimated_size

DOMAINS = domains(SCHEMA)


@pytest.fixture(scope="module")
def queries():
    return histogram_queries(DOMAINS, make_small_plan("both").measure[0], 1)


def exact_replies(queries, sizes):
    """Noise-free answers of sites with the given numbers of records."""
    plan = make_small_plan("both")
    request = pb.MeasureRequest.FromString(queries.request(plan, plan.measure[0]))
    asked = measurement_of(request, plan, SCHEMA)
    replies = {}
    for seed, (site, rows) in enumerate(zip(SITES, sizes, strict=True)):
        codes = encode(make_frame(rows, seed), SCHEMA).codes
        exact = pack_counts(np.concatenate(contingency(codes, asked.views, asked.marginals)))
        replies[site] = queries.read(exact)
    return replies


def read(queries, counts):
    sizes = {
        site: estimated_size(tables, float(queries.variance)) for site, tables in counts.items()
    }
    return read_histograms(SCHEMA, DOMAINS, queries, counts, sizes)


def test_consistency_is_the_least_squares_solution():
    rng = np.random.default_rng(1)
    view = np.array([0, 0, 0, 1, 2, 2])
    fine, coarse = rng.normal(10, 3, 6), rng.normal(30, 3, 3)
    group = np.eye(3)[view].T
    design = np.vstack([np.eye(6), group])
    expected = np.linalg.lstsq(design, np.concatenate([fine, coarse]), rcond=None)[0]
    assert consistent(fine, coarse, view) == pytest.approx(expected)


def test_exact_answers_give_exact_numbers(queries):
    histograms = read(queries, exact_replies(queries, (300, 600, 100)))
    assert histograms.records == pytest.approx(1000)
    assert histograms.shares == pytest.approx({"north": 0.3, "south": 0.6, "west": 0.1})
    for j, marginal in enumerate(histograms.one_way):
        assert marginal.columns == (j,)
        assert marginal.frequencies.shape == (histograms.codebook.widths[j],)
        assert marginal.frequencies.sum() == pytest.approx(1.0)
        assert marginal.variance > 0


def test_a_site_with_next_to_nothing_keeps_a_tenth_of_an_even_share(queries):
    shares = read(queries, exact_replies(queries, (990, 980, 2))).shares
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["west"] == pytest.approx(0.1 / 3, rel=0.05)


def test_nothing_but_noise_is_still_usable(queries):
    """A site may clamp, or have no records: numbers stay finite and positive."""
    size = sum(int(np.prod(query.shape)) for query in queries.marginals)
    for value in (0, -(2**31) + 1, 2**31 - 1):
        replies = {site: queries.read(pack_counts(np.full(size, value))) for site in SITES}
        histograms = read(queries, replies)
        assert histograms.records >= 1
        assert all(np.isfinite(m.frequencies).all() for m in histograms.one_way)
        assert sum(histograms.shares.values()) == pytest.approx(1.0)
