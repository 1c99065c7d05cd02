"""The pictures of a report: true widths, tails that are seen, codes in their order, signed relations."""

import re

import numpy as np
import pytest
from small_study import make_generator

from fedsynth_common.schema import CategoricalColumn, IntegerColumn, NumericColumn, Schema
from fedsynth_release.evaluation.shapes import histogram
from fedsynth_release.report import plots
from fedsynth_release.report.axes import Axis
from fedsynth_release.report.columns import _placed, _sorted
from fedsynth_release.report.plots import Overlay, heat_map, overlay
from fedsynth_release.report.samples import samples


def boxes(drawing, kind="reference"):
    found = re.findall(
        rf'<rect class="{kind}" x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="([\d.]+)"', drawing
    )
    return [tuple(map(float, box)) for box in found]


def number(ends, shares):
    labels = [f"{low}-{high}" for low, high in ends]
    return Overlay(labels=labels, reference=shares, generator=shares, ends=ends)


def test_the_area_of_a_bar_is_its_share():
    ends, shares = ((0.0, 10.0), (10.0, 40.0), (40.0, 100.0)), (0.2, 0.3, 0.5)
    drawn = boxes(str(overlay("age", number(ends, shares))))
    widths, areas = [box[1] for box in drawn], [box[1] * box[2] for box in drawn]
    assert widths == pytest.approx([62.4 * k - 0.4 for k in (1, 3, 6)], abs=0.3)
    assert np.array(areas) / sum(areas) == pytest.approx(shares, abs=0.01)


def test_a_long_tail_has_a_logarithmic_axis_that_ends_at_its_largest_value():
    ends, shares = ((0.0, 10.0), (10.0, 20.0), (20.0, 50_000.0)), (0.45, 0.45, 0.1)
    axis = Axis.of(ends, shares)
    assert axis.logarithmic
    assert axis.at(50_000.0) == pytest.approx(1.0)
    assert 0.1 < axis.at(10.0) < 0.6
    assert "logarithmic axis" in overlay("cost", number(ends, shares))
    assert not Axis.of(((0.0, 50.0), (50.0, 100.0)), (0.5, 0.5)).logarithmic


def test_a_logarithmic_axis_goes_both_ways():
    axis = Axis.of(((-1e5, -10.0), (-10.0, 10.0), (10.0, 1e5)), (0.1, 0.8, 0.1))
    assert axis.logarithmic
    assert axis.at(0.0) == pytest.approx(0.5)
    assert axis.at(-1e3) == pytest.approx(1 - axis.at(1e3))
    ticks = axis.ticks()
    assert ticks == sorted(ticks)
    assert min(ticks) < 0 < max(ticks)


def test_a_single_value_is_a_needle_and_missing_stands_beside():
    shown = Overlay(
        labels=["0", "1-9", "missing"],
        reference=(0.6, 0.3, 0.1),
        generator=(0.5, 0.3, 0.2),
        ends=((0.0, 0.0), (0.0, 9.0)),
    )
    drawing = str(overlay("visits", shown))
    assert "needles: single values, the most frequent is 60.0 %" in drawing
    assert "missing: 10.0 %, generator 20.0 %" in drawing
    assert len(boxes(drawing)) == 2


def test_bars_of_codes_stand_where_their_values_are():
    """Codes come in any order; their bars come in the order of their values."""
    column = IntegerColumn(name="age", minimum=0, maximum=9, nullable=True)
    view = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 2], dtype=np.uint16)
    bars = Overlay(
        labels=["high", "low", "missing"], reference=(0.3, 0.6, 0.1), generator=(0.3, 0.6, 0.1)
    )
    placed = _placed(column, bars, view)
    assert placed.labels == ["low", "high", "missing"]
    assert placed.ends == ((0.0, 5.0), (5.0, 10.0))
    assert placed.reference == [0.6, 0.3, 0.1]


def test_codes_are_in_their_order():
    labels = ["10", "1", "2", "other", "missing"]
    shares = (0.1, 0.2, 0.3, 0.2, 0.2)
    found = _sorted(Overlay(labels=labels, reference=shares, generator=shares))
    assert found.labels == ["1", "2", "10", "other", "missing"]
    assert found.reference == [0.2, 0.3, 0.1, 0.2, 0.2]
    named = Overlay(labels=["low", "high"], reference=(0.5, 0.5), generator=(0.5, 0.5))
    assert _sorted(named).labels == ["low", "high"]


def test_the_histogram_of_an_evaluation_reaches_to_the_ends_of_both_tables():
    rng = np.random.default_rng(3)
    real, made = rng.lognormal(3, 1, 5000), rng.lognormal(3, 1.4, 5000)
    column = NumericColumn(name="cost", minimum=0, maximum=1e6, decimals=2)
    found = histogram(real, made, column)
    assert found.edges[0] == min(real.min(), made.min())
    assert found.edges[-1] == max(real.max(), made.max())
    assert sum(found.real) == pytest.approx(1.0)
    assert sum(found.synthetic) == pytest.approx(1.0)
    assert found.synthetic[-1] > found.real[-1]  # the wrong tail is seen
    assert max(found.real) < 0.06


def test_few_whole_values_have_a_bar_each():
    cells = np.array([1.0, 2.0, 2.0, 5.0, np.nan])
    found = histogram(cells, cells, IntegerColumn(name="stage", minimum=0, maximum=9))
    assert found.edges == (0.5, 1.5, 2.5, 3.5, 4.5, 5.5)
    assert found.real == (0.2, 0.4, 0.0, 0.0, 0.2)


def test_the_sign_of_a_relation_is_drawn():
    drawing = str(heat_map("relations", ["a", "b"], [[0.0, -0.9], [-0.9, 0.0]], 1.0))
    assert 'class="n8"' in drawing
    other = str(heat_map("relations", ["a", "b"], [[0.0, 0.9], [0.9, 0.0]], 1.0))
    assert 'class="h8"' in other
    assert plots.SHADES == 9


def test_the_column_that_gives_a_table_away_is_named():
    """Two columns are alike in both tables; one has other values."""
    import pandas as pd

    from fedsynth_release.evaluation.detection import giveaways

    rng = np.random.default_rng(4)
    names = ("a", "b", "told")
    columns = tuple(IntegerColumn(name=name, minimum=0, maximum=99) for name in names)
    schema = Schema(name="t", columns=columns)
    real, made = (pd.DataFrame(rng.integers(0, 50, (600, 3)), columns=names) for _ in range(2))
    made["told"] += 30
    falls = giveaways(real, made, schema)
    assert len(falls) == 3
    assert falls[2] > 0.2
    assert max(map(abs, falls[:2])) < 0.05


def test_ten_records_and_the_rules_they_keep():
    schema = Schema(
        name="ward",
        columns=(
            IntegerColumn(name="age", minimum=0, maximum=9),
            CategoricalColumn(name="unit", categories=("a", "b"), other=False),
        ),
    )
    found = samples(make_generator(schema))
    assert found.names == ("age", "unit")
    assert len(found.rows) == 10
    assert {row[1] for row in found.rows} <= {"a", "b"}
    assert found.rules == ()
