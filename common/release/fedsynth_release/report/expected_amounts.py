"""Mean, standard deviation and quantiles of a number without records: from shares of its codes.

Inside a code a number follows the code's shape, and inside a cell all its values are equally likely,
as when records are drawn.
"""

import numpy as np

from fedsynth_release.evaluation.amounts import QUANTILES, Amounts, ComparedAmounts
from fedsynth_release.report.expected import MeasuredShares


def compared_amounts(measured: MeasuredShares, generator: MeasuredShares) -> ComparedAmounts | None:
    """The figures by the noisy counts and by the generator; None if one of them has no number."""
    real, synthetic = _amounts(measured), _amounts(generator)
    return ComparedAmounts(real=real, synthetic=synthetic) if real and synthetic else None


def _amounts(column: MeasuredShares) -> Amounts | None:
    domain, cells = column.domain, column.in_order
    mass = column.mass[cells]
    if mass.sum() <= 0:
        return None
    mass = mass / mass.sum()
    first, last = np.zeros(domain.width), np.zeros(domain.width)
    leaves = slice(domain.atoms, domain.atoms + domain.leaves)
    first[: domain.atoms] = last[: domain.atoms] = domain.atom_ticks
    first[leaves], last[leaves] = domain.ticks[:-1], domain.ticks[1:] - domain.step
    unit = 10.0**domain.decimals
    low, high = first[cells] / unit, np.maximum(first, last)[cells] / unit
    mean = float(mass @ (low + high) / 2)
    square = mass @ ((low + high) / 2 - mean) ** 2 + mass @ (high - low) ** 2 / 12
    below = np.cumsum(mass)
    places = np.minimum(np.searchsorted(below, QUANTILES), len(mass) - 1)
    share = (np.array(QUANTILES) - (below - mass)[places]) / np.maximum(mass[places], 1e-12)
    found = low[places] + np.clip(share, 0.0, 1.0) * (high - low)[places]
    one, lower, middle, upper, most = found.tolist()
    return Amounts(
        mean=mean,
        sd=float(np.sqrt(square)),
        quantiles=(one, lower, middle, upper, most),
        zeros=float(mass[(low == 0) & (high == 0)].sum()),
    )
