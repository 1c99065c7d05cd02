"""Receipts are believed only when signed, for this study, and readable."""

import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from small_study import SCHEMA, SITES, make_generator, make_small_plan

from fedsynth_client.budget.receipts import receipt_json
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.events import GaussianEvent
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_release.generator import Generator
from fedsynth_server.study.export import export, privacy_statement, site_cost
from fedsynth_server.study.result import StudyResult

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()
EVENT = GaussianEvent(noise_multiplier=5.0)


@pytest.fixture(scope="module")
def plan():
    return make_small_plan("both")


def receipt(plan, key=KEY, body=None, **changes):
    fields = {
        "study": plan.study,
        "plan_digest": plan.digest,
        "dataset": "people",
        "events": [EVENT],
        "head": "0" * 64,
        "seeded": False,
    }
    body = receipt_json(**(fields | changes)) if body is None else body
    return pb.ReceiptReply(status="OK", receipt_json=body, signature=key.sign(body))


def test_a_good_receipt_states_what_it_lists(plan):
    cost, seeded = site_cost(plan, "north", receipt(plan), PUBLIC)
    assert (cost.status, seeded) == ("complete", False)
    assert cost.epsilon == epsilon([EVENT], plan.delta)
    assert bytes.fromhex(cost.receipt) == receipt(plan).receipt_json


def test_a_seed_at_any_site_voids_the_guarantee(plan):
    receipts = {site: receipt(plan, seeded=site == "south") for site in SITES}
    statement = privacy_statement(plan, outcome(receipts))
    assert not statement.private
    assert statement.caveats[0].startswith("not private: seeded")


def outcome(receipts):
    generator = make_generator()
    keys = dict.fromkeys(receipts, PUBLIC)
    return StudyResult(generator.network, generator.codebook, receipts, keys, (1.0, 1.0))


def bad_receipts(plan):
    other = Ed25519PrivateKey.generate()
    good = receipt(plan)
    bodies = [
        b"",
        b"not JSON",
        b"[]",
        b'"text"',
        b"[" * 100_000,
        b"\xff",
        json.dumps({"plan_digest": plan.digest}).encode(),
        json.dumps({"plan_digest": plan.digest, "events": ["x"], "seeded": False}).encode(),
        json.dumps({"plan_digest": plan.digest, "events": 7, "seeded": False}).encode(),
        json.dumps({"plan_digest": plan.digest, "events": [{"kind": "z"}], "seeded": 0}).encode(),
        json.dumps(
            {
                "plan_digest": plan.digest,
                "events": [{"kind": "gaussian", "noise_multiplier": -1.0}],
                "seeded": False,
            }
        ).encode(),
    ]
    yield None, PUBLIC
    yield good, b""
    yield good, b"\x00" * 32
    yield receipt(plan, key=other), PUBLIC
    yield pb.ReceiptReply(status="OK", receipt_json=good.receipt_json), PUBLIC
    yield receipt(plan, plan_digest="0" * 64), PUBLIC
    yield receipt(plan, study="another"), PUBLIC
    for body in bodies:
        yield receipt(plan, body=body), PUBLIC


def test_an_unusable_receipt_counts_as_the_whole_plan(plan):
    worst = epsilon(plan.planned_events(), plan.delta)
    for bad, key in bad_receipts(plan):
        cost, _ = site_cost(plan, "north", bad, key)
        assert (cost.status, cost.epsilon, cost.receipt) == ("lost", worst, "")


def test_the_worst_site_is_the_studys_epsilon(plan):
    weak = GaussianEvent(noise_multiplier=2.0)
    receipts = {"north": receipt(plan), "south": receipt(plan, events=[weak])}
    statement = privacy_statement(plan, outcome(receipts))
    by_site = {cost.site: cost for cost in statement.sites}
    assert list(by_site) == list(SITES)
    assert by_site["west"].status == "lost"
    assert statement.epsilon_if_people_are_at_one_site_only == max(
        c.epsilon for c in statement.sites
    )


def test_a_drafted_schema_is_a_caveat(plan):
    drafted = SCHEMA.model_copy(update={"origin": "drafted from data"})
    changed = plan.model_copy(update={"table": drafted})
    statement = privacy_statement(changed, outcome({}))
    assert not statement.private
    assert any("drafted from data" in caveat for caveat in statement.caveats)


def test_export_writes_what_it_returns(plan, tmp_path):
    found = outcome({site: receipt(plan) for site in SITES})
    found.notes = ["step 3: south left out"]
    made = export(plan, found, tmp_path / "deep" / "generator")
    loaded = Generator.load(tmp_path / "deep" / "generator")
    assert loaded.statement == made.statement
    assert loaded.sample(20, seed=1).equals(made.sample(20, seed=1))
    approved = (tmp_path / "deep" / "generator" / "plan.json").read_bytes()
    assert hashlib.sha256(approved).hexdigest() == loaded.statement.plan_digest
    card = (tmp_path / "deep" / "generator" / "MODEL_CARD.md").read_text()
    for expected in (*SITES, "step 3: south left out", plan.study, "δ = 3e-05"):
        assert expected in card
