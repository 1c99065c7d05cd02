"""The secure sum as a protocol: the sum is exact, and nothing else can be read from what parties send.

What vaults do with it, and in which order they write it down, is in `test_secure_vault.py`.
"""

import itertools

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from scipy.stats import chisquare
from secure_parties import Parties, make_counts

from fedsynth_common.errors import ErrorCode, FedsynthError, RefusalError
from fedsynth_common.secure_sum import agreement, masks, shamir, shares
from fedsynth_common.secure_sum.keys import PartyKeys, StepKeys, sign_keys
from fedsynth_common.secure_sum.roster import roster_of
from fedsynth_common.secure_sum.shares import Kind
from fedsynth_server.messages import opening

pytestmark = pytest.mark.privacy


def refused(code, call, *arguments):
    with pytest.raises(RefusalError) as caught:
        call(*arguments)
    assert caught.value.code is code


@pytest.mark.parametrize("word_bytes", [4, 8])
@pytest.mark.parametrize(("count", "colluders"), [(3, 1), (5, 1), (7, 2)])
def test_the_sum_is_the_plain_sum_for_every_set_of_survivors(count, colluders, word_bytes):
    everybody = Parties(count, colluders, word_bytes)
    threshold = everybody.roster.threshold
    counts = make_counts(everybody.present)
    for size in range(threshold, count + 1):
        for inside in itertools.combinations(everybody.present, size):
            holders = inside[-threshold:]  # those of the set that still answer
            expected = sum(counts[party] for party in inside)
            opened = everybody.opened(counts, inside, holders)
            assert opened.dtype == np.int64
            assert (opened == expected).all()


def test_sites_that_were_never_there_are_no_hindrance():
    four = Parties(5, 1, present=(0, 2, 3, 4))
    counts = make_counts(four.present)
    opened = four.opened(counts, four.present, four.present)
    assert (opened == sum(counts.values())).all()


def test_extreme_counts_wrap_and_come_back():
    for word_bytes, most in ((4, 2**31 - 1), (8, 2**63 - 1)):
        three = Parties(3, 1, word_bytes)
        counts = {0: np.array([most, -most]), 1: np.array([-most, 1]), 2: np.array([5, -1])}
        assert three.opened(counts, (0, 1, 2), (0, 1, 2)).tolist() == [5, -most]


@pytest.mark.parametrize("value", [0, 1, 2**31 - 1, -5])
@pytest.mark.parametrize("word_bytes", [4, 8])
def test_a_masked_input_is_uniform_whatever_the_counts(value, word_bytes):
    three = Parties(3, 1, word_bytes)
    sent = three.masked(np.full(40_000, value), 0, three.at())
    for byte in range(word_bytes):
        seen = np.bincount(sent.view(np.uint8)[byte::word_bytes], minlength=256)
        assert chisquare(seen).pvalue > 1e-6


def test_without_one_share_of_the_self_mask_the_sum_stays_closed():
    five = Parties(5, 1)
    counts = make_counts(five.present)
    with pytest.raises(FedsynthError, match="only 3 of the 4 sites"):
        five.opened(counts, five.present, (0, 1, 2))


def test_a_masked_input_without_its_self_mask_is_still_uniform():
    """The pair masks alone hide it: from whoever learned the seed, and nothing of other parties."""
    three = Parties(3, 1)
    at = three.at()
    sent = three.masked(np.zeros(40_000, np.int64), 0, at)
    masks.add_self_mask(sent, three.own[0].steps[1].seed, at, remove=True)
    assert chisquare(np.bincount(sent.view(np.uint8), minlength=256)).pvalue > 1e-6


def test_a_masked_input_without_its_pair_masks_is_still_uniform():
    """The self-mask alone hides the input of a party that was late, whose mask key was put together."""
    three = Parties(3, 1)
    at = three.at()
    sent = three.masked(np.zeros(40_000, np.int64), 0, at)
    for other in (1, 2):
        secret = masks.agreed(three.own[0].steps[1].mask, three.own[other].public.steps[1].mask)
        masks.add_pair_mask(sent, secret, 0, other, at, remove=True)
    assert chisquare(np.bincount(sent.view(np.uint8), minlength=256)).pvalue > 1e-6


