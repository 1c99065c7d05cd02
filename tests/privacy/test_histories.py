"""Histories: how far one person, with all events, moves any marginal; and what it is charged."""

import itertools

import numpy as np
import pytest
from small_histories import HISTORIES, L, events_of
from small_site import Site, make_plan, make_policy

from fedsynth_client.records.records import load_records
from fedsynth_client.vault import measure as measuring
from fedsynth_client.vault.measure import Axis, Marginal, contingency
from fedsynth_common.limits import MAX_LAG, MAX_MECHANISMS_ASKED
from fedsynth_common.privacy.events import CountsEvent
from fedsynth_common.privacy.randomness import SeededRandomness
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.counting import MAX_WEIGHT, Over, sensitivity
from fedsynth_common.schema import domains, history_schema

pytestmark = pytest.mark.privacy
WIDTHS = [domain.width for domain in domains(history_schema(HISTORIES))]
W = 12
KINDS = [(Over.PERSONS, 0), (Over.EVENTS, 0), (Over.NEXT, 1), (Over.NEXT, 2)]
SHARED = [(over, lag, W) for over, lag in KINDS[1:]]  # of which a person's events share a weight
ROUNDED = (Over.EVENTS, 0, 10)  # that three events cannot share without a rest
PLAN = make_plan(table=HISTORIES, discriminator=None)


def marginals():
    """Single columns, pairs of columns at every event that they can be read at."""
    for over, lag, weight in [*((*kind, 1) for kind in KINDS), *SHARED, ROUNDED]:
        reads = range(1 if over is Over.EVENTS else 2)
        for column, at in itertools.product(range(len(WIDTHS)), reads):
            yield Marginal((Axis(column, WIDTHS[column], at=at),), 1, over, lag, weight)
        ends = (0, 0) if over is Over.EVENTS else (0, 1)
        for one, other in itertools.product(range(len(WIDTHS)), repeat=2):
            if (one, ends[0]) != (other, ends[1]):
                axes = Axis(one, WIDTHS[one], at=0), Axis(other, WIDTHS[other], at=ends[1])
                yield Marginal(axes, 1, over, lag, weight)


MARGINALS = list(marginals())


def slow_counts(records, marginal):
    """The same counts, one person and one event after the other."""
    counts = np.zeros([axis.width for axis in marginal.axes], int)
    for number in np.unique(records.person):
        own = records.codes[records.person == number]
        pairs = {
            Over.PERSONS: [(0, len(own) - 1)],
            Over.EVENTS: [(t, t) for t in range(len(own))],
            Over.NEXT: [(t, t + marginal.lag) for t in range(len(own) - marginal.lag)],
        }[marginal.over]
        share = 1 if marginal.weight == 1 else marginal.weight // max(1, len(pairs))
        for pair in pairs:
            counts[tuple(own[pair[axis.at], axis.column] for axis in marginal.axes)] += share
    return counts.ravel()


@pytest.mark.parametrize("rows", [L, 5, 1 << 16])
def test_every_kind_of_marginal_counts_what_it_says(rows, monkeypatch):
    monkeypatch.setattr(measuring, "_ROWS", rows)
    monkeypatch.setattr(measuring, "MAX_EVENTS", L)
    records = load_records(
        events_of(np.random.default_rng(rows), 25), HISTORIES, SeededRandomness(0)
    )
    found = contingency(records.codes, [], MARGINALS, records.person)
    for marginal, counts in zip(MARGINALS, found, strict=True):
        assert counts.tolist() == slow_counts(records, marginal).tolist(), marginal


@pytest.mark.parametrize("seed", range(12))
def test_a_person_moves_a_marginal_no_further_than_is_charged(seed):
    """Without a person, or with another in the place, all tables of up to 6 persons."""
    rng = np.random.default_rng(seed)
    frame = events_of(rng, int(rng.integers(1, 7)), most=L + 2)
    if seed % 3 == 0:  # the worst case: all of a person's events are alike
        frame["ward"], frame["sex"], frame["day"], frame["age"] = "a", "f", 3, 1.0
    last = frame["id"].unique()[-1]  # what is drawn for the others is then the same
    tables = [frame, frame[frame["id"] != last], frame.assign(ward="b", sex="m", day=0)]
    tables[2] = frame.where(frame["id"] != last, tables[2])
    counts = []
    for table in tables:
        records = load_records(table, HISTORIES, SeededRandomness(seed))
        counts.append(contingency(records.codes, [], MARGINALS, records.person))
    for marginal, whole, without, other in zip(MARGINALS, *counts, strict=True):
        moved = sensitivity(HISTORIES, *marginal.kind)
        assert np.linalg.norm(whole - without) <= moved
        assert np.linalg.norm(whole - other) <= moved * np.sqrt(2) + 1e-9


def test_the_charged_sensitivity_is_reached():
    """So that no kind of marginal is charged more than it can cost."""
    frame = events_of(np.random.default_rng(0), 4, most=L + 3)
    frame = frame.assign(id=frame["id"].where(frame["id"] != "p1", "p0"))
    frame["ward"], frame["sex"], frame["day"], frame["age"] = "a", "f", 3, 1.0
    last = frame["id"].value_counts().index[0]
    whole, without = (
        load_records(table, HISTORIES, SeededRandomness(0))
        for table in (frame, frame[frame["id"] != last])
    )
    for kind in [*KINDS, *SHARED]:
        ward = Marginal((Axis(6, 4),), 1, *kind)
        pair = [contingency(r.codes, [], [ward], r.person)[0] for r in (whole, without)]
        assert np.abs(pair[0] - pair[1]).sum() == sensitivity(HISTORIES, *kind), kind


