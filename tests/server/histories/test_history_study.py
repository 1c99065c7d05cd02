"""A study of persons with events, from the sites' tables to made-up histories, with real vaults."""

import numpy as np
import pandas as pd
import pytest
import torch
from small_histories import GAP, HISTORIES, L, visits
from small_study import SETTINGS, SITES

from fedsynth_client.records.records import load_records
from fedsynth_client.vault.checks import measurement_of
from fedsynth_client.vault.measure import contingency
from fedsynth_common.errors import InputError
from fedsynth_common.privacy.randomness import SeededRandomness
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import pack_counts
from fedsynth_common.protocol.counting import Over
from fedsynth_common.schema import Schema, domains, history_schema, layout_of
from fedsynth_common.schema.rules import MissingIf, When
from fedsynth_release.decoding import Codebook
from fedsynth_release.evaluation import evaluate_table
from fedsynth_release.generator import Generator
from fedsynth_release.histories.expected import expected_marginals
from fedsynth_release.histories.history_sampler import HistorySampler
from fedsynth_release.histories.network import HistoryNetwork
from fedsynth_release.histories.network import blocks_of as places_of
from fedsynth_release.histories.shape import shape_of
from fedsynth_release.measurements import Measurements
from fedsynth_release.report.columns import column_views
from fedsynth_release.report.page import render
from fedsynth_server.histories.blocks import (
    block_queries,
    blocks_of,
    history_histograms,
    person_weight,
)
from fedsynth_server.study.planning import Rounds, make_plan
from fedsynth_server.training.curves import ADVERSARIAL, IN_ROUNDS, REFIT
from fedsynth_simulations.simulate import Simulation, simulate
from fedsynth_simulations.table_options import tables_of

LAYOUT = layout_of(HISTORIES)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    frames = {site: visits(300, seed) for seed, site in enumerate(SITES)}
    simulation = Simulation(
        epsilon=50.0,
        delta=1e-5,
        study="visits",
        records_per_site=300,
        seed=1,
        settings=SETTINGS.model_copy(update={"fit_steps": 100, "latents": 64}),
    )
    folder = tmp_path_factory.mktemp("histories")
    return simulate(frames, HISTORIES, simulation, folder), folder / "generator"


@pytest.fixture(scope="module")
def drawn(result) -> pd.DataFrame:
    return Generator.load(result[1]).sample(2000, seed=0)


def test_persons_come_with_their_events_in_order(drawn) -> None:
    by_person = drawn.groupby("id", sort=False)
    assert by_person.ngroups == 2000
    assert (drawn["id"] != drawn["id"].shift()).sum() == 2000  # the events of a person together
    assert by_person.size().between(1, L).all()
    assert (by_person["sex"].nunique(dropna=False) == 1).all()
    gaps = by_person["day"].diff().dropna()
    assert gaps.between(0, GAP).all()
    assert (by_person["age"].diff().dropna() >= -1e-9).all()
    assert drawn["day"].between(0, 20).all()
    assert drawn["age"].between(0, 9.5).all()


def test_lengths_and_what_lasts_are_learned(drawn) -> None:
    lengths = drawn.groupby(["id", "sex"]).size().reset_index(name="n")
    assert (lengths[lengths["sex"] == "f"]["n"] == 3).mean() > 0.8
    assert (lengths[lengths["sex"] == "m"]["n"] == 1).mean() > 0.8
    ward = drawn.groupby("id")["ward"]
    follows = drawn["ward"][drawn["id"] == drawn["id"].shift()]
    before = drawn["ward"].shift()[follows.index]
    assert (follows == before).mean() > 0.75  # 0.5 if events were dealt to persons
    assert ward.first().eq("a").mean() == pytest.approx(0.5, abs=0.1)


def test_conditions_on_persons_hold_for_all_their_events(result) -> None:
    generator = Generator.load(result[1])
    women = generator.sample(200, seed=1, where=("sex=f", "number of events=3"))
    assert (women["sex"] == "f").all()
    assert (women.groupby("id").size() == 3).all()
    assert generator.probability("sex=f") == pytest.approx(0.5, abs=0.1)
    with pytest.raises(InputError, match="condition"):
        generator.sample(10, where="ward=a")
    with pytest.raises(InputError, match="--rebalance"):
        generator.sample(10, rebalance="sex")
    with pytest.raises(InputError, match="histories"):
        generator.complete(women)


def test_the_same_seed_draws_the_same_persons_and_the_statement_speaks_of_them(result) -> None:
    generator = Generator.load(result[1])
    pd.testing.assert_frame_equal(generator.sample(50, seed=3), generator.sample(50, seed=3))
    assert generator.statement.unit == f"one person, at most {L} records"
    charged = {event["sensitivity"] for site in generator.statement.sites for event in site.events}
    assert charged == {1, person_weight(L)}


