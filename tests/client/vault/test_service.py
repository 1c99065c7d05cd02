"""The vault's life: enrol, measure, train, sign; replay, crash, restart; nothing else leaves."""

import numpy as np
import pytest
from small_site import PAIRS, SCHEMA, WIDTHS, Site, make_plan, make_policy, make_records

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.records.records import Records
from fedsynth_client.vault.callers import LocalVault
from fedsynth_common.privacy.events import CountsEvent, DpSgdEvent
from fedsynth_common.privacy.randomness import SeededRandomness
from fedsynth_common.protocol import PROTOCOL_VERSION
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import unpack_counts, unpack_floats
from fedsynth_common.protocol.receipt import Receipt
from fedsynth_common.schema import IdColumn

CELLS = sum(WIDTHS[a] * WIDTHS[b] for a, b in PAIRS)


def test_a_study_from_enrolment_to_receipt():
    site = Site().enrolled()
    measured = site.vault.measure(site.measure_request())
    assert unpack_counts(measured.counts, CELLS).sum() == pytest.approx(600, abs=150)
    trained = site.vault.discriminate(site.discriminate_request())
    weights = unpack_floats(trained.weights, site.parameters, 1e4)
    assert (weights != unpack_floats(site.discriminate_request().weights, weights.size, 1e4)).all()
    reply = site.vault.receipt(site.receipt_request())
    public = site.key.public_key().public_bytes_raw()
    receipt = Receipt.opened(reply.receipt_json, reply.signature, public).model_dump(mode="json")
    assert receipt["study"] == "study"
    assert receipt["plan_digest"] == site.plan.digest
    assert [event["kind"] for event in receipt["events"]] == ["counts", "dp-sgd"]
    assert receipt["ledger"] == {"seq": None, "head": site.ledger.head()[1]}


def test_what_ran_is_what_was_charged():
    site = Site().enrolled()
    site.vault.measure(site.measure_request(variance=16))
    site.vault.discriminate(site.discriminate_request())
    assert site.ledger.events("study") == [
        CountsEvent(scale=4.0, sensitivity=1, blocks=3),
        DpSgdEvent(sampling_rate=0.25, noise_multiplier=2.0, steps=2),
    ]


def test_enrolment_tells_version_and_key_and_charges_nothing():
    site = Site()
    request = pb.EnrollRequest(protocol_version=PROTOCOL_VERSION, plan_json=site.plan.to_json())
    first = site.vault.enroll(request)
    assert first.receipt_key == site.key.public_key().public_bytes_raw()
    assert first.package_version
    assert site.vault.enroll(request) == first
    assert site.ledger.head()[0] == 0


@pytest.mark.parametrize("method", ["measure", "discriminate", "receipt"])
def test_nothing_runs_before_enrolment(method):
    site = Site()
    request = getattr(site, f"{method}_request")()
    assert getattr(site.vault, method)(request).status == "ERR_PLAN"


@pytest.mark.parametrize("digest", [b"", b"\0" * 32, b"x" * 64])
def test_an_unknown_plan_is_refused(digest):
    site = Site().enrolled()
    assert site.vault.measure(site.measure_request(plan_digest=digest)).status == "ERR_PLAN"


def test_a_study_name_cannot_change_its_plan():
    site = Site().enrolled()
    other = Site(plan=make_plan(delta=1e-6), ledger=site.ledger)
    assert other.enroll() == "ERR_CONFLICT"


@pytest.mark.parametrize("method", ["measure", "discriminate"])
def test_a_repeated_request_gets_the_same_bytes_at_no_charge(method):
    site = Site().enrolled()
    request = getattr(site, f"{method}_request")().SerializeToString()
    first = site.vault.call(method, request)
    assert site.vault.call(method, request) == first
    assert site.ledger.head()[0] == 1


