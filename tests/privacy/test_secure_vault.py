"""Vaults in a secure sum: what they refuse, whatever a coordinator sends, and in which order they write.

The coordinator of these tests is `secure_sites.Sites`; `test_secure_sum.py` tests the protocol alone.
"""

import itertools
import json
import sqlite3

import numpy as np
import pytest
from scipy.stats import chi2, chisquare
from secure_sites import CELLS, STEP, Sites
from small_site import PAIRS, WIDTHS, Watched, make_records

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.vault import secure_sum
from fedsynth_client.vault.measure import Axis, Marginal, contingency
from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.privacy.secure_noise import share_variance
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.secure_sum.masks import unpack_words
from fedsynth_common.secure_sum.shamir import SHARE_BYTES
from fedsynth_common.secure_sum.shares import SEALED_BYTES, Kind, sealed_in
from fedsynth_common.secure_sum.terms import SumTerms, pack_parties

pytestmark = pytest.mark.privacy
MARGINALS = [Marginal(tuple(Axis(c, WIDTHS[c]) for c in pair), 1) for pair in PAIRS]


def plain(parties):
    """The exact sum of the sites' counts."""
    tables = [
        np.concatenate(contingency(make_records(seed=p).codes, [], MARGINALS)) for p in parties
    ]
    return sum(tables)


@pytest.fixture
def four():
    return Sites(4, 1)


def status(reply):
    """The code of a reply, which then holds nothing else."""
    if reply.status != "OK":
        assert len(reply.ListFields()) == 1
    return reply.status


def test_the_opened_sum_is_that_of_the_counts_and_of_one_noise_of_each_site(monkeypatch):
    """With the noise taken out the sum is exact, for every set that may be opened."""
    from fedsynth_client.vault import measure as module

    monkeypatch.setattr(module, "noisy_counts", lambda counts, scale, randomness: counts)
    assert (Sites(4, 1).run() == plain(range(4))).all()
    for gone in range(4):
        inside = tuple(p for p in range(4) if p != gone)
        assert (Sites(4, 1).run(inside) == plain(inside)).all()
    for inside in ((0, 1, 2, 3, 4), (0, 2, 3, 4)):  # and one more that vanishes while it is opened
        assert (Sites(5, 1).run(inside, holders=inside[-4:]) == plain(inside)).all()


def test_a_site_adds_no_more_to_a_cell_than_a_public_bound(monkeypatch):
    """So honest counts never wrap around; and each count is bounded by itself, before the noise."""
    from fedsynth_client.vault import measure as module

    assert Sites(4, 1).terms.most == 2**30 // 4
    monkeypatch.setattr(module, "noisy_counts", lambda counts, scale, randomness: counts)
    monkeypatch.setattr(SumTerms, "most", 20)
    bounded = sum(np.minimum(plain([party]), 20) for party in range(4))
    assert (plain(range(4)) > 80).any()
    assert (Sites(4, 1).run() == bounded).all()


def test_noise_of_the_opened_sum_has_the_variance_of_all_shares():
    """K shares of σ² / (K - c) each; half of that is rejected."""
    variance, differences = 48, []
    for _ in range(12):
        sites = Sites(4, 1)
        for step in (1, 2):
            differences += [sites.run(step=step) - plain(range(4))]
    found = np.square(np.concatenate(differences)).sum()
    expected, size = 4 * share_variance(variance, 3), len(differences) * CELLS
    low, high = chi2.ppf([1e-6, 1 - 1e-6], size)
    assert low < found / expected < high
    assert not low < found / (expected / 2) < high


@pytest.mark.parametrize("parties", [(0, 1, 2, 3), (0, 1, 2)])
def test_what_a_vault_sends_is_uniform_whatever_its_counts(parties):
    words = []
    for _ in range(40):
        sites = Sites(4, 1)
        for step in (1, 2):
            reply = sites.measured([0], parties, step)[0]
            words.append(np.frombuffer(reply.counts, np.uint8))
    assert chisquare(np.bincount(np.concatenate(words), minlength=256)).pvalue > 1e-6


def test_the_charge_and_the_commitment_are_on_disk_before_a_record_is_touched(four):
    records = Watched()
    records.ledger = four.ledgers[0]
    assert four.sealed
    four.sites[0].vault._records = records
    four.sites[0].records = records
    assert four.measured([0])[0].status == "OK"
    assert set(records.charges_when_touched) == {2}  # parties, then the charge
    (charge,) = four.ledgers[0].charged()
    assert charge.step == STEP
    assert {event.shares for event in charge.events} == {3}


