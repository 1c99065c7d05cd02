"""Lights of numbers without real records: what noise hides in their tails."""

import numpy as np
from small_measured import measured

from fedsynth_common.schema import IntegerColumn, NumericColumn
from fedsynth_release.report import measured_judgements as judged
from fedsynth_release.report.number_tails import tails_of

COST = NumericColumn(name="cost", minimum=0, maximum=25500, decimals=0)


def cost(heavy, error):
    return measured(
        COST,
        1,
        shape=np.r_[np.full(10, (1 - heavy) / 10), np.full(246, heavy / 246)],
        cell_error=error,
    )


def test_a_tail_that_no_count_shows_makes_amounts_poor():
    part, seen = cost(0.001, 0.0005), cost(0.001, 1e-8)
    assert tails_of(part).share > 0.5
    assert judged.measured_amounts(part, calculated=True).light in ("fair", "poor")
    assert tails_of(seen).share < 0.05
    assert judged.measured_amounts(seen, calculated=True).light == "good"
    assert judged.measured_amounts(part, calculated=False).light is None


def test_records_that_noise_may_hide_at_a_far_end_count():
    """The last cell seems empty; such records as noise may hide there would double the spread."""
    part = cost(1e-9, 0.002)
    tails = tails_of(part)
    assert tails.share < 0.2
    assert tails.spread > 1
    assert judged.measured_amounts(part, calculated=True).light != "good"
    assert tails_of(cost(1e-9, 1e-7)).spread < 0.01


def test_a_number_without_measured_spread_is_poor():
    """All that was measured lies in one cell of many: nobody knows how wide it is."""
    one = measured(COST, 1, shape=np.eye(256)[0] + 1e-300, cell_error=0.001)
    assert judged.measured_amounts(one, calculated=True).light == "poor"
    only = IntegerColumn(name="constant", minimum=3, maximum=3)
    assert judged.measured_amounts(measured(only, 1), calculated=True).light == "good"
