"""Simulated sites are real vaults that allow one plan and no more."""

import numpy as np
import pytest
from small_study import SITES, make_frame, make_frames, make_small_plan

from fedsynth_client.budget.receipts import new_key
from fedsynth_common.protocol import PROTOCOL_VERSION
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import unpack_counts
from fedsynth_common.schema import domains
from fedsynth_server.aggregation.marginal_queries import histogram_queries
from fedsynth_simulations.federation import in_process, make_vault


@pytest.fixture(scope="module")
def plan():
    return make_small_plan("both")


def enrolled(plan, seed, **options):
    vault = make_vault("north", make_frame(), plan, None, seed, **options)
    reply = vault.enroll(
        pb.EnrollRequest(protocol_version=PROTOCOL_VERSION, plan_json=plan.to_json())
    )
    return vault, reply


def counts(plan, vault):
    queries = histogram_queries(domains(plan.table), plan.measure[0], 1)
    request = pb.MeasureRequest.FromString(queries.request(plan, plan.measure[0]))
    reply = vault.measure(request)
    assert reply.status == "OK"
    return unpack_counts(reply.counts, len(reply.counts) // 4)


def test_a_site_allows_its_plan_and_no_other(plan):
    assert enrolled(plan, None)[1].status == "OK"
    vault = make_vault("north", make_frame(), plan, None, None)
    other = make_small_plan("marginals")
    request = pb.EnrollRequest(protocol_version=PROTOCOL_VERSION, plan_json=other.to_json())
    assert vault.enroll(request).status == "ERR_PLAN"


@pytest.mark.parametrize("variant", ["both", "gan"])
def test_every_variant_and_epsilon_is_within_the_sites_policy(variant):
    for epsilon in (0.1, 10.0):
        assert enrolled(make_small_plan(variant, epsilon), None)[1].status == "OK"


def test_a_seed_repeats_the_noise_and_entropy_does_not(plan):
    answers = [counts(plan, enrolled(plan, seed)[0]) for seed in (5, 5, 6, None, None)]
    assert np.array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])
    assert not np.array_equal(answers[3], answers[4])


def test_sites_of_a_seeded_study_draw_different_noise(plan):
    frame = make_frame()
    grid = in_process(dict.fromkeys(SITES, frame), plan, 1)
    assert len(list(grid.get_node_ids())) == 3
    first, second = (make_vault("north", frame, plan, None, 1000 + i) for i in (0, 1))
    for vault in (first, second):
        vault.enroll(pb.EnrollRequest(protocol_version=PROTOCOL_VERSION, plan_json=plan.to_json()))
    assert not np.array_equal(counts(plan, first), counts(plan, second))


def test_a_given_key_signs_the_receipts(plan):
    key = new_key()
    _, reply = enrolled(plan, 1, key=key)
    assert reply.receipt_key == key.public_key().public_bytes_raw()
    assert reply.site == "north"


def test_a_ledger_on_disk_outlives_the_vault(plan, tmp_path):
    path = tmp_path / "north.ledger"
    frames = make_frames()
    request = pb.EnrollRequest(protocol_version=PROTOCOL_VERSION, plan_json=plan.to_json())
    first = make_vault("north", frames["north"], plan, path, 7)
    first.enroll(request)
    charged = counts(plan, first)
    again = make_vault("north", frames["north"], plan, path, 8)
    assert np.array_equal(counts(plan, again), charged)  # the stored bytes: no second charge
    assert len(again._ledger.charged()) == 1
