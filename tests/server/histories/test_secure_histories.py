"""Persons with events through a secure sum: blocks of all sites as one, with one noise."""

import numpy as np
import pytest
from scipy.stats import chi2
from small_histories import HISTORIES, visits
from small_study import SETTINGS

from fedsynth_client.records.records import load_records
from fedsynth_client.vault.checks import measurement_of
from fedsynth_client.vault.measure import contingency
from fedsynth_common.privacy.randomness import SeededRandomness
from fedsynth_common.privacy.secure_noise import share_variance
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.counting import Over
from fedsynth_common.schema import domains, history_schema, layout_of
from fedsynth_common.secure_sum.terms import pack_parties
from fedsynth_release.generator import Generator
from fedsynth_server.histories.blocks import block_queries, blocks_of, history_histograms, lags_for
from fedsynth_server.messages.exchange import Timing
from fedsynth_server.messages.secure_session import SecureSums
from fedsynth_server.messages.session import Session
from fedsynth_server.study.planning import make_plan
from fedsynth_server.study.roster import make_secure_sum
from fedsynth_server.study.summed import ALL, SummedMeasurements
from fedsynth_simulations.federation import in_process, new_keys, public_hex
from fedsynth_simulations.simulate import Simulation, simulate

SITES = ("north", "south", "west", "east")
PERSONS = 250
FRAMES = {site: visits(PERSONS, seed) for seed, site in enumerate(SITES)}


def test_a_generator_learns_histories_from_sums(tmp_path):
    simulation = Simulation(
        epsilon=40.0,
        delta=1e-5,
        study="visits",
        records_per_site=PERSONS,
        seed=1,
        trust="secure-sum",
        settings=SETTINGS.model_copy(update={"fit_steps": 100, "latents": 64}),
    )
    result = simulate(FRAMES, HISTORIES, simulation, tmp_path)
    assert result.plan.trust == "secure-sum"
    drawn = Generator.load(tmp_path / "generator").sample(1000, seed=0)
    lengths = drawn.groupby(["id", "sex"]).size().reset_index(name="n")
    assert (lengths[lengths["sex"] == "f"]["n"] == 3).mean() > 0.8
    assert (lengths[lengths["sex"] == "m"]["n"] == 1).mean() > 0.8


@pytest.fixture
def measured():
    """The sums of a study: the queries, what was asked, and what came."""
    keys = new_keys(SITES)
    public = {site: public_hex(key) for site, key in keys.items()}
    plan = make_plan(
        study="visits",
        table=HISTORIES,
        sites=SITES,
        records_per_site=PERSONS,
        epsilon=5.0,
        delta=1e-5,
        secure_sum=make_secure_sum(SITES, public),
    )
    grid = in_process(FRAMES, plan, None, keys)
    session = Session(plan, grid, Timing(deadline=30.0, poll=0.01))
    session.enroll()
    summed = SummedMeasurements(plan, domains(history_schema(HISTORIES)), SecureSums(session))
    return plan, grid, summed


def asked_of(plan, histograms):
    layout = layout_of(plan.table)
    blocks = blocks_of(layout, [1.0] * len(layout.columns), lags_for(plan.epsilon))
    return block_queries(blocks, histograms.codebook, layout, plan.measure[1])


def test_the_noise_is_that_of_the_sites_in_the_sum(measured):
    plan, _, summed = measured
    first = history_histograms(summed.domains, layout_of(plan.table), plan.measure[0])
    histograms = summed.histograms(first, 0)
    assert histograms.records == pytest.approx(4 * PERSONS, rel=0.1)
    asked = asked_of(plan, histograms)
    queries, counts, histograms = summed.blocks(asked, histograms)
    assert list(counts) == list(histograms.shares) == [ALL]
    found = {True: [], False: []}
    for query, table, exact in zip(
        queries.marginals, counts[ALL], exact_sums(plan, asked), strict=True
    ):
        noise = (table.ravel() - exact / query.weight) / query.spread
        found[query.over is Over.PERSONS].append(noise)
    of_events, of_persons = (np.concatenate(found[persons]) for persons in (False, True))
    assert is_of_variance(of_events, queries.variance)
    assert is_of_variance(of_persons, share_variance(asked.variance, 3) * 4)


def is_of_variance(noise, variance):
    """Whether normal noise has this variance; true in all but one of ten thousand trials if it has."""
    low, high = chi2.ppf([5e-5, 1 - 5e-5], noise.size) / noise.size
    return low < np.square(noise).mean() / variance < high


def exact_sums(plan, asked):
    """The sites' counts without noise."""
    request = pb.MeasureRequest.FromString(asked.request(plan, plan.measure[1]))
    request.parties = pack_parties(range(4))
    checked = measurement_of(request, plan, HISTORIES)
    total = 0
    for frame in FRAMES.values():
        records = load_records(frame, HISTORIES, SeededRandomness(0))
        counts = contingency(records.codes, checked.views, checked.marginals, records.person)
        total = np.concatenate(counts) + total
    return np.split(total, np.cumsum([marginal.cells for marginal in checked.marginals])[:-1])


def test_a_site_that_goes_between_the_sums_takes_its_persons_with_it(measured):
    plan, grid, summed = measured
    first = history_histograms(summed.domains, layout_of(plan.table), plan.measure[0])
    before = summed.histograms(first, 0)
    grid.down.add(5)
    _, _, histograms = summed.blocks(asked_of(plan, before), before)
    assert histograms.records == pytest.approx(3 * PERSONS, rel=0.2)
