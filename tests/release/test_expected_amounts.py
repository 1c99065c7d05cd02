"""Mean, spread and quantiles of numbers in a report without records: those of the drawn records."""

import numpy as np
import pytest
from small_measured import measured

from fedsynth_common.schema import IntegerColumn, NumericColumn
from fedsynth_release.evaluation.amounts import QUANTILES
from fedsynth_release.report.expected_amounts import compared_amounts


def test_figures_are_those_of_records_that_are_drawn_so():
    """Ten codes of unequal weight, and values that are equally likely inside a cell."""
    column = NumericColumn(name="dose", minimum=0, maximum=1024, decimals=1, atoms=(0.0,))
    weights = np.random.default_rng(1).random(257) ** 3
    part = measured(column, 1, shape=weights)
    domain, rng = part.domain, np.random.default_rng(2)
    cells = rng.choice(domain.width, 200_000, p=part.mass / part.mass.sum())
    leaves = np.maximum(cells - domain.atoms, 0)
    ticks = rng.integers(domain.ticks[leaves], domain.ticks[leaves + 1])
    drawn = np.where(cells < domain.atoms, domain.atom_ticks[0], ticks) / 10
    found = compared_amounts(part, part).real
    assert found.mean == pytest.approx(drawn.mean(), rel=0.01)
    assert found.sd == pytest.approx(drawn.std(), rel=0.01)
    assert found.quantiles == pytest.approx(np.quantile(drawn, QUANTILES), rel=0.02, abs=4)
    assert found.zeros == pytest.approx((drawn == 0).mean(), abs=0.003)


def test_a_number_that_is_always_missing_has_no_figures():
    column = IntegerColumn(name="age", minimum=0, maximum=3, nullable=True)
    part = measured(column, 5)
    only = np.zeros(5)
    only[part.view[part.domain.missing]] = 1.0
    gone = type(part)(part.domain, part.view, part.shape, only, 0.0, 0.0, 10.0)
    assert compared_amounts(part, gone) is None
    assert compared_amounts(part, part).real.quantiles[2] in (1.0, 2.0)
