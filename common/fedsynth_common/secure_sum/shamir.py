"""Shamir's secret sharing (Shamir 1979, "How to share a secret") of 32 bytes, over a prime field.

A secret is the constant term of a random polynomial of degree t - 1; the share of party p is its value
at p + 1. Any t shares determine the secret, and t - 1 shares say nothing about it. The field is that of
the integers modulo the largest prime below 2^256, so that a share has 32 bytes like the secret. One
secret in 2^248 is no element of it; none such is ever drawn.

Coefficients come from the operating system's entropy, as keys do, also in a seeded simulation.
"""

import secrets
from collections.abc import Iterable, Mapping

PRIME = 2**256 - 189
SECRET_BYTES = SHARE_BYTES = 32
NO_SHARE = b"\xff" * SHARE_BYTES
"""Not an element of the field: a share that did not arrive."""


def split(secret: bytes, threshold: int, parties: Iterable[int]) -> dict[int, bytes]:
    """A share (32 bytes, big-endian) of the secret (32 bytes) for each party.

    Raises:
        ValueError: the secret is not 32 bytes long, or no element of the field.
    """
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"secret: expected {SECRET_BYTES} bytes, got {len(secret)}")
    if int.from_bytes(secret, "big") >= PRIME:
        raise ValueError("secret: not an element of the field")
    polynomial = [secrets.randbelow(PRIME) for _ in range(threshold - 1)]
    polynomial.append(int.from_bytes(secret, "big"))
    return {party: _value(polynomial, party + 1).to_bytes(SHARE_BYTES, "big") for party in parties}


def _value(polynomial: list[int], x: int) -> int:
    """The polynomial, highest coefficient first, at x (Horner)."""
    result = 0
    for coefficient in polynomial:
        result = (result * x + coefficient) % PRIME
    return result


def weights(parties: Iterable[int]) -> dict[int, int]:
    """Lagrange's weight of each party's share in the secret: the product of x_q / (x_q - x_p)."""
    points = {party: party + 1 for party in parties}
    result = {}
    for party, x in points.items():
        above = below = 1
        for other in points.values():
            if other != x:
                above = above * other % PRIME
                below = below * (other - x) % PRIME
        result[party] = above * pow(below, -1, PRIME) % PRIME
    return result


def combine(shares: Mapping[int, bytes], weight: Mapping[int, int]) -> bytes:
    """The secret that these shares are of; `weight` is that of the same parties.

    Raises:
        ValueError: a share is none.
    """
    values = {party: int.from_bytes(share, "big") for party, share in shares.items()}
    if any(value >= PRIME for value in values.values()):
        raise ValueError("a share is not an element of the field")
    total = sum(weight[party] * value for party, value in values.items()) % PRIME
    return total.to_bytes(SECRET_BYTES, "big")


def usable(share: bytes) -> bool:
    """Whether these bytes can be a share.

    >>> usable(NO_SHARE), usable(bytes(32))
    (False, True)
    """
    return len(share) == SHARE_BYTES and int.from_bytes(share, "big") < PRIME