def differ_everywhere(one, other):
    """Of words that agree by chance in 2^-64 of the places."""
    return (one != other).all()


def test_inputs_to_different_requests_steps_sets_and_rosters_do_not_cancel():
    """The difference of a party's inputs is never that of its counts, whatever was asked twice."""
    four = Parties(4, 1)
    zero = np.zeros(200, np.int64)
    first, small = four.at(), four.at(parties=(0, 1, 2))
    other_roster = roster_of(four.terms, {p: four.shown(p) for p in (0, 1, 2)})
    different = [
        (first, four.at(request=bytes(32))),
        (first, four.at(step=2)),
        (first, small),
        (small, masks.SumStep(small.step, small.parties, small.request, other_roster)),
    ]
    for asked, at in different:
        assert differ_everywhere(four.masked(zero, 0, asked), four.masked(zero, 0, at))
        # nor do the self-masks or the masks of a pair agree when taken by themselves
        for add in (
            lambda words, at: masks.add_self_mask(words, four.own[0].steps[1].seed, at),
            lambda words, at: masks.add_pair_mask(words, bytes(32), 0, 1, at),
        ):
            one, other = np.zeros(200, np.uint64), np.zeros(200, np.uint64)
            add(one, asked)
            add(other, at)
            assert differ_everywhere(one, other)


def test_self_mask_and_pair_mask_of_one_secret_differ():
    three = Parties(3, 1)
    one, other = np.zeros(200, np.uint64), np.zeros(200, np.uint64)
    masks.add_self_mask(one, bytes(32), three.at())
    masks.add_pair_mask(other, bytes(32), 0, 1, three.at())
    assert differ_everywhere(one, other)


def test_what_opens_one_step_says_nothing_about_another():
    two = PartyKeys.new(Parties(3, 1).terms)
    secrets = [
        two.channel,
        *(part for keys in two.steps.values() for part in (keys.mask, keys.seed)),
    ]
    assert len(set(secrets)) == 5
    assert all(len(secret) == 32 for secret in secrets)
    assert PartyKeys.new(Parties(3, 1).terms) != two


# who is who


def test_keys_that_the_planned_site_did_not_sign_are_refused():
    five = Parties(5, 1)
    shown = {party: five.shown(party) for party in five.present}
    roster_of(five.terms, shown)
    swapped = shown | {0: shown[1]}
    stranger = Ed25519PrivateKey.generate()
    public = five.own[0].public.to_bytes()
    invented = shown | {0: (public, sign_keys(five.terms, 0, public, stranger))}
    replaced = shown | {0: (PartyKeys.new(five.terms).public.to_bytes(), shown[0][1])}
    for forged in (swapped, invented, replaced):
        refused(ErrorCode.PAYLOAD, roster_of, five.terms, forged)


def test_keys_of_another_study_are_refused():
    one = Parties(3, 1)
    other = Parties(3, 1, digest=b"\x01" * 32, signing=one.signing)
    shown = {party: one.shown(party) for party in one.present}
    refused(ErrorCode.PAYLOAD, roster_of, other.terms, shown)


def test_keys_of_one_site_do_not_pass_for_another_with_the_same_receipt_key():
    """Should a plan name one key twice, a vault must not be made to be two parties."""
    key = Ed25519PrivateKey.generate()
    three = Parties(3, 1, signing=[key, key, Ed25519PrivateKey.generate()])
    shown = {0: three.shown(0), 1: three.shown(0), 2: three.shown(2)}
    refused(ErrorCode.PAYLOAD, roster_of, three.terms, shown)


def test_keys_that_give_everybody_the_same_secret_are_refused():
    three = Parties(3, 1)
    shown = {party: three.shown(party) for party in three.present}
    honest = three.own[0].public
    for weak in (
        PartyKeys(bytes(32), honest.steps),
        PartyKeys(honest.channel, honest.steps | {2: StepKeys(bytes(32), bytes(32))}),
    ):
        public = weak.to_bytes()
        forged = shown | {0: (public, sign_keys(three.terms, 0, public, three.signing[0]))}
        refused(ErrorCode.PAYLOAD, roster_of, three.terms, forged)


