"""`fedsynth benchmark speed`: parts do what their yardsticks do, and the table has its lines."""

import json

import numpy as np
import pytest
from command import fedsynth

from fedsynth_simulations.benchmarks.large import schema_of
from fedsynth_simulations.benchmarks.speed import MOST_CELLS, timings
from fedsynth_simulations.benchmarks.speed_tables import plain_draw, random_sampler
from fedsynth_simulations.benchmarks.timing import Timing, beside


def test_the_yardstick_draws_codes_with_the_same_probabilities():
    sampler, rng = random_sampler(schema_of(15)), np.random.default_rng(0)
    plain = plain_draw(sampler.tables, 40_000, rng)
    ours = sampler.frame(40_000, rng)
    assert len(plain) == len(ours.columns) == 15
    labels = ours["column 11"].value_counts(normalize=True).sort_index().to_numpy()
    codes = np.bincount(plain[11].astype(int), minlength=len(labels)) / 40_000
    np.testing.assert_allclose(np.sort(labels), np.sort(codes), atol=0.02)


def test_a_part_and_its_yardstick_run_in_turn_and_as_often():
    calls = []
    timing = beside("a", lambda: calls.append("a"), "b", lambda: calls.append("b"), 3, (2, 5))
    assert "".join(calls) == "abababab"
    assert (timing.part, timing.columns, timing.rows, timing.yardstick) == ("a", 2, 5, "b")
    assert Timing("a", 0, 0, 3.0, "b", 1.5).ratio == pytest.approx(2)


def test_tables_that_need_too_much_memory_are_left_out():
    assert not [t for t in timings([2], [MOST_CELLS], 1) if t.rows == MOST_CELLS]


def test_every_part_has_a_line():
    done = fedsynth(
        "benchmark", "speed", "--columns", "3", "--rows", "500", "--repeats", "1", "--json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    parts = {line["part"]: line for line in found}
    assert {"fedsynth --help", "fit step", "adversarial step", "encode", "sampling"} < set(parts)
    assert parts["DP-SGD step, 20 codes a column"]["yardstick"] == "step without privacy"
    message = parts["a site's message of 12 steps, 20 codes a column"]
    assert (message["columns"], message["rows"]) == (15, 8000)
    assert message["seconds"] > parts["DP-SGD step, 20 codes a column"]["seconds"]
    assert {"write Parquet", "write CSV", "contingency of all pairs"} < set(parts)
    assert all(line["ratio"] == pytest.approx(line["seconds"] / line["least"]) for line in found)
    assert parts["encode"]["rows"] == 500