def test_replies_have_one_length_whatever_the_records(four):
    sizes = []
    for rows in (1, 3_000):
        sites = Sites(4, 1)
        sites.sites[0].vault._records = make_records(rows)
        reply = sites.measured([0])[0]
        sizes.append(len(reply.SerializeToString()))
        assert len(reply.counts) == CELLS * four.terms.word_bytes
    assert sizes[0] == sizes[1]


# the order of the phases


def test_nothing_is_answered_before_its_turn(four):
    request = four.measure_request()
    assert status(four.call(0, "measure", request)) == "ERR_CONFLICT"  # no roster yet
    assert status(four.agree(0, (0, 1, 2))) == "ERR_CONFLICT"
    assert four.sealed
    assert status(four.agree(0, (0, 1, 2))) == "ERR_CONFLICT"  # not measured yet
    assert status(four.unmask(0, (0, 1, 2), {}, four.at())) == "ERR_CONFLICT"
    assert four.ledgers[0].head()[0] == 0


def test_a_local_plan_has_no_such_messages_and_a_secure_one_no_plain_measurement(four):
    from small_site import Site

    local = Site().enrolled()
    for method, (kind, reply, _) in secure_sum.ANSWERS.items():
        request = kind(plan_digest=local.digest).SerializeToString()
        assert reply.FromString(local.vault.call(method, request)).status == "ERR_PLAN"
    assert local.vault.measure(local.measure_request(parties=pack_parties((0, 1)))).status == (
        "ERR_PAYLOAD"
    )
    assert four.sealed
    bare = four.sites[0].measure_request(STEP, variance=four.variance)
    assert status(four.call(0, "measure", bare)) == "ERR_PAYLOAD"
    assert four.ledgers[0].head()[0] == 0


def test_everything_is_answered_again_with_the_same_bytes(four):
    for _ in range(2):
        first = four.keys(0), four.call(0, "shares", four.shares_request())
        assert first == (four.keys(0), four.call(0, "shares", four.shares_request()))
    replies = four.measured(range(4))
    assert four.measured(range(4)) == replies
    shown = four.unmask(0, four.everybody, {}, four.at())
    assert shown == four.unmask(0, four.everybody, {}, four.at())
    assert len(shown.shares) == 4 * SHARE_BYTES


# rosters


def test_one_roster_for_a_study(four):
    assert status(four.call(0, "shares", four.shares_request((0, 1, 2)))) == "OK"
    assert status(four.call(0, "shares", four.shares_request())) == "ERR_CONFLICT"
    assert status(four.call(1, "shares", four.shares_request())) == "OK"  # split: nothing fits now


def test_rosters_that_are_refused(four):
    honest = four.shares_request()
    swapped = pb.SharesRequest.FromString(honest.SerializeToString())
    swapped.roster[1].keys, swapped.roster[1].signature = four.shown[2]
    doubled = pb.SharesRequest.FromString(honest.SerializeToString())
    doubled.roster.append(honest.roster[3])
    other = Sites(4, 1, signing=four.signing)  # the same sites, keys of another time
    old = pb.SharesRequest.FromString(honest.SerializeToString())
    old.roster[0].keys, old.roster[0].signature = other.shown[0]
    for code, request in (
        ("ERR_PAYLOAD", swapped),
        ("ERR_PAYLOAD", doubled),
        ("ERR_PAYLOAD", four.shares_request((3, 2, 1, 0))),
        ("ERR_PAYLOAD", four.shares_request((1, 2, 3))),  # without this site
        ("ERR_PAYLOAD", old),  # not the keys that it has
        ("ERR_POLICY", four.shares_request((0, 1))),  # fewer than K - c
    ):
        assert status(four.call(0, "shares", request)) == code
    assert four.ledgers[0].kept(four.plan.study, secure_sum.ROSTER) is None


def test_a_vault_that_the_plan_does_not_name_takes_no_part(four):
    stranger = Sites(4, 1)
    site = stranger.sites[0]
    site.vault._ledger.accept("x", four.plan.digest, four.plan.to_json())
    request = pb.KeysRequest(plan_digest=four.digest).SerializeToString()
    assert pb.KeysReply.FromString(site.vault.call("keys", request)).status == "ERR_PLAN"


# the masked input


def test_parties_of_a_step_that_are_refused(four):
    assert four.sealed
    for code, parties in (
        ("ERR_PAYLOAD", (1, 2, 3)),  # without this site
        ("ERR_PAYLOAD", (0, 1, 2, 3, 4)),
        ("ERR_PAYLOAD", (1, 0, 2)),
        ("ERR_POLICY", (0, 1)),  # fewer than K - c
    ):
        assert status(four.call(0, "measure", four.measure_request(parties))) == code
    assert four.ledgers[0].head()[0] == 0


