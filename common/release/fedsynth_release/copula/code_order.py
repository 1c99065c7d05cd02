"""The codes of a column of numbers in the order of what they stand for."""

from collections.abc import Sequence

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array, UInt16Array
from fedsynth_common.schema.domain import FineDomain
from fedsynth_release.decoding.codebook import Codebook


def ordered_codes(domain: FineDomain, view: UInt16Array, shape: Float64Array) -> Int64Array | None:
    """The codes from the lowest to the highest, without the missing one; None if there is no order.

    A code that has cells on both sides of another one (a bin around an atom) stands where its mass
    has its mean.

    Args:
        domain: of the column.
        view: code of each fine cell, (cells,).
        shape: share of each fine cell in its code, (cells,).
    """
    if not domain.ordered:
        return None
    cells = domain.in_order
    codes, mass = view[cells].astype(np.int64), shape[cells] + 1e-12
    place = np.bincount(codes, weights=mass * np.arange(len(cells)))
    total = np.bincount(codes, weights=mass)
    present = np.unique(codes)
    mean = place[present] / total[present]
    return np.asarray(present[np.argsort(mean, kind="stable")])


def orders_of(domains: Sequence[FineDomain], codebook: Codebook) -> list[Int64Array | None]:
    """`ordered_codes` of every modelled column."""
    columns = zip(domains, codebook.views, codebook.shapes, strict=True)
    return [ordered_codes(domain, view, shape) for domain, view, shape in columns]
