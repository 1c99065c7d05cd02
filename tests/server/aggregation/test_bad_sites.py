"""A site that lies: what it can do is bounded, what it did is in the notes, and the study ends.

Five sites, one of them bad, in whole studies over the in-process grid. The generator's error is the
mean total variation distance of all pairs of columns from the honest sites' records.
"""

import itertools
from functools import cache

import numpy as np
import pandas as pd
import pytest
from small_study import SCHEMA, make_frame, make_statement

from fedsynth_common.errors import FedsynthError
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_release.generator import Generator
from fedsynth_server.aggregation.discriminators import AGAINST, Agreement, agreement
from fedsynth_server.aggregation.marginal_queries import MarginalQueries, MarginalQuery
from fedsynth_server.aggregation.marginals import SizeEstimate, estimated_size
from fedsynth_server.aggregation.plausibility import inconsistent, oversized
from fedsynth_server.messages.exchange import Timing
from fedsynth_server.progress import StudyProgress
from fedsynth_server.study.planning import Rounds, make_plan
from fedsynth_server.study.study import Study
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_simulations.federation import in_process

SITES = ("a", "b", "c", "d", "bad")
FRAMES = {site: make_frame(600, seed) for seed, site in enumerate(SITES)}


def plan_of(variant="both", messages=2, epsilon=5.0):
    return make_plan(
        study="study",
        table=SCHEMA,
        sites=SITES,
        records_per_site=600,
        epsilon=epsilon,
        delta=1e-5,
        variant=variant,
        rounds=Rounds(messages=messages, steps_per_message=4),
    )


def study_with(lie, plan, settings=None, frames=FRAMES, seed=1):
    """A study in which the replies of the bad site go through `lie(method, request, reply)`."""
    grid = in_process(frames, plan, seed)
    original = grid._app

    def app(message, context):
        reply = original(message, context)
        if context.node_config["site"] == "bad" and lie is not None:
            method = message.metadata.message_type.partition(".")[2]
            record = reply.content["reply"]
            record["body"] = lie(method, message.content["request"]["body"], record["body"])
        return reply

    grid._app = app
    settings = settings or TrainingSettings().quick()
    timing = Timing(deadline=5.0, poll=0.01, quorum=4)
    return Study(plan, settings, grid, StudyProgress(), timing)


# --- updates -----------------------------------------------------------------------------------


def changed(change):
    """A lie about the discriminator: `change(sent, returned, moments)` -> weights, moments."""

    def lie(method, request, body):
        if method != "discriminate":
            return body
        sent = np.frombuffer(pb.DiscriminateRequest.FromString(request).weights, "<f4")
        reply = pb.DiscriminateReply.FromString(body)
        weights, moments = change(
            sent, np.frombuffer(reply.weights, "<f4"), np.frombuffer(reply.moments, "<f4")
        )
        reply.weights, reply.moments = (v.astype("<f4").tobytes() for v in (weights, moments))
        return reply.SerializeToString()

    return lie


LIES = {
    "not finite": changed(lambda sent, back, moments: (back * np.nan, moments)),
    "wrong length": changed(lambda sent, back, moments: (back[:-1], moments)),
    "huge": changed(lambda sent, back, moments: (back + 1e3, moments)),
    "flipped": changed(lambda sent, back, moments: (2 * sent - back, -moments)),
    "flipped and huge": changed(
        lambda sent, back, moments: (np.clip(sent - 1e4 * (back - sent), -1e4, 1e4), moments)
    ),
    "moments": changed(lambda sent, back, moments: (back, np.full_like(moments, 1e8))),
}
NAMED = {
    "not finite": "step 3: bad left out",
    "wrong length": "step 3: bad left out",
    "huge": "step 3: bad scaled down",
    "flipped and huge": "step 3: bad scaled down",
}


@pytest.mark.parametrize("kind", NAMED)
def test_an_update_that_cannot_be_right_is_contained_and_named(kind):
    outcome = study_with(LIES[kind], plan_of()).run()
    assert NAMED[kind] in outcome.notes
    assert all(np.isfinite(p.detach().numpy()).all() for p in outcome.network.parameters())


@cache
def error(kind, variant, seed):
    """Mean total variation of all pairs from the honest sites' records (ages in tens)."""
    frames = {site: make_frame(2000, seed) for seed, site in enumerate(SITES)}
    plan = plan_of(variant, messages=12, epsilon=5.0)
    settings = TrainingSettings(network_steps=300, latents=512, adversarial_batch=512)
    study = study_with(LIES[kind], plan, settings, frames, seed)
    outcome = study.run()
    generator = Generator(outcome.network, outcome.codebook, SCHEMA, make_statement())
    honest = pd.concat([frames[site] for site in SITES[:-1]])
    return distance(coarse(generator.sample(20_000, seed=1)), coarse(honest))


def coarse(frame):
    ages = pd.to_numeric(frame["age"]).astype(int) // 10
    return frame.assign(age=ages).astype(str)


def distance(one, other):
    found = []
    for pair in itertools.combinations(one.columns, 2):
        shares = [frame.value_counts(list(pair), normalize=True) for frame in (one, other)]
        found.append(shares[0].sub(shares[1], fill_value=0).abs().sum() / 2)
    return float(np.mean(found))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["flipped", "flipped and huge"])
@pytest.mark.parametrize(("variant", "most"), [("both", 1.1), ("gan", 1.15)])
def test_one_flipping_site_of_five_costs_little(variant, most, kind):
    """Against the rounds of the four honest sites alone.

    Measured: 1.03 in a default study; 1.10 and 1.11 where discriminators are all there is.
    """
    seeds = (1, 2)
    without = np.mean([error("not finite", variant, seed) for seed in seeds])
    attacked = np.mean([error(kind, variant, seed) for seed in seeds])
    assert attacked <= most * without