def test_noise_is_never_repeated_under_another_roster_or_request(four):
    first = four.measured([0])[0]
    for other in (
        four.measure_request((0, 1, 2)),
        four.measure_request(variance=four.variance + 1),
    ):
        assert status(four.call(0, "measure", other)) == "ERR_CONFLICT"
    assert four.call(0, "measure", four.measure_request()) == first
    assert len(four.ledgers[0].charged()) == 1


def test_the_plan_decides_the_noise(four):
    assert four.sealed
    weak = four.measure_request(variance=four.terms.least)  # sigma² of all shares together
    assert status(four.call(0, "measure", weak)) == "ERR_POLICY"


def test_inputs_of_one_vault_to_two_steps_share_nothing(four):
    one, two = (
        unpack_words(four.measured([0], step=step)[0].counts, CELLS, four.terms) for step in (1, 2)
    )
    other = (two - one).view(np.int32)
    assert np.abs(other.astype(float)).mean() > 2**28  # uniform differences, not those of counts


# the set


def test_a_vault_signs_one_smaller_set_and_opens_no_other(four):
    four.measured(range(4))
    first = four.agree(0, (0, 1, 2))
    assert status(first) == "OK"
    assert four.agree(0, (0, 1, 2)) == first
    assert status(four.agree(0, (0, 1, 3))) == "ERR_CONFLICT"
    assert status(four.unmask(0, four.everybody, {}, four.at())) == "ERR_CONFLICT"


def test_a_vault_that_opened_the_set_of_all_signs_no_smaller_one(four):
    four.measured(range(4))
    assert status(four.unmask(0, four.everybody, {}, four.at())) == "OK"
    assert status(four.agree(0, (0, 1, 2))) == "ERR_CONFLICT"


def test_both_kinds_of_shares_of_one_site_are_never_shown(four):
    """The coordinator has t signatures on two sets, which takes more than c colluders; one opens."""
    four.measured(range(4))
    at, small = four.at(), (0, 1, 2)
    signed = {
        inside: {p: secure_sum.sign_set(at, inside, four.signing[p]) for p in inside}
        for inside in (small, four.everybody)
    }
    shown = four.unmask(0, small, signed[small], at)
    assert status(shown) == "OK"
    assert status(four.unmask(0, four.everybody, signed[four.everybody], at)) == "ERR_CONFLICT"
    assert four.unmask(0, small, signed[small], at) == shown


def test_sets_that_are_not_opened(four):
    four.measured(range(4))
    at, small = four.at(), (0, 1, 2)
    signed = {p: secure_sum.sign_set(at, small, four.signing[p]) for p in small}
    others = {p: secure_sum.sign_set(at, (0, 1, 3), four.signing[p]) for p in (0, 1, 3)}
    for code, inside, signatures in (
        ("ERR_POLICY", small, {}),  # fewer than t signatures
        ("ERR_POLICY", small, dict(itertools.islice(signed.items(), 2))),
        ("ERR_PAYLOAD", small, others),  # signatures on another set
        ("ERR_PAYLOAD", (1, 2, 3), signed),  # without this site
        ("ERR_PAYLOAD", small, signed | {0: signed[1]}),
        ("ERR_PAYLOAD", small, signed | {3: others[3]}),  # more than the set has parties
    ):
        assert status(four.unmask(0, inside, signatures, at)) == code
    assert status(four.agree(0, (0, 1))) == "ERR_POLICY"  # fewer than K - c
    assert status(four.agree(0, (1, 2, 3))) == "ERR_PAYLOAD"
    assert four.ledgers[0].commitment(four.plan.study, STEP, secure_sum.SET) is None


def test_shares_of_another_length_are_refused_and_foreign_ones_are_none(four):
    four.measured(range(4))
    at = four.at()
    request = four.unmask_request(0, four.everybody, {}, at)
    request.sealed = request.sealed[1:]
    assert status(four.call(0, "unmask", request)) == "ERR_PAYLOAD"
    request = four.unmask_request(0, four.everybody, {}, at)
    one = SEALED_BYTES
    request.sealed = request.sealed[one : 2 * one] + request.sealed[one:]
    shown = four.call(0, "unmask", request)
    assert status(shown) == "OK"
    assert shown.shares[SHARE_BYTES : 2 * SHARE_BYTES] == b"\xff" * SHARE_BYTES


