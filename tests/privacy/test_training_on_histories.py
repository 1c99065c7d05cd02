"""Training on histories: a person is one unit with all events, and no row knows of anybody else."""

import numpy as np
import pytest
from scipy import stats
from small_histories import HISTORIES, L, events_of
from small_site import Site, make_plan, make_secure_plan

from fedsynth_client.budget.receipts import new_key
from fedsynth_client.records.records import Records, load_records
from fedsynth_client.vault.assignment import Assignment
from fedsynth_client.vault.discriminate import Trainer
from fedsynth_common.networks import Discriminator, flatten
from fedsynth_common.networks.event_windows import windows_of
from fedsynth_common.privacy.randomness import Randomness, SeededRandomness
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import pack, pack_views, unpack_floats
from fedsynth_common.protocol.plan import Listening, MeasureStep
from fedsynth_common.schema import domains, history_schema

pytestmark = pytest.mark.privacy
WIDTHS = tuple(domain.width for domain in domains(history_schema(HISTORIES)))
WINDOWS = windows_of(HISTORIES, WIDTHS)
PLAN = make_plan(table=HISTORIES)
VIEWS = [np.arange(width, dtype=np.uint16) for width in WIDTHS]
HIDDEN = (4,)
SIZE = flatten(Discriminator(sum(WINDOWS.widths), HIDDEN)).size


def records_of(persons, seed=0):
    frame = events_of(np.random.default_rng(seed), persons)
    return load_records(frame, HISTORIES, SeededRandomness(0))


def without(records, who):
    kept = records.person != who
    return Records(records.codes[kept], np.unique(records.person[kept], return_inverse=True)[1])


def clipped_sum(records, seed, clipping_norm=1e-3):
    """In units of the clipping norm; all of an event's columns are predicted, so nothing is drawn."""
    training = {"sampling_rate": 1.0, "masked_columns": 64, "clipping_norm": clipping_norm}
    weights = np.random.default_rng(seed).normal(0, 0.5, SIZE).astype(np.float32)
    order = Assignment(
        plan=make_plan(training=training | {"hidden": HIDDEN}).discriminator,
        views=tuple(VIEWS),
        widths=WINDOWS.widths,
        weights=weights,
        moments=np.zeros(2 * SIZE, np.float32),
        message=0,
        rows_per_person=L,
        windows=WINDOWS,
    )
    return Trainer(order, Randomness()).clipped_sum(records) / clipping_norm


@pytest.mark.parametrize("who", [0, 4, 8])
@pytest.mark.parametrize("seed", range(3))
def test_a_person_moves_the_sum_by_at_most_the_clipping_norm(seed, who):
    """First, in the midst of others, or last: all of a person's events are clipped as one."""
    records = records_of(9, seed)
    assert (np.bincount(records.person) > 1).any()
    moved = clipped_sum(records, seed) - clipped_sum(without(records, who), seed)
    assert 0.99 < np.linalg.norm(moved) <= 1 + 1e-6


@pytest.mark.parametrize("who", range(6))
def test_the_rows_of_a_person_depend_on_nobody_else(who):
    records = records_of(6, seed=3)
    own = records.person == who
    alone = WINDOWS.rows(records.codes[own], records.person[own])
    together = WINDOWS.rows(records.codes, records.person)[own]
    assert alone.tolist() == together.tolist()


def request_of(site, size):
    weights = np.random.default_rng(5).normal(0, 0.3, size)
    return pb.DiscriminateRequest(
        plan_digest=site.digest,
        step=3,
        views=pack_views(VIEWS),
        weights=pack(weights, "f4"),
        moments=pack(np.zeros(2 * size), "f4"),
    )


def test_a_message_is_answered_and_charged_as_it_was_planned():
    site = Site(plan=PLAN, schema=HISTORIES, records=records_of(40)).enrolled()
    assert site.vault.discriminate(request_of(site, SIZE - 1)).status == "ERR_PAYLOAD"
    assert site.ledger.events() == []
    reply = site.vault.discriminate(request_of(site, SIZE))
    assert reply.status == "OK"
    assert len(unpack_floats(reply.weights, SIZE, 1e6)) == SIZE
    assert site.ledger.events() == [PLAN.discriminator.message_event()]


def test_a_person_with_more_events_than_allowed_is_refused():
    records = records_of(3)
    many = Records(np.repeat(records.codes[:1], L + 1, axis=0), np.zeros(L + 1, np.int64))
    with pytest.raises(Exception, match="more rows than the schema allows"):
        clipped_sum(many, 0)


def test_the_columns_that_are_predicted_do_not_depend_on_values():
    """Every column of an event is drawn equally often, whoever the person is."""
    one, other = (WINDOWS.order(np.random.default_rng(7), 3000)[:, 0] for _ in range(2))
    assert one.tolist() == other.tolist()
    counts = np.bincount(one)[list(WINDOWS.predicted)]
    assert counts.sum() == 3000
    assert stats.chisquare(counts).pvalue > 1e-9


def test_plans_that_histories_do_not_have():
    with pytest.raises(ValueError, match="discriminator: of histories goes with local noise only"):
        training = PLAN.discriminator.model_copy(update={"steps_per_message": 1})
        make_secure_plan(new_key(), table=HISTORIES, discriminator=training)
    again = MeasureStep(step=5, purpose="marginals", noise_multiplier=2.0)
    with pytest.raises(ValueError, match="listening: goes with a table without histories only"):
        make_plan(
            table=HISTORIES,
            format_version=4,
            listening=Listening(messages=1, otherwise=again),
        )
