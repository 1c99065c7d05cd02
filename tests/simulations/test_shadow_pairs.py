"""The worst-case game is won against a generator that leaks and not against one that cannot."""

import numpy as np
import pandas as pd
import pytest

from fedsynth_common.errors import InputError
from fedsynth_common.schema import CategoricalColumn, IntegerColumn, NumericColumn, Schema
from fedsynth_release.evaluation.references import leaky_table
from fedsynth_simulations.benchmarks.shadow_games import SHORT
from fedsynth_simulations.shadow_features import Description
from fedsynth_simulations.shadow_pairs import Game, attack, outlier, play, study_factory
from fedsynth_simulations.simulate import Simulation, quick

SCHEMA = Schema(
    name="ward",
    columns=(
        IntegerColumn(name="age", minimum=0, maximum=120),
        NumericColumn(name="cost", minimum=0.0, maximum=1000.0, decimals=1),
        CategoricalColumn(name="ward", categories=("a", "b", "c"), other=False),
        CategoricalColumn(name="drug", categories=("p", "q", "rare"), other=False),
    ),
)


def people(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(20, 70, n),
            "cost": rng.exponential(30, n).round(1).clip(0, 300),
            "ward": rng.choice(["a", "b"], n),
            "drug": rng.choice(["p", "q"], n),
        }
    )


TARGET = pd.DataFrame({"age": [118], "cost": [990.0], "ward": ["c"], "drug": ["rare"]})


def test_the_outlier_is_the_record_that_stands_out():
    frame = pd.concat([people(80), TARGET, people(40, 1)], ignore_index=True)
    assert outlier(frame, SCHEMA) == 80


def test_a_leaky_generator_is_caught_and_a_fixed_table_is_not():
    game = Game(people(60), TARGET, SCHEMA, pairs=60)
    leaky = play(
        game, lambda frame, seed: leaky_table(frame, 200, np.random.default_rng(seed)), "leaky"
    )
    blind = play(game, lambda frame, seed: people(200, seed))
    assert leaky.flagged
    assert leaky.epsilon_lower > 1
    assert leaky.auc.value > 0.9
    assert not blind.flagged
    assert blind.epsilon_lower < 0.5
    assert [table.role for table in attack((blind, leaky)).tables] == ["synthetic", "leaky"]


def test_too_few_pairs_are_refused():
    with pytest.raises(InputError, match="at least 8 pairs"):
        Game(people(10), TARGET, SCHEMA, pairs=2)


@pytest.mark.slow
def test_a_study_under_epsilon_one_does_not_give_its_outlier_away():
    game = Game(people(300), TARGET, SCHEMA, pairs=16)
    simulation = Simulation(epsilon=1.0, variant="marginals", settings=SHORT)
    result = play(game, study_factory(SCHEMA, simulation))
    assert result.epsilon_lower <= 1.0
    assert result.attacks == result.controls == 8


def test_sums_over_columns_and_pairs_count_the_target_itself():
    base = people(60)
    describe = Description(SCHEMA, base, TARGET, seed=0)
    without, inside = (describe(f) for f in (base, pd.concat([base, TARGET], ignore_index=True)))
    assert without[:2].min() > 1  # the outlier is near nobody
    assert inside[0] == 0
    columns, weighted_columns, pairs, weighted_pairs = (inside - without)[-4:]
    assert columns == pytest.approx(4 / 61, rel=0.05)  # one row of 61, equal in 4 columns
    assert pairs == pytest.approx(6 / 61, rel=0.05)
    assert 4 > weighted_columns > 2  # by a share that was next to nothing before
    assert 6 > weighted_pairs > weighted_columns
    assert len(inside) == 2 + 60 + 4


def test_a_factory_of_studies_repeats_with_its_seed_and_draws_as_many_rows_as_asked():
    simulation = quick(Simulation(variant="marginals", epsilon=3.0))
    make = study_factory(SCHEMA, simulation, sites=2, rows=150)
    first, again, other = (make(people(80), seed) for seed in (1, 1, 2))
    assert len(first) == 150
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