def test_too_few_or_unknown_parties_are_no_roster():
    five = Parties(5, 1)
    shown = {party: five.shown(party) for party in five.present}
    few = {party: shown[party] for party in (0, 1, 2)}
    refused(ErrorCode.POLICY, roster_of, five.terms, few)
    refused(ErrorCode.PAYLOAD, roster_of, five.terms, {**shown, 5: shown[0]})
    refused(ErrorCode.PAYLOAD, roster_of, five.terms, shown | {0: (b"", b"")})


def opened(four, party, sender, sealed, roster=None, step=1, kind=Kind.SEED):
    own = four.own[party]
    return shares.unseal(own, party, sender, roster or four.roster, step, kind, sealed)


def test_shares_can_be_read_by_their_receiver_alone():
    four = Parties(4, 1)
    content = shares.make_shares(four.own[0], four.roster)[1]
    share = shares.share_in(content, four.steps, 1, Kind.SEED)
    box = shares.seal(four.own[0], 0, 1, four.roster, content)
    assert len(box) == shares.box_bytes(2)
    sealed = shares.sealed_in(box, four.steps, 1, Kind.SEED)
    assert share not in box
    assert opened(four, 1, 0, sealed) == share
    assert opened(four, 2, 0, sealed) == shamir.NO_SHARE  # another party
    assert opened(four, 1, 2, sealed) == shamir.NO_SHARE  # another sender
    changed = bytes([*sealed[:-1], sealed[-1] ^ 1])
    assert opened(four, 1, 0, changed) == shamir.NO_SHARE
    assert opened(four, 1, 0, b"") == shamir.NO_SHARE
    assert opened(four, 0, 1, sealed) == shamir.NO_SHARE  # sent back to its sender


def test_a_sealed_share_does_not_pass_for_that_of_another_step_or_kind():
    """The coordinator passes one of two on; the party that opens it decides which of them it is."""
    four = Parties(4, 1)
    for step in four.steps:
        for kind in Kind:
            sealed = four.sealed(1, 0, step, kind)
            for as_step in four.steps:
                for as_kind in Kind:
                    found = opened(four, 1, 0, sealed, step=as_step, kind=as_kind)
                    same = (step, kind) == (as_step, as_kind)
                    assert (found != shamir.NO_SHARE) is same


def test_every_share_is_sealed_with_a_key_of_its_own():
    """Equal shares in all places: no two seals are equal, so no key is used twice."""
    four = Parties(4, 1)
    content = bytes(shares.content_bytes(2))
    boxes = [
        shares.seal(four.own[a], a, b, four.roster, content)
        for a in four.present
        for b in four.present
        if a != b
    ]
    smaller = roster_of(four.terms, {party: four.shown(party) for party in (0, 1, 2)})
    boxes.append(shares.seal(four.own[0], 0, 1, smaller, content))
    size = shares.SEALED_BYTES
    seals = [box[k : k + size] for box in boxes for k in range(0, len(box), size)]
    assert len(set(seals)) == len(seals) == 13 * 4


def test_shares_sealed_under_another_roster_cannot_be_read():
    """A split roster: the coordinator showed two parties different lists."""
    four = Parties(4, 1)
    smaller = roster_of(four.terms, {party: four.shown(party) for party in (0, 1, 2)})
    content = shares.make_shares(four.own[0], smaller)[1]
    box = shares.seal(four.own[0], 0, 1, smaller, content)
    sealed = shares.sealed_in(box, four.steps, 1, Kind.SEED)
    assert opened(four, 1, 0, sealed) == shamir.NO_SHARE
    assert opened(four, 1, 0, sealed, roster=smaller) != shamir.NO_SHARE


