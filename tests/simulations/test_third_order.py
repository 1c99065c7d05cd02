"""What discriminators are for: structure that no pair of columns shows, at the same ε."""

from dataclasses import replace

import pytest

from fedsynth_release.drafting.draft import draft_schema
from fedsynth_release.evaluation import detection_auc
from fedsynth_simulations.benchmarks.exclusive_ors import exclusive_ors
from fedsynth_simulations.simulate import Simulation, simulate


@pytest.mark.slow
def test_records_of_both_are_harder_to_tell_from_real_ones(tmp_path):
    table = exclusive_ors(24_000)
    train, test = table.iloc[:20_000], table.iloc[20_000:]
    schema = draft_schema(train, "exclusive_ors", target="c0")
    frames = {"north": train.iloc[:10_000], "south": train.iloc[10_000:]}
    found = {}
    for variant in ("both", "marginals"):
        folder = tmp_path / variant
        folder.mkdir()
        study = replace(Simulation(epsilon=10.0, seed=0), variant=variant)
        synthetic = simulate(frames, schema, study, folder).generator.sample(20_000, 0)
        found[variant] = detection_auc(test, synthetic, schema)
    assert found["marginals"] > 0.7
    assert found["both"] < found["marginals"] - 0.05
