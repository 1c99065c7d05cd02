"""Nothing but DP results leaves: replies have one form, failures are codes, data is touched last."""

import json
import logging

import numpy as np
import pytest
from small_site import Site, make_plan, make_policy, make_records, run, watched_site

from fedsynth_client.records.records import Records
from fedsynth_common.errors import ErrorCode

pytestmark = pytest.mark.privacy
STEPS = ("measure", "discriminate")
CANARY = "ZZCANARY 1984-03-02"


@pytest.mark.parametrize("method", STEPS)
def test_replies_have_the_same_form_whatever_the_records(method):
    tables = [make_records(rows, seed) for seed, rows in enumerate((0, 1, 199, 200, 5000))]
    tables.append(Records(np.zeros((300, 3), np.uint16)))
    forms = set()
    for records in tables:
        site = Site(records=records, policy=make_policy())
        site.ledger.accept("study", site.plan.digest, site.plan.to_json())
        reply = run(site, method)
        sizes = [(f.name, len(value)) for f, value in reply.ListFields()]
        forms.add((reply.status, tuple(sizes), len(reply.SerializeToString())))
    assert len(forms) == 1


@pytest.mark.parametrize("method", STEPS)
def test_the_charge_is_on_disk_before_a_record_is_touched(method):
    site = watched_site().enrolled()
    assert site.records.charges_when_touched == []  # enrolment needs the declared minimum only
    assert run(site, method).status == "OK"
    assert set(site.records.charges_when_touched) == {1}


@pytest.mark.parametrize("method", STEPS)
def test_a_failure_after_the_charge_is_a_code_and_no_refund(method, caplog, capfd):
    site = watched_site(ValueError(CANARY)).enrolled()
    with caplog.at_level(logging.DEBUG):
        replies = [run(site, method) for _ in range(2)]
    assert replies[0] == replies[1] == type(replies[0])(status="ERR_INTERNAL")
    assert site.ledger.head()[0] == 1
    assert len(site.records.charges_when_touched) == 1  # the repetition ran nothing
    assert "ValueError" in caplog.text
    out = capfd.readouterr()
    assert "ZZCANARY" not in caplog.text + out.out + out.err


def test_an_unforeseen_failure_before_the_charge_is_a_code_without_text(caplog, monkeypatch):
    def broken(*_):
        raise ValueError(CANARY)

    monkeypatch.setattr("fedsynth_client.vault.service.admit_plan", broken)
    assert Site().enroll() == "ERR_INTERNAL"
    assert "ValueError" in caplog.text
    assert "ZZCANARY" not in caplog.text


@pytest.mark.parametrize("method", STEPS)
def test_refusals_touch_no_record_and_charge_nothing(method):
    site = watched_site().enrolled()
    refused = [run(site, method, step=99), run(site, method, plan_digest=b"?" * 32)]
    strict = watched_site(ledger=site.ledger, policy=make_policy(max_epsilon=0.5))
    refused.append(run(strict, method))
    assert [reply.status for reply in refused] == ["ERR_PLAN", "ERR_PLAN", "ERR_BUDGET"]
    for reply in refused:
        assert [field.name for field, _ in reply.ListFields()] == ["status"]
    assert site.records.charges_when_touched == strict.records.charges_when_touched == []
    assert site.ledger.head()[0] == 0


def test_every_status_is_one_of_the_fixed_codes():
    codes = {code.value for code in ErrorCode}
    site = watched_site(RuntimeError(CANARY))
    for request in (b"", b"\xff", CANARY.encode()):
        for method in ("enroll", "measure", "discriminate", "receipt"):
            reply = site.vault.call(method, request)
            assert reply[2 : 2 + reply[1]].decode() in codes  # field 1 is the status, and all
            assert len(reply) == 2 + reply[1]


def test_the_receipt_does_not_depend_on_the_records():
    bodies = []
    for rows in (100, 101):
        site = Site(records=make_records(rows)).enrolled()
        run(site, "measure")
        bodies.append(site.vault.receipt(site.receipt_request()).receipt_json)
    assert bodies[0] == bodies[1]


def test_the_receipt_does_not_tell_of_other_studies():
    """Whether a site took part in other studies, and in how many steps, is not in what it signs."""
    alone, busy = Site(), Site()
    other = Site(plan=make_plan(study="other"), ledger=busy.ledger).enrolled()
    for method in ("measure", "discriminate"):
        assert run(other, method).status == "OK"
    said = []
    for site in (alone, busy):
        assert run(site.enrolled(), "measure").status == "OK"
        receipt = json.loads(run(site, "receipt").receipt_json)
        head = receipt["ledger"].pop("head")
        assert head == site.ledger.head()[1]
        said.append(receipt)
    assert said[0] == said[1]
    assert said[0]["ledger"] == {}