def test_each_party_shows_one_of_the_two_shares():
    five = Parties(5, 1)
    at, inside = five.at(), (0, 1, 2, 3)
    (shown,) = five.shown_shares((0,), at, inside).values()
    for party, share in shown.items():
        secrets = shares.make_shares(five.own[party], five.roster)
        assert len(share) == len(secrets[0]) // 4
        if party == 0:
            continue
        of_mask, of_seed = (
            opened(five, 0, party, five.sealed(0, party, 1, kind), kind=kind) for kind in Kind
        )
        assert share == (of_seed if party in inside else of_mask)
        assert of_mask != of_seed
    # whatever the coordinator passes on, a party opens no share of the other kind
    wrong = {p: five.sealed(0, p, 1, Kind(1 - shares.kind_for(p, inside))) for p in (1, 2, 3, 4)}
    mine = five.boxes[0][0]
    none = shares.revealed(five.own[0], 0, five.roster, 1, mine, wrong, inside)
    assert {none[p] for p in (1, 2, 3, 4)} == {shamir.NO_SHARE}


# which set is opened


def test_sets_that_a_party_must_not_open():
    five = Parties(5, 1)
    at = five.at(parties=(0, 1, 2, 3))
    agreement.check_set(five.terms, at, (0, 1, 2, 3), 0)
    for code, inside, party in (
        (ErrorCode.PAYLOAD, (0, 1, 2, 3, 4), 0),  # not all of them have masks in the sum
        (ErrorCode.PAYLOAD, (0, 1, 2, 3), 4),  # it is not in it itself
        (ErrorCode.POLICY, (0, 1, 2), 0),  # fewer than K - c
    ):
        refused(code, agreement.check_set, five.terms, at, inside, party)


def test_a_set_must_be_as_large_as_it_takes_to_open_it():
    three = Parties(3, 1)
    refused(ErrorCode.POLICY, agreement.check_set, three.terms, three.at(), (0, 1), 0)


def test_a_set_is_opened_at_t_signatures_of_its_parties():
    five = Parties(5, 1)
    at, inside = five.at(), (0, 1, 2, 3)
    signed = [(p, agreement.sign_set(at, inside, five.signing[p])) for p in five.present]
    agreement.check_signatures(five.terms, at, inside, signed[:4])
    check = agreement.check_signatures
    refused(ErrorCode.POLICY, check, five.terms, at, inside, signed[:3])
    refused(ErrorCode.POLICY, check, five.terms, at, inside, [*signed[:3], signed[0]])
    refused(ErrorCode.PAYLOAD, check, five.terms, at, inside, signed)  # 4 is not in the set
    swapped = [(1, signed[0][1]), *signed[1:4]]
    refused(ErrorCode.PAYLOAD, check, five.terms, at, inside, swapped)


def test_a_signature_is_for_one_set_of_one_sum():
    five = Parties(5, 1)
    at, inside = five.at(), (0, 1, 2, 3)
    signed = [(p, agreement.sign_set(at, inside, five.signing[p])) for p in inside]
    for other_at, other_set in (
        (at, (1, 2, 3, 4)),
        (five.at(step=2), inside),
        (five.at(request=bytes(32)), inside),
    ):
        check = agreement.check_signatures
        refused(ErrorCode.PAYLOAD, check, five.terms, other_at, other_set, signed)


def test_the_set_of_all_parties_needs_no_signature():
    """It is in the request and in every mask; a smaller one takes t signatures."""
    five = Parties(5, 1)
    at = five.at()
    agreement.check_signatures(five.terms, at, five.present, [])
    refused(ErrorCode.POLICY, agreement.check_signatures, five.terms, at, (0, 1, 2, 3), [])


