"""Marginal queries: the vault's own checks accept them, and answers are read back in place."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_study import SCHEMA, make_frame, make_small_plan

from fedsynth_client.records.records import Records
from fedsynth_client.vault.checks import measurement_of
from fedsynth_client.vault.measure import contingency
from fedsynth_common.encoding import encode
from fedsynth_common.errors import RefusalError
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import pack_counts
from fedsynth_common.protocol.counting import noise_multiplier
from fedsynth_common.protocol.plan import MeasureStep
from fedsynth_common.schema import IntegerColumn, NumericColumn, Schema, domains
from fedsynth_release.decoding import Codebook
from fedsynth_server.aggregation.marginal_queries import (
    COARSE,
    all_pairs,
    coarse_view,
    histogram_queries,
    marginal_queries,
    summed,
    variance_for,
)


@pytest.fixture(scope="module")
def plan():
    return make_small_plan("both")


@pytest.fixture(scope="module")
def records():
    return Records(encode(make_frame(), SCHEMA).codes)


def queries_of(plan):
    fine = histogram_queries(domains(SCHEMA), plan.measure[0], 1)
    pairs = marginal_queries(
        Codebook.identity(SCHEMA), [(0, 1), (1, 3), (0, 2, 3)], plan.measure[1], 1
    )
    return [(fine, plan.measure[0]), (pairs, plan.measure[1])]


@pytest.mark.parametrize("which", [0, 1])
def test_a_site_accepts_the_order_and_its_exact_answer_reads_back(plan, records, which):
    queries, step = queries_of(plan)[which]
    request = pb.MeasureRequest.FromString(queries.request(plan, step))
    assert request.plan_digest.hex() == plan.digest
    measurement = measurement_of(request, plan, SCHEMA)
    exact = contingency(records.codes, measurement.views, measurement.marginals)
    answer = pack_counts(np.concatenate(exact))
    for query, counts in zip(queries.marginals, queries.read(answer), strict=True):
        assert counts.shape == query.shape
        assert counts.sum() == len(records)
    views = Codebook.identity(SCHEMA).apply(records.codes)
    for query, counts in zip(queries.marginals, queries.read(answer), strict=True):
        if query.shape != (COARSE,) and len(query.columns) > 1:
            brute = np.zeros(query.shape)
            np.add.at(brute, tuple(views[:, c] for c in query.columns), 1)
            assert (counts == brute).all()


@pytest.mark.parametrize("which", [0, 1])
def test_the_noise_is_the_least_that_the_plan_allows(plan, which):
    queries, step = queries_of(plan)[which]
    spent = noise_multiplier(
        [queries.variance] * len(queries.marginals), [1] * len(queries.marginals)
    )
    assert spent >= step.noise_multiplier * (1 - 1e-9)
    less = noise_multiplier(
        [queries.variance - 1] * len(queries.marginals), [1] * len(queries.marginals)
    )
    assert less < step.noise_multiplier


@given(st.integers(1, 2000), st.integers(1, 50), st.floats(0.1, 500))
def test_variance_never_undercuts_the_plan(items, rows, multiplier):
    step = MeasureStep(step=1, purpose="marginals", noise_multiplier=multiplier)
    variance = variance_for(items, step, rows)
    assert noise_multiplier([variance] * items, [rows] * items) >= multiplier * (1 - 1e-9)
    assert variance <= math.ceil(items * rows**2 * multiplier**2)


def test_the_sum_adds_the_sites(plan):
    queries, _ = queries_of(plan)[0]
    answers = [[np.full(query.shape, k) for query in queries.marginals] for k in (1, 2, 3)]
    assert all((counts == 6).all() for counts in summed(answers))


@pytest.mark.parametrize("wrong", [b"", b"\x00" * 4])
def test_an_answer_of_another_length_is_refused(plan, wrong):
    with pytest.raises(RefusalError):
        queries_of(plan)[0][0].read(wrong)


@pytest.mark.parametrize(
    "column",
    [
        IntegerColumn(name="x", minimum=0, maximum=99, nullable=True),
        IntegerColumn(name="x", minimum=0, maximum=5000, atoms=(0, 7)),
        NumericColumn(name="x", minimum=0.0, maximum=9.0, atoms=(0.0,), nullable=True),
        NumericColumn(name="x", minimum=0.0, maximum=9.0),
    ],
)
def test_coarse_views_keep_atoms_and_missing_apart(column):
    (domain,) = domains(Schema(name="s", columns=(column,)))
    view = coarse_view(domain)
    assert view.shape == (domain.width,)
    assert set(view.tolist()) == set(range(int(view.max()) + 1))
    leaves = view[domain.atoms : domain.atoms + domain.leaves]
    assert (np.diff(leaves.astype(int)) >= 0).all()
    assert len(set(leaves.tolist())) == COARSE
    sizes = np.bincount(leaves)[domain.atoms :]
    assert sizes.max() - sizes.min() <= 1
    alone = [*view[: domain.atoms], *view[domain.atoms + domain.leaves :]]
    assert all((view == group).sum() == 1 for group in alone)


@given(st.integers(1, 30))
def test_all_pairs_are_all_pairs_once(columns):
    pairs = all_pairs(columns)
    assert len(set(pairs)) == len(pairs) == columns * (columns - 1) // 2
    assert all(a < b for a, b in pairs)
