"""Shares: any t of them give the secret, and fewer fit every secret equally well."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from fedsynth_common.secure_sum.shamir import (
    NO_SHARE,
    PRIME,
    SHARE_BYTES,
    combine,
    split,
    usable,
    weights,
)

SECRETS = st.integers(0, PRIME - 1).map(lambda value: value.to_bytes(32, "big"))


def joined(shares, parties):
    return combine({p: shares[p] for p in parties}, weights(parties))


@settings(max_examples=25)
@given(SECRETS, st.integers(1, 5))
def test_any_t_shares_give_the_secret(secret, threshold):
    shares = split(secret, threshold, range(5))
    assert all(len(share) == SHARE_BYTES for share in shares.values())
    for parties in itertools.combinations(range(5), threshold):
        assert joined(shares, parties) == secret


@pytest.mark.privacy
def test_fewer_shares_fit_every_secret():
    """With one share missing, every secret has exactly one value of it that leads there."""
    shares = split(bytes(32), 3, range(3))
    for other in (bytes(32), b"\x01" * 32, b"\xfe" * 32):
        weight = weights(range(3))
        known = sum(weight[p] * int.from_bytes(shares[p], "big") for p in (0, 1))
        gap = (int.from_bytes(other, "big") - known) * pow(weight[2], -1, PRIME) % PRIME
        completed = {**shares, 2: gap.to_bytes(SHARE_BYTES, "big")}
        assert joined(completed, range(3)) == other


@pytest.mark.privacy
def test_shares_below_the_threshold_are_uniform():
    """Of the same secret, many times: the last bytes of two of three needed shares."""
    draws = [split(b"\x07" * 32, 3, range(4)) for _ in range(4_000)]
    for party in (0, 1):
        last = np.array([draw[party][-1] for draw in draws])
        assert chisquare(np.bincount(last, minlength=256)).pvalue > 1e-6
    both = np.array([draw[0][-1] // 16 * 16 + draw[1][-1] // 16 for draw in draws])
    assert chisquare(np.bincount(both, minlength=256)).pvalue > 1e-6


def test_shares_that_do_not_fit_are_noticed():
    shares = split(b"\x05" * 32, 2, range(3))
    with pytest.raises(ValueError, match="element"):
        combine({0: NO_SHARE, 1: shares[1]}, weights((0, 1)))
    assert not usable(NO_SHARE)
    assert not usable(b"")
    assert joined(shares | {1: split(b"\x05" * 32, 2, range(3))[1]}, (0, 2)) == b"\x05" * 32


def test_the_modulus_is_the_largest_prime_of_32_bytes():
    def is_prime(n):  # Fermat to several bases: enough to notice a wrong digit
        return all(pow(base, n - 1, n) == 1 for base in (2, 3, 5, 7, 11, 13))

    assert is_prime(PRIME)
    assert not any(is_prime(n) for n in range(PRIME + 2, 2**256, 2))


def test_a_secret_of_another_length_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        split(b"short", 2, range(3))
    with pytest.raises(ValueError, match="element"):
        split(b"\xff" * 32, 2, range(3))