def test_other_content_for_the_same_step_is_a_conflict():
    site = Site().enrolled()
    site.vault.measure(site.measure_request())
    assert site.vault.measure(site.measure_request(variance=13)).status == "ERR_CONFLICT"
    site.vault.discriminate(site.discriminate_request())
    changed = site.discriminate_request(weights=bytes(4 * site.parameters))
    assert site.vault.discriminate(changed).status == "ERR_CONFLICT"
    assert site.ledger.head()[0] == 2


def test_a_restarted_vault_goes_on(tmp_path):
    path = tmp_path / "ledger.db"
    site = Site(ledger=Ledger(path, "people")).enrolled()
    reply = site.vault.measure(site.measure_request())
    site.ledger.close()
    again = Site(ledger=Ledger(path, "people"))
    assert again.vault.measure(again.measure_request()) == reply
    assert again.vault.discriminate(again.discriminate_request()).status == "OK"
    again.ledger.close()


def test_a_restart_under_a_stricter_policy_stops_the_study():
    site = Site().enrolled()
    for policy in (make_policy(approved_plans=()), make_policy(site="west")):
        strict = Site(ledger=site.ledger, policy=policy)
        assert strict.vault.measure(strict.measure_request()).status == "ERR_PLAN"
    for limits in ({"max_epsilon": 1.0}, {"max_epsilon_per_study": 1.0}):
        smaller = Site(ledger=site.ledger, policy=make_policy(**limits))
        assert smaller.vault.measure(smaller.measure_request()).status == "ERR_BUDGET"
    assert site.ledger.head()[0] == 0


def test_a_crash_between_charge_and_reply_is_spent():
    site = Site().enrolled()
    lost = site.measure_request()
    site.ledger.store_reply = lambda *_: (_ for _ in ()).throw(MemoryError)
    assert site.vault.measure(lost).status == "ERR_INTERNAL"
    del site.ledger.store_reply
    assert site.vault.measure(lost).status == "ERR_SPENT"
    assert site.ledger.head()[0] == 1


def test_malformed_bytes_get_a_code():
    vault = LocalVault(Site().enrolled().vault)
    for method, kind in {
        "enroll": pb.EnrollReply,
        "measure": pb.MeasureReply,
        "discriminate": pb.DiscriminateReply,
        "receipt": pb.ReceiptReply,
    }.items():
        assert kind.FromString(vault.call(method, b"\xff\xff")) == kind(status="ERR_PAYLOAD")


def test_seeded_noise_is_declared_in_the_receipt():
    replies = {}
    for seeded in (True, False):
        randomness = {"randomness": SeededRandomness(1)} if seeded else {}
        site = Site(**randomness).enrolled()
        replies[seeded] = site.vault.receipt(site.receipt_request()).receipt_json
    assert b'"seeded":true' in replies[True]
    assert b'"seeded":false' in replies[False]


def test_seeded_vaults_repeat_themselves():
    runs = []
    for _ in range(2):
        site = Site(randomness=SeededRandomness(1)).enrolled()
        runs.append(
            (
                site.vault.measure(site.measure_request()),
                site.vault.discriminate(site.discriminate_request()),
            )
        )
    assert runs[0] == runs[1]


def test_persons_are_charged_with_all_their_rows():
    schema = SCHEMA.model_copy(
        update={
            "columns": (*SCHEMA.columns, IdColumn(name="patient")),
            "person_key": "patient",
            "rows_per_person": 2,
        }
    )
    rows = make_records(100)
    records = Records(rows.codes, np.arange(100) // 2)
    plan = make_plan(table=schema)
    site = Site(plan=plan, schema=schema, records=records).enrolled()
    assert site.vault.measure(site.measure_request(variance=47)).status == "ERR_POLICY"
    assert site.vault.measure(site.measure_request(variance=48)).status == "OK"
    assert site.ledger.events()[0].sensitivity == 2
    assert site.vault.discriminate(site.discriminate_request()).status == "OK"
    few = Site(plan=plan, schema=schema, records=records, policy=make_policy(min_records=51))
    assert few.enroll() == "ERR_RECORDS"