def test_a_vault_shows_no_share_of_the_kind_that_the_set_does_not_call_for(four):
    """The coordinator passes on the sealed share of a mask key where the seed's is due."""
    four.measured(range(4))
    at = four.at()
    request = four.unmask_request(0, four.everybody, {}, at)
    keys = [sealed_in(four.sealed[p, 0], four.terms.steps, STEP, Kind.MASK) for p in (1, 2, 3)]
    request.sealed = b"".join(keys)
    shown = four.call(0, "unmask", request)
    assert status(shown) == "OK"
    assert shown.shares[SHARE_BYTES:] == b"\xff" * (3 * SHARE_BYTES)


def test_three_sites_of_which_one_vanishes_under_its_masks_open_nothing():
    """K = 3, c = 1: with two signatures, a colluder could have two sets opened."""
    three = Sites(3, 1)
    replies = three.measured([0, 1])
    assert {r.status for r in replies.values()} == {"OK"}
    assert status(three.agree(0, (0, 1))) == "ERR_POLICY"


def test_the_receipt_says_how_many_sites_were_in_each_sum(four):
    """As the ledger holds it: the parties of the masks, and the set that this site agreed to open."""

    def sums():
        receipt = four.call(0, "receipt", pb.ReceiptRequest(plan_digest=four.digest))
        return [tuple(s.values()) for s in json.loads(receipt.receipt_json).get("sums", [])]

    assert four.sealed
    assert sums() == []
    four.measured(range(4), step=1)
    assert sums() == [(4, None, 1)]
    four.run((0, 1, 2), step=2)
    assert sums() == [(4, None, 1), (4, 3, 2)]


# crashes


@pytest.fixture
def on_disk(tmp_path):
    ledgers = {0: Ledger(tmp_path / "ledger.db", "people")}
    yield Sites(4, 1, ledgers=ledgers), tmp_path / "ledger.db"
    ledgers[0].close()


def restarted(sites, path):
    sites.ledgers[0].close()
    sites.ledgers[0] = Ledger(path, "people")
    sites.start(0)


def test_a_restarted_vault_goes_on_where_it_was(on_disk):
    sites, path = on_disk
    key = sites.keys(0)
    restarted(sites, path)
    assert sites.keys(0) == key
    shares = sites.call(0, "shares", sites.shares_request())
    restarted(sites, path)
    assert sites.call(0, "shares", sites.shares_request()) == shares
    replies = sites.measured(range(4))
    restarted(sites, path)
    assert sites.measured([0])[0] == replies[0]
    sites.agree(0, (0, 1, 2))
    restarted(sites, path)
    assert status(sites.agree(0, (0, 1, 3))) == "ERR_CONFLICT"
    assert status(sites.agree(0, (0, 1, 2))) == "OK"


def test_a_vault_whose_input_was_lost_after_the_charge_signs_nothing(on_disk, monkeypatch):
    sites, path = on_disk
    assert sites.sealed

    def killed(*_):
        raise RefusalError(ErrorCode.UNAVAILABLE)

    monkeypatch.setattr(Ledger, "store_reply", killed)
    assert sites.measured([0])[0].status == "ERR_UNAVAILABLE"
    monkeypatch.undo()
    restarted(sites, path)
    assert status(sites.measured([0])[0]) == "ERR_SPENT"
    assert status(sites.agree(0, (0, 1, 2))) == "ERR_SPENT"
    assert status(sites.call(0, "measure", sites.measure_request((0, 1, 2)))) == "ERR_CONFLICT"


def test_a_ledger_set_back_to_before_a_set_was_signed_blocks(on_disk, tmp_path):
    sites, path = on_disk
    sites.measured(range(4))
    with sqlite3.connect(path) as source, sqlite3.connect(tmp_path / "old") as copy:
        source.backup(copy)
    assert status(sites.agree(0, (0, 1, 2))) == "OK"
    sites.ledgers[0].close()
    for file in path.parent.glob("ledger.db-*"):
        file.unlink()
    (tmp_path / "old").replace(path)
    with pytest.raises(RefusalError, match="ERR_LEDGER"):
        Ledger(path, "people")
    sites.ledgers[0] = Ledger(":memory:", "people")


def test_a_changed_commitment_blocks(on_disk):
    sites, path = on_disk
    sites.measured([0])
    sites.agree(0, (0, 1, 2))
    sites.ledgers[0].close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE commitments SET content = '000001000300' WHERE name LIKE '%set'")
    with pytest.raises(RefusalError, match="ERR_LEDGER"):
        Ledger(path, "people")
    sites.ledgers[0] = Ledger(":memory:", "people")