# --- agreement ---------------------------------------------------------------------------------


def test_noise_alone_is_never_against_the_others():
    """Whatever the sizes of the coordinates are: the score is as a standard normal one, or shorter."""
    rng = np.random.default_rng(0)
    sizes = np.exp(rng.normal(0, 3, 2000))  # a few coordinates hold most of the length
    scores = np.concatenate([agreement(rng.standard_normal((5, 2000)) * sizes) for _ in range(400)])
    assert 0.7 < scores.std() < 1.1
    assert np.abs(scores).max() < AGAINST


def test_a_flipped_signal_is_named_when_it_stands_out_of_the_noise():
    rng, seen = np.random.default_rng(1), Agreement()
    signal = rng.standard_normal(3000)
    for _ in range(10):
        updates = rng.standard_normal((5, 3000)) * 4 + signal
        updates[4] -= 2 * signal
        seen.see(dict(zip(SITES, updates, strict=True)))
    assert seen.against == ["bad"]


def test_a_long_update_does_not_turn_the_others_into_liars():
    rng, seen = np.random.default_rng(2), Agreement()
    signal = rng.standard_normal(3000)
    for _ in range(10):
        updates = rng.standard_normal((5, 3000)) * 4 + signal
        updates[4] = -1e6 * updates[4]
        seen.see(dict(zip(SITES, updates, strict=True)))
    assert seen.against == ["bad"]


def test_two_sites_are_not_judged():
    seen = Agreement()
    for _ in range(10):
        seen.see({"a": np.ones(100), "b": -np.ones(100)})
    assert seen.against == []


# --- counts ------------------------------------------------------------------------------------


def counted(change):
    """A lie about counts: `change(counts)`, in the order of the request."""

    def lie(method, request, body):
        if method != "measure":
            return body
        reply = pb.MeasureReply.FromString(body)
        counts = change(np.frombuffer(reply.counts, "<i4").astype(np.int64))
        reply.counts = np.clip(counts, -(2**31), 2**31 - 1).astype("<i4").tobytes()
        return reply.SerializeToString()

    return lie


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda counts: -counts - 1000, "below zero"),
        (lambda counts: counts + np.eye(1, counts.size, 0, dtype=np.int64)[0] * 10**6, "disagree"),
        (lambda counts: np.full_like(counts, 2**31 - 1), "disagree"),
        (lambda counts: counts[::-1], "disagree"),
    ],
    ids=["negative", "one cell", "largest", "reversed"],
)
def test_counts_that_cannot_be_true_end_a_sites_part_and_name_it(change, why):
    study = study_with(counted(change), plan_of("marginals"))
    outcome = study.run()
    [note] = [note for note in outcome.notes if note.startswith("bad left out")]
    assert why in note
    assert study.session.asked == ["a", "b", "c", "d"]
    honest = study_with(None, plan_of("marginals"))
    honest.session._grid.down.add(6)
    assert outcome.records == pytest.approx(honest.run().records, rel=0.02)
    assert "bad" in outcome.receipts  # what it was charged is still stated


def test_a_site_of_a_hundred_times_the_declared_size_does_not_own_the_result():
    study = study_with(counted(lambda counts: np.maximum(counts, 0) * 200), plan_of("marginals"))
    outcome = study.run()
    assert any("bad left out" in note for note in outcome.notes)
    assert outcome.records < 5000


def test_marginals_must_fit_the_sites_own_histograms():
    asked = []

    def later(method, request, body):
        asked.append(method)
        lie = counted(lambda counts: counts + 10)
        return lie(method, request, body) if asked.count("measure") == 2 else body

    outcome = study_with(later, plan_of("both")).run()
    assert any("bad left out" in note and "disagree" in note for note in outcome.notes)
    assert "discriminate" not in asked  # nothing more is asked, so nothing more is charged


def test_without_enough_good_sites_the_study_ends():
    study = study_with(counted(lambda counts: -counts - 1000), plan_of("marginals"))
    study.session.timing = Timing(deadline=5.0, poll=0.01, quorum=5)
    with pytest.raises(FedsynthError, match="4 of 4 sites answered"):
        study.run()


def queries_of(*widths, variance=100):
    asked = tuple(MarginalQuery(((column, -1),), (width,)) for column, width in enumerate(widths))
    return MarginalQueries((), asked, variance)


def test_honest_counts_are_plausible_whatever_the_site_is():
    """2,000 honest replies of sites from 0 to 100,000 records, at little and at much noise."""
    rng = np.random.default_rng(3)
    for _ in range(2000):
        queries = queries_of(2, 30, 400, variance=int(10 ** rng.uniform(0, 8)))
        records = int(10 ** rng.uniform(0, 5)) - 1
        tables = [
            rng.multinomial(records, rng.dirichlet(np.full(width, 0.2))) for width in (2, 30, 400)
        ]
        noise = rng.normal(0, queries.variance**0.5, 432).round()
        counts = (np.concatenate(tables) + noise).astype("<i4").tobytes()
        read = queries.read(counts)
        size = estimated_size(read, queries.variance)
        assert inconsistent(read, queries.variance, size) == ""
        assert abs(size.records - records) < 8 * size.variance**0.5


def test_size_is_judged_beside_the_plan_and_the_others():
    sizes = {
        "a": SizeEstimate(100.0, 1.0),
        "b": SizeEstimate(120.0, 1.0),
        "c": SizeEstimate(60_000.0, 1.0),
    }
    assert list(oversized(sizes, declared=1000)) == ["c"]
    assert oversized(sizes, declared=5000) == {}
    assert oversized({"a": SizeEstimate(900.0, 1.0)}, declared=1000) == {}
