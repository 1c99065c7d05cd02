"""Drift from records without noise: how rare false entries are, and what is found."""

import numpy as np
import pandas as pd
import pytest
from growing_table import FIFTH, QUARTERS, SCHEMA, cohort, growing

from fedsynth_common.errors import InputError
from fedsynth_common.schema import DateColumn, IntegerColumn, Schema
from fedsynth_release.drift import Drift
from fedsynth_release.exact_drift import _column, _levels, _pair, exact_drift


def compared(frame, schema=SCHEMA):
    now = (frame["arrived"] == frame["arrived"].iloc[-1]).to_numpy()
    return exact_drift(frame, now, schema, ["before", "now"], "internal")


@pytest.mark.parametrize("dependent", [0.0, 0.95])
def test_without_a_change_small_p_values_are_as_rare_as_they_say(dependent):
    """Rare levels on the smaller side included, for independent and dependent columns."""
    rng = np.random.default_rng(11)
    shares = np.array([0.6, 0.3, 0.08, 0.015, 0.005])
    columns, pairs = [], []
    for _ in range(800):
        a = rng.choice(5, 2000, p=shares)
        b = np.where(rng.random(2000) < dependent, a, rng.choice(5, 2000, p=shares))
        now = np.arange(2000) >= 1600
        columns.append(_column(a, now, 5)[0])
        pairs.append(_pair(_levels(a, now, 5), _levels(b, now, 5), now)[0])
    for found in (columns, pairs):
        assert (np.array(found) < 0.05).mean() < 0.05 + 3 * (0.05 * 0.95 / 800) ** 0.5
        assert (np.array(found) < 0.002).mean() < 0.01


def test_a_planted_change_is_found_and_an_unchanged_table_has_none():
    still = compared(growing()["north"])
    assert (still.changed, still.pairs) == ((), ())
    doubled = compared(growing(FIFTH + 1, planted=FIFTH, doubled=True)["north"])
    assert [column.column for column in doubled.changed] == ["drug"]
    assert "x" in {moved.value for moved in doubled.changed[0].moved}
    turned = compared(growing(FIFTH + 1, planted=FIFTH, turned=True)["north"])
    assert ("smoker", "died") in {pair.columns for pair in turned.pairs}
    assert len(QUARTERS) > FIFTH


def test_numbers_and_dates_are_compared_by_the_intervals_of_their_quantiles():
    schema = Schema(
        name="t",
        columns=(
            IntegerColumn(name="age", minimum=0, maximum=120),
            DateColumn(name="seen", minimum="2020-01-01", maximum="2030-12-31"),
        ),
    )
    rng = np.random.default_rng(12)
    ages = np.concatenate([rng.integers(20, 60, 2000), rng.integers(40, 80, 500)])
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 90, 2500), unit="D")
    frame = pd.DataFrame({"age": ages.astype(str), "seen": days.strftime("%Y-%m-%d")})
    found = exact_drift(frame, np.arange(2500) >= 2000, schema, ["a", "b"], "internal")
    assert [column.column for column in found.changed] == ["age"]
    assert found.changed[0].size == pytest.approx(0.5, abs=0.06)
    assert any(moved.value.startswith("above ") for moved in found.changed[0].moved)
    assert any("changed beyond chance" in line for line in found.lines())


def test_no_release_takes_it_for_its_own(tmp_path):
    """What comes from records must never pass for what comes from noisy counts."""
    frame = pd.concat([cohort(0, 50), cohort(1, 50)], ignore_index=True)
    (tmp_path / "drift.json").write_text(compared(frame).to_json())
    with pytest.raises(InputError, match="notice"):
        Drift.load(tmp_path / "drift.json")