def history_site(persons=30):
    records = load_records(
        events_of(np.random.default_rng(1), persons), HISTORIES, SeededRandomness(0)
    )
    return Site(plan=PLAN, schema=HISTORIES, records=records).enrolled()


def asked(over, lag=0, weight=0, *, variance=100, axes=((6, 0),)):
    wire = [pb.Axis(column=column, view=-1, at=at) for column, at in axes]
    return pb.Marginal(axes=wire, noise_variance=variance, over=int(over), lag=lag, weight=weight)


def test_a_request_of_all_kinds_is_charged_for_each():
    site = history_site()
    marginals = [asked(over, lag, variance=400) for over, lag in KINDS for _ in range(2)]
    assert site.vault.measure(site.measure_request(marginals=marginals)).status == "OK"
    expected = [
        CountsEvent(scale=20.0, sensitivity=moved, blocks=blocks)
        for moved, blocks in ((1, 4), (2, 2), (3, 2))  # persons and lag 2 move by one
    ]
    assert site.ledger.events() == expected


def test_noise_must_cover_the_sensitivity_of_each_kind():
    for (over, lag), moved in zip(KINDS, (1, L, L - 1, L - 2), strict=True):
        site = history_site()
        enough = 4 * moved**2  # the plan's noise multiplier is 2
        for variance, status in ((enough - 1, "ERR_POLICY"), (enough, "OK")):
            request = site.measure_request(marginals=[asked(over, lag, variance=variance)])
            assert site.vault.measure(request).status == status, (over, lag)


def test_noise_must_cover_the_weight_that_the_events_of_a_person_share():
    for kind in SHARED:
        site = history_site()
        for variance, status in ((4 * W**2 - 1, "ERR_POLICY"), (4 * W**2, "OK")):
            request = site.measure_request(marginals=[asked(*kind, variance=variance)])
            assert site.vault.measure(request).status == status, kind
        charged = CountsEvent(scale=2.0 * W, sensitivity=W, blocks=1)
        assert site.ledger.events() == [charged]


REFUSED = {
    "records of histories": asked(Over.RECORDS),
    "no distance": asked(Over.NEXT, 0),
    "beyond the longest history": asked(Over.NEXT, L),
    "a distance of events": asked(Over.EVENTS, 1),
    "a distance of persons": asked(Over.PERSONS, 1),
    "a later event of one": asked(Over.EVENTS, axes=((6, 1),)),
    "a third event": asked(Over.NEXT, 1, axes=((6, 2),)),
    "a column twice": asked(Over.NEXT, 1, axes=((6, 1), (6, 1))),
    "an unknown kind": asked(9),
    "a weight below the longest history": asked(Over.EVENTS, 0, L - 1),
    "a weight without end": asked(Over.NEXT, 1, MAX_WEIGHT + 1),
    "a weight of persons": asked(Over.PERSONS, 0, W),
}


@pytest.mark.parametrize("case", REFUSED)
def test_requests_that_mean_nothing_are_refused(case):
    site = history_site()
    reply = site.vault.measure(site.measure_request(marginals=[REFUSED[case]]))
    assert reply == pb.MeasureReply(status="ERR_PAYLOAD")
    assert site.ledger.head()[0] == 0


@pytest.mark.parametrize("over", [Over.PERSONS, Over.EVENTS, Over.NEXT])
def test_a_table_of_records_has_no_persons_or_events(over):
    site = Site().enrolled()
    marginals = [asked(over, int(over is Over.NEXT), axes=((0, 0),))]
    reply = site.vault.measure(site.measure_request(marginals=marginals))
    assert reply == pb.MeasureReply(status="ERR_PAYLOAD")
    assert site.ledger.head()[0] == 0


def test_mechanisms_without_end_are_refused_before_the_charge():
    site = history_site()
    marginals = [asked(Over.PERSONS, variance=900 + k) for k in range(MAX_MECHANISMS_ASKED + 1)]
    assert site.vault.measure(site.measure_request(marginals=marginals)).status == "ERR_PAYLOAD"
    assert site.vault.measure(site.measure_request(marginals=marginals[1:])).status == "OK"


def test_a_plan_without_a_discriminator_trains_none():
    site = history_site()
    fields = {"plan_digest": site.digest, "step": 3}
    assert site.vault.discriminate(pb.DiscriminateRequest(**fields)).status == "ERR_PLAN"


def test_the_unit_of_the_least_number_is_the_person():
    site = history_site()
    few = make_policy(min_records=31)
    assert len(site.records) > 31
    assert Site(plan=PLAN, schema=HISTORIES, records=site.records, policy=few).enroll() == (
        "ERR_RECORDS"
    )


def test_the_numbers_on_the_wire_are_those_of_the_kinds():
    assert {name: int(kind) for name, kind in Over.__members__.items()} == dict(pb.Over.items())
    assert MAX_LAG + 2 == MAX_MECHANISMS_ASKED
