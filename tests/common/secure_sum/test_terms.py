"""How many it takes, and how sets of parties are written."""

import pytest

from fedsynth_common.errors import ErrorCode, RefusalError
from fedsynth_common.secure_sum.terms import SumTerms, pack_parties, unpack_parties

MOST_SITES = 60


def terms_of(count, colluders):
    keys = (bytes(32),) * count
    return SumTerms(bytes(32), tuple(map(str, range(count))), keys, colluders, (1,))


def every_case():
    for count in range(3, MOST_SITES):
        for colluders in range(1, (count - 1) // 2 + 1):
            for present in range(count - colluders, count + 1):
                yield terms_of(count, colluders), present


@pytest.mark.privacy
def test_two_groups_that_can_open_have_an_honest_party_in_common():
    """2 t > n + c, and t colluders are needed to put a secret together: t > c."""
    for terms, present in every_case():
        t = terms.threshold(present)
        assert 2 * t > present + terms.colluders
        assert terms.colluders < t <= max(present, terms.least)


def test_c_parties_may_vanish_whenever_more_than_3_c_take_part():
    for terms, present in every_case():
        if present == len(terms.sites) > 3 * terms.colluders:
            assert terms.threshold(present) == terms.least


@pytest.mark.parametrize(("count", "colluders", "present", "t"), [
    (3, 1, 3, 3), (3, 1, 2, 2), (4, 1, 4, 3), (5, 1, 5, 4), (6, 2, 6, 5), (6, 2, 4, 4), (50, 10, 50, 40),
])  # fmt: skip
def test_thresholds(count, colluders, present, t):
    assert terms_of(count, colluders).threshold(present) == t


@pytest.mark.privacy
def test_fewer_than_the_noise_needs_are_refused():
    for count, colluders in ((3, 1), (5, 1), (10, 2)):
        terms = terms_of(count, colluders)
        terms.enough(tuple(range(terms.least)))
        with pytest.raises(RefusalError) as caught:
            terms.enough(tuple(range(terms.least - 1)))
        assert caught.value.code is ErrorCode.POLICY


@pytest.mark.privacy
def test_two_sites_cannot_have_a_secure_sum():
    """K = 2: whoever knows one of the two has the other one's noisy counts."""
    with pytest.raises(RefusalError):
        terms_of(2, 1).enough((0,))


def test_sets_round_trip():
    assert unpack_parties(pack_parties((0, 3, 700)), range(1_000)) == (0, 3, 700)


@pytest.mark.parametrize("data", [
    b"", b"\x00", pack_parties((1, 0)), pack_parties((1, 1)), pack_parties((0, 5)),
])  # fmt: skip
def test_sets_that_are_none_are_refused(data):
    with pytest.raises(RefusalError) as caught:
        unpack_parties(data, range(5))
    assert caught.value.code is ErrorCode.PAYLOAD