def test_a_folder_of_another_kind_or_with_other_codes_is_refused(result, tmp_path) -> None:
    generator = Generator.load(result[1])
    shape = generator.network.shape
    other = HistoryNetwork(shape.model_copy(update={"absent_codes": (-1,) * len(shape.events)}))
    other.load_state_dict(generator.network.state_dict())
    Generator(other, generator.codebook, HISTORIES, generator.statement).save(tmp_path)
    with pytest.raises(InputError, match="does not belong to the schema"):
        Generator.load(tmp_path)


PLAN = make_plan(
    study="s", table=HISTORIES, sites=SITES, records_per_site=100, epsilon=3.0, delta=1e-5
)


@pytest.mark.parametrize("variant", ["gan", "listen"])
def test_histories_are_studied_with_marginals_or_with_both(variant) -> None:
    assert PLAN.discriminator is None
    fields = {"study": "s", "table": HISTORIES, "sites": SITES, "records_per_site": 100}
    budget = {"epsilon": 3.0, "delta": 1e-5}
    with pytest.raises(InputError, match=f"--variant {variant}: persons with events"):
        make_plan(**fields, **budget, variant=variant)
    assert make_plan(**fields, **budget, variant="both").discriminator is not None


def test_a_study_with_discriminators_costs_what_it_says(tmp_path) -> None:
    frames = {site: visits(150, seed) for seed, site in enumerate(SITES)}
    quick = {"fit_steps": 60, "latents": 32, "adversarial_steps": 2}
    simulation = Simulation(
        epsilon=10.0,
        delta=1e-5,
        study="visits",
        records_per_site=150,
        seed=1,
        variant="both",
        rounds=Rounds(messages=2, steps_per_message=2),
        settings=SETTINGS.model_copy(update=quick),
    )
    found = simulate(frames, HISTORIES, simulation, tmp_path)
    assert 9.5 < found.generator.statement.epsilon_if_people_are_at_one_site_only <= 10
    assert found.generator.sample(200, 0).groupby("id").ngroups == 200
    curves = {curve.name for curve in found.outcome.curves}
    assert {line.name for line in (ADVERSARIAL, IN_ROUNDS, REFIT)} <= curves
    training = found.plan.discriminator
    assert training is not None
    assert training.messages == 2


@pytest.mark.parametrize("index", [0, 1])
def test_a_site_accepts_the_requests_and_its_exact_answers_are_shares_of_persons(index) -> None:
    """Every person counts one, in every marginal that counts all persons."""
    records = load_records(visits(40, 0), HISTORIES, SeededRandomness(0))
    step, flat = PLAN.measure[index], history_schema(HISTORIES)
    codebook = Codebook.identity(flat)
    blocks = blocks_of(LAYOUT, [1.0] * len(flat.modelled), (1, 2))
    queries = (
        block_queries(blocks, codebook, LAYOUT, step)
        if index
        else history_histograms(domains(flat), LAYOUT, step)
    )
    request = pb.MeasureRequest.FromString(queries.request(PLAN, step))
    measurement = measurement_of(request, PLAN, HISTORIES)
    exact = contingency(records.codes, measurement.views, measurement.marginals, records.person)
    women = (pd.Series(records.person).value_counts() == 3).sum()
    for query, counts in zip(
        queries.marginals, queries.read(pack_counts(np.concatenate(exact))), strict=True
    ):
        persons = women if query.over is Over.NEXT else 40
        assert counts.sum() == pytest.approx(persons)
        assert counts.shape == query.shape


def test_columns_that_do_not_vary_are_not_asked_about() -> None:
    varied = [1.0] * len(LAYOUT.columns)
    varied[LAYOUT.gap] = 0.01
    asked = {place.column for block in blocks_of(LAYOUT, varied, (1,)) for place in block.places}
    assert asked == set(range(len(varied))) - {LAYOUT.gap}


def test_draws_have_the_exact_marginals() -> None:
    """Of a network with random weights, pairs within an event and from one to the next."""
    codebook = Codebook.identity(history_schema(HISTORIES))
    shape = shape_of(HISTORIES, codebook, latents=3, regimes=2, latent_size=4, hidden=8)
    network, source = HistoryNetwork(shape), torch.Generator().manual_seed(0)
    network.initialise(
        torch.rand(sum(shape.static), generator=source),
        torch.tensor([0.3, 0.3, 0.4]),
        torch.rand(sum(shape.events), generator=source),
        source,
    )
    with torch.no_grad():
        network.head.weight.mul_(3)
        expected = expected_marginals(network(), shape, person_weight(L))
    sampler = HistorySampler.of(network, codebook, HISTORIES)
    frame, person = sampler.frame(40_000, np.random.default_rng(0))
    ward = frame["ward"].map({"a": 0, "b": 1, "c": 2}).fillna(3).astype(int).to_numpy()
    sizes = np.bincount(person)[person]
    place = places_of(shape.events)[-1]
    seen = np.bincount(ward, weights=1 / sizes, minlength=4) / 40_000
    assert seen == pytest.approx(expected.event_margin[place].numpy(), abs=0.01)
    follows = np.flatnonzero(person[1:] == person[:-1])
    pairs = ward[follows] * 4 + ward[follows + 1]
    weights = 1 / (sizes[follows] - 1) / 40_000
    seen = np.bincount(pairs, weights=weights, minlength=16)
    wanted = expected.following[1][place, place].numpy().ravel()
    assert seen == pytest.approx(wanted, abs=0.01)


