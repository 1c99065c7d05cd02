"""Who is which site: strangers, latecomers, sites that come back as another node."""

import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from small_study import make_frames, make_small_plan, start

from fedsynth_common.errors import FedsynthError
from fedsynth_common.protocol import enrolment_text
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_server.messages.exchange import Timing
from fedsynth_server.messages.session import Session
from fedsynth_server.messages.waiting import NO_KEY, NOT_SIGNED, NOT_THE_NAMED_KEY
from fedsynth_simulations.federation import in_process

PLAN = make_small_plan("marginals")


@pytest.fixture
def grid():
    return in_process(make_frames(), PLAN, 1)


def session(grid, **timing):
    return Session(PLAN, grid, Timing(**{"deadline": 10.0, "poll": 0.01, **timing}))


def renumber(grid, old, new):
    """The node of a site went away, and its site is there as another node."""
    grid._contexts[new] = grid._contexts.pop(old)


class After:
    """Calls `change` once the grid has been asked for its nodes `looks` times."""

    def __init__(self, grid, looks, change):
        self.original, self.looks, self.change = grid.get_node_ids, looks, change
        grid.get_node_ids = self.nodes

    def nodes(self):
        self.looks -= 1
        if self.looks == 0:
            self.change()
        return self.original()


def test_sites_are_known_by_what_their_vaults_say(grid):
    made = session(grid)
    made.enroll()
    assert made.enrolment.nodes == {"north": 2, "south": 3, "west": 4}
    assert list(made.keys) == list(PLAN.sites)


def test_a_latecomer_is_waited_for(grid):
    grid.down.add(3)
    After(grid, 5, lambda: grid.down.clear())
    made = session(grid, gather=10.0, quorum=2)
    made.enroll()
    assert list(made.keys) == list(PLAN.sites)
    assert made.notes == []


def test_after_the_time_to_gather_a_quorum_begins_and_says_who_is_missing(grid):
    grid.down.add(3)
    made = session(grid, gather=0.3, quorum=2)
    begun = time.monotonic()
    made.enroll()
    assert 0.3 <= time.monotonic() - begun < 5
    assert made.notes == ["enroll: south: not there"]
    with pytest.raises(FedsynthError, match="2 of 3"):
        session(grid, gather=0.3).enroll()


def test_a_node_that_is_no_site_of_the_plan_is_left_alone(grid):
    """A second SuperNode at a site, or a site of another study: neither takes part twice."""
    grid._contexts[9] = grid._contexts[3]
    made = session(grid, gather=5.0)
    made.enroll()
    assert sorted(made.enrolment.nodes.values())[:1] == [2]
    assert len(made.enrolment.nodes) == 3
    assert len(made.enrolment.refused) == 1


def test_a_site_that_comes_back_as_another_node_is_found_before_the_next_message(grid):
    study = start(grid, PLAN, quorum=2)
    original = study.measure_histograms

    def measure():
        found = original()
        renumber(grid, 3, 33)
        return found

    study.measure_histograms = measure
    outcome = study.run()
    assert study.session.enrolment.nodes["south"] == 33
    assert list(outcome.receipts) == list(PLAN.sites)
    assert not any("south" in note for note in outcome.notes)


def test_a_site_that_was_not_there_at_the_start_joins_at_the_next_message(grid):
    grid.down.add(3)
    study = start(grid, PLAN, quorum=2, gather=0.2)
    original = study.measure_histograms

    def measure():
        found = original()
        grid.down.clear()
        return found

    study.measure_histograms = measure
    outcome = study.run()
    assert list(outcome.receipts) == list(PLAN.sites)


def test_a_site_that_shows_another_key_when_it_comes_back_is_refused(grid):
    other = in_process(make_frames(), PLAN, 2)  # the same sites with new keys
    made = session(grid, quorum=2)
    made.enroll()
    original = grid._app

    def app(message, context):
        chosen = other._app if message.metadata.dst_node_id == 33 else original
        return chosen(message, context)

    grid._app = app
    renumber(grid, 3, 33)
    assert made.enrolment.node_of("south") == 3
    assert "another receipt key" in made.enrolment.refused["node 33"]


def keys_of(grid):
    """What each site would tell by telephone."""
    made = session(grid)
    made.enroll()
    return made.keys


def test_the_keys_that_study_toml_names_are_the_sites(grid):
    named = keys_of(grid)
    made = session(grid)
    made.enrolment.named = named
    made.enroll()
    assert made.keys == named
    assert made.enrolment.first_shown == []


def test_whoever_comes_first_under_a_named_site_with_another_key_is_refused(grid):
    made = session(grid, quorum=2)
    made.enrolment.named = {"south": b"k" * 32}
    kept = []
    made.journal.receipt_key = lambda site, key: kept.append(site) or key
    made.enroll()
    why = f"south: {NOT_THE_NAMED_KEY}"
    assert made.enrolment.refused == {"node 3": why}
    assert f"enroll: node 3: {why}" in made.notes
    assert made.enrolment.first_shown == ["north", "west"]
    assert "south" not in kept
    with pytest.raises(FedsynthError, match="2 of 3"):
        refused = session(grid)
        refused.enrolment.named = {"south": b"k" * 32}
        refused.enroll()


def test_a_named_key_that_is_shown_without_being_held_is_refused(grid):
    """Receipt keys are printed in papers: north shows south's, and its name, from its own vault."""
    made = session(grid)
    made.enrolment.named = keys_of(grid)
    original = grid._app

    def app(message, context):
        reply = original(message, context)
        if message.metadata.dst_node_id == 2:
            record = reply.content.config_records["reply"]
            said = pb.EnrollReply.FromString(record["body"])
            said.site, said.receipt_key = "south", made.enrolment.named["south"]
            record["body"] = said.SerializeToString()
        return reply

    grid._app = app
    grid.down |= {3, 4}
    with pytest.raises(FedsynthError):
        made.enroll()
    assert made.enrolment.nodes == {}
    why = f"south: {NOT_SIGNED}"
    assert made.enrolment.refused == {"node 2": why}


@pytest.mark.parametrize("change", ["signature", "site", "plan"])
def test_the_signature_is_for_this_name_and_this_plan(change):
    key = Ed25519PrivateKey.generate()
    digest = bytes.fromhex(make_small_plan("both").digest if change == "plan" else PLAN.digest)
    reply = pb.EnrollReply(
        status="OK",
        site="south",
        receipt_key=key.public_key().public_bytes_raw(),
        signature=key.sign(enrolment_text(digest, "north" if change == "site" else "south")),
    )
    if change == "signature":
        reply.signature = reply.signature[:-1]
    why = session(in_process(make_frames(), PLAN, 1)).enrolment._why_not(reply)
    assert why == f"south: {NOT_SIGNED}"


@pytest.mark.parametrize("key", [b"", b"k" * 31, b"k" * 10_000_000])
def test_what_is_no_receipt_key_is_refused_before_it_is_kept(grid, key):
    made = session(grid)
    made.journal.receipt_key = lambda site, key: pytest.fail("kept")
    reply = pb.EnrollReply(status="OK", site="south", receipt_key=key)
    assert made.enrolment._why_not(reply) == f"south: {NO_KEY}"
