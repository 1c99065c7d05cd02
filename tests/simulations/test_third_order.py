"""What discriminators are for: structure that no pair of columns shows, at the same ε."""

from dataclasses import replace

import pytest

from fedsynth_common.evaluation import tstr
from fedsynth_common.schema.draft import draft_schema
from fedsynth_simulations.benchmarks.built import exclusive_ors
from fedsynth_simulations.simulate import Simulation, simulate

TARGET = "c0"


@pytest.mark.slow
def test_both_learn_exclusive_ors_and_pairs_alone_do_not(tmp_path):
    table = exclusive_ors(24_000)
    train, test = table.iloc[:20_000], table.iloc[20_000:]
    schema = draft_schema(train, "exclusive_ors", target=TARGET)
    frames = {"north": train.iloc[:10_000], "south": train.iloc[10_000:]}
    found = {}
    for variant in ("both", "marginals"):
        folder = tmp_path / variant
        folder.mkdir()
        study = replace(Simulation(epsilon=10.0, seed=0), variant=variant)
        synthetic = simulate(frames, schema, study, folder).generator.sample(20_000, 0)
        found[variant] = tstr(synthetic, test, schema, TARGET, "boosting")
    assert found["marginals"] < 0.72
    assert found["both"] > 0.85