def test_a_report_shows_twelve_persons_and_what_follows_what(result, drawn, tmp_path) -> None:
    folder, real = result[1], visits(300, seed=0)
    evaluation = evaluate_table(real, visits(300, seed=9), drawn, HISTORIES, quick=True)
    plain, full = render(folder), render(folder, evaluation)
    assert plain.count(">person ") == full.count(">person ") == 12
    assert "Distance of histories" not in plain
    for words in (
        "Distance of histories",
        "an event and the next, same column",
        "next event: mean AUC",
        "association with itself",
        "Membership inference, whole persons",
        "300 held-out real persons and 2000 synthetic persons",
        "transitions: from an event to the next",
    ):
        assert words in full
    views = column_views(Generator.load(folder), evaluation, None)
    told = {view.name for view in views if any("transitions" in why for why in view.reasons)}
    assert told == {"day since previous event", "age since previous event", "ward"}


def test_transitions_have_verdicts_without_real_histories(result, drawn) -> None:
    """The expected distance of a release is about that of its draws from the real events."""
    folder = result[1]
    measured = Measurements.load(folder / "measurements.json")
    names = [column.name for column in measured.columns]
    found = measured.transitions[names.index("ward")]
    parts = [visits(300, seed) for seed in range(len(SITES))]
    real = pd.concat([part.assign(id=f"{k} " + part["id"]) for k, part in enumerate(parts)])
    tables = [_following(rows) for rows in (real, drawn)]
    distance = 0.5 * np.abs(tables[0] - tables[1]).sum()
    assert distance == pytest.approx(found.learned, abs=found.noise + 0.03)
    chance = np.outer(tables[0].sum(axis=1), tables[0].sum(axis=0))
    assert found.chance == pytest.approx(0.5 * np.abs(tables[0] - chance).sum(), abs=0.05)
    assert found.noise < 0.05  # at ε = 50
    views = column_views(Generator.load(folder), None, measured)
    why = {v.name: [j for j in v.verdict.judgements if "transitions" in j.reason] for v in views}
    assert why["ward"][0].score is not None
    assert {name for name, told in why.items() if told} >= {"ward", "day since previous event"}
    assert not why["sex"]
    assert all(view.verdict.light in ("unknown", "poor") for view in views if why[view.name])


def _following(rows: pd.DataFrame) -> np.ndarray:
    """Shares of pairs of wards at an event and the next, a person counting as one."""
    wards = rows["ward"].map({"a": 0, "b": 1, "c": 2}).fillna(3).astype(int)
    table = np.zeros((4, 4))
    for _, own in wards.groupby(rows["id"].to_numpy(), sort=False):
        codes = own.to_numpy()
        for one, other in zip(codes, codes[1:], strict=False):
            table[one, other] += 1 / (len(codes) - 1)
    return table / table.sum()


def test_rules_within_an_event_hold_in_every_event(result) -> None:
    rule = MissingIf(name="men have no ward", column="ward", when=When(column="sex", values=("m",)))
    schema = Schema(**{**{n: getattr(HISTORIES, n) for n in Schema.model_fields}, "rules": (rule,)})
    generator = result[0].generator
    ruled = HistorySampler.of(generator.network, generator.codebook, schema)
    frame, _ = ruled.frame(3000, np.random.default_rng(0))
    assert frame["ward"][frame["sex"] == "m"].isna().all()


def test_persons_are_dealt_out_with_all_their_events(tmp_path) -> None:
    visits(60, seed=0).to_csv(tmp_path / "visits.csv", index=False)
    HISTORIES.save(tmp_path / "schema.json")
    asked = {
        "target": None,
        "sites": 3,
        "partition": "iid",
        "site_column": None,
        "seed": None,
    }
    tables = tables_of(tmp_path / "visits.csv", tmp_path / "schema.json", holdout=0.0, **asked)
    persons = [set(frame["id"]) for frame in tables.sites.values()]
    assert [len(of) for of in persons] == [20, 20, 20]
    assert len(set.union(*persons)) == 60
    apart = tables_of(tmp_path / "visits.csv", tmp_path / "schema.json", holdout=0.4, **asked)
    assert apart.held is not None
    assert len(set(apart.held["id"])) == 24
    assert len(set(apart.pooled["id"])) == 36
    assert not set(apart.held["id"]) & set(apart.pooled["id"])