@pytest.mark.parametrize(
    ("count", "colluders", "answered"),
    [(3, 1, 3), (4, 1, 4), (5, 1, 4), (5, 1, 5), (5, 2, 5), (6, 1, 6), (7, 3, 7)],
)
def test_nothing_but_one_set_is_ever_open(count, colluders, answered):
    """Every way to bind honest parties to the set of all or to one of two smaller ones.

    The last c parties collude: they sign everything and show all that they hold. A smaller set is
    opened at t signatures, the set of all at none. Then the secrets that can be put together open
    the masks of one set at most, which has at least K - c parties, and never a part of it.
    """
    terms = Parties(count, colluders).terms
    everybody, t = tuple(range(answered)), terms.threshold(answered)
    honest = everybody[: answered - colluders]
    least = max(terms.least, t)
    smaller = [
        inside
        for size in range(least, answered)
        for inside in itertools.combinations(everybody, size)
    ]
    pairs = [*itertools.combinations(smaller, 2), *((s, s) for s in smaller)]
    for first, second in pairs or [(everybody, everybody)]:
        for bound in itertools.product((everybody, first, second), repeat=len(honest)):
            if all(p in inside for p, inside in zip(honest, bound, strict=True)):
                _one_set_at_most(bound, everybody, t, colluders, least)


def _one_set_at_most(bound, everybody, t, colluders, least):
    """`bound` says which set each honest party is bound to."""
    signed = {inside: bound.count(inside) + colluders for inside in set(bound)}
    showing = [inside for inside in bound if inside == everybody or signed[inside] >= t]
    seed = {p for p in everybody if sum(p in s for s in showing) + colluders >= t}
    key = {p for p in everybody if sum(p not in s for s in showing) + colluders >= t}
    honest = set(everybody[: len(everybody) - colluders])
    assert not seed & key & honest
    # the masks of a set come off if all its seeds and the mask keys of all others are known
    possible = [
        inside
        for size in range(1, len(everybody) + 1)
        for inside in itertools.combinations(everybody, size)
        if set(inside) <= seed and set(everybody) - set(inside) <= key
    ]
    assert len({frozenset(inside) & honest for inside in possible}) <= 1
    assert all(len(set(inside) | (set(everybody) - honest)) >= least for inside in possible)


@pytest.mark.parametrize(("count", "colluders"), [(3, 1), (4, 1), (5, 1), (6, 2), (7, 2)])
def test_two_sets_are_never_both_opened_whatever_is_shown_to_whom(count, colluders):
    """Every way to show the honest parties one of two sets; colluders show everything they hold.

    Whoever could put together both secrets of one honest party would read that party's input.
    """
    terms = Parties(count, colluders).terms
    for present in range(terms.least, count + 1):
        t = terms.threshold(present)
        if t > present:
            continue
        honest = present - colluders
        for shown_first in range(honest + 1):
            seeds, mask_keys = shown_first + colluders, honest - shown_first + colluders
            assert not (seeds >= t and mask_keys >= t)


# what the coordinator notices


def test_wrong_shares_are_noticed_and_not_summed():
    four = Parties(4, 1)
    at, inside = four.at(), (0, 1, 2)
    counts = make_counts(four.present)
    inputs = {party: four.masked(counts[party], party, at) for party in inside}
    for target in (1, 3):  # a seed, and the mask key of the party that vanished
        shown = four.shown_shares(inside, at, inside)
        shown[0][target] = opened(
            four, 0, 2, four.sealed(0, 2, 2, Kind.MASK), step=2, kind=Kind.MASK
        )
        with pytest.raises(FedsynthError, match=f"shares of site {target} do not give"):
            opening.opened_sum(four.terms, at, inputs, shown)
    shown = four.shown_shares(inside, at, inside)
    shown[0][1] = shamir.NO_SHARE
    with pytest.raises(FedsynthError, match="only 2 of the 3 sites"):
        opening.opened_sum(four.terms, at, inputs, shown)


def test_a_sum_over_another_set_than_was_opened_is_noise():
    """Shares for one set applied to the inputs of another: the masks stay on."""
    five = Parties(5, 1)
    counts = {party: np.zeros(200, np.int64) for party in five.present}
    at = five.at()
    inputs = {party: five.masked(counts[party], party, at) for party in (0, 1, 2, 3)}
    shown = five.shown_shares(five.present, at, five.present)
    with pytest.raises(FedsynthError, match="site 4 do not give"):
        opening.opened_sum(five.terms, at, inputs, shown)
