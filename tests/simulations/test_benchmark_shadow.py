"""`fedsynth benchmark shadow`: own generators in the worst-case game, beside the leaky one."""

import json
from dataclasses import replace

import pytest
from command import fedsynth
from small_study import make_frame

from fedsynth_common.errors import InputError
from fedsynth_release.evaluation.intervals import exact_difference
from fedsynth_release.evaluation.result_parts import Estimate
from fedsynth_simulations.benchmarks.shadow_games import Wanted, game_of, studies_of
from fedsynth_simulations.benchmarks.shadow_membership import Played, too_weak
from fedsynth_simulations.benchmarks.tables import find, load


@pytest.fixture(autouse=True)
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_frame(200).to_csv("t.csv", index=False)
    return load(find("t.csv", tmp_path, "outcome", False))


def shadow(*options):
    usual = ("--target", "outcome", "--records", 60, "--rows", 200, "--columns", "age,ward,outcome")
    return fedsynth("benchmark", "shadow", "t.csv", *usual, *options)


def played(**changes):
    known = {
        "generator": "marginals",
        "epsilon": 1.0,
        "tested": 100,
        "recognised": 90,
        "mistaken": 10,
        "advantage": exact_difference((90, 100), (10, 100)),
        "bound": 0.462,
        "auc": Estimate(value=0.9, low=0.8, high=1.0),
        "epsilon_lower": 1.5,
        "seconds": 1.0,
    }
    return Played(**(known | changes))


def test_games_on_a_small_table_for_machines(table):
    done = shadow("--pairs", 8, "--quick", "--json")
    assert (done.returncode, done.stderr.count("\n") <= 1) == (0, True), done.stderr
    leaky, study = json.loads(done.stdout)["games"]
    assert (leaky["generator"], leaky["epsilon"], leaky["bound"]) == ("leaky", None, None)
    assert (study["generator"], study["epsilon"]) == ("marginals", 1.0)
    assert study["bound"] == pytest.approx(0.46212, abs=1e-4)
    for game in (leaky, study):
        assert game["tested"] == 4
        value = (game["recognised"] - game["mistaken"]) / 4
        assert game["advantage"]["low"] < value < game["advantage"]["high"]
        assert game["advantage"]["value"] == pytest.approx(value)
    assert not study["refuted"]


def test_the_target_is_one_record_and_the_rest_of_the_chosen_ones(table):
    game = game_of(table, Wanted(records=70, columns=("age", "ward"), pairs=9, seed=3))
    assert (len(game.base), len(game.target), game.pairs, game.seed) == (69, 1, 9, 3)
    assert list(game.base.columns) == [column.name for column in game.schema.modelled]
    again = game_of(table, Wanted(records=70, columns=("age", "ward"), pairs=9, seed=3))
    assert again.target.equals(game.target)
    assert game_of(table, Wanted(records=70)).schema.target == "outcome"


def test_each_variant_and_budget_is_a_study_of_its_own(table):
    wanted = Wanted(records=60, epsilons=(1.0, 5.0), variants=("marginals", "both"), rows=120)
    found = studies_of(game_of(table, wanted), replace(wanted, training="quick"))
    names = [(variant, epsilon) for variant, epsilon, _ in found]
    assert names == [("marginals", 1.0), ("marginals", 5.0), ("both", 1.0), ("both", 5.0)]
    assert len(found[-1][2](table.train.head(60), 0)) == 120


@pytest.mark.parametrize(
    ("wanted", "mention"),
    [
        (Wanted(records=20), "--records 20: expected 50 to 160"),
        (Wanted(records=161), "--records 161"),
        (Wanted(records=60, columns=("age", "nothing")), "no column 'nothing'"),
    ],
    ids=["few", "many", "column"],
)
def test_what_cannot_be_played(table, wanted, mention):
    with pytest.raises(InputError, match=mention):
        game_of(table, wanted)


def test_a_budget_without_a_plan_is_refused_before_anything_is_played(table):
    done = shadow("--pairs", 8, "--epsilon", 1, "--epsilon", 99)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--epsilon 99" in done.stderr
    assert done.stderr.count("\n") == 1


def test_one_kind_of_training():
    done = shadow("--full", "--quick")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--full and --quick" in done.stderr


def test_an_advantage_beyond_the_bound_refutes_the_guarantee():
    assert played().refuted
    assert not played(advantage=exact_difference((60, 100), (45, 100))).refuted
    assert not played(advantage=exact_difference((80, 100), (10, 100)), bound=0.6).refuted
    assert not played(epsilon=None, bound=None).refuted


def test_an_attack_that_misses_the_leaky_generator_says_nothing():
    blind = exact_difference((50, 100), (50, 100))
    assert too_weak([played(generator="leaky", advantage=blind), played()])
    assert not too_weak([played(generator="leaky"), played(advantage=blind)])


def test_exact_differences_are_wider_than_the_score_intervals_and_hold_the_truth():
    gap = exact_difference((100, 100), (0, 100))
    assert gap.value == 1
    assert 0.9 < gap.low < 0.94
    assert gap.high == 1
    none = exact_difference((0, 0), (0, 0))
    assert (none.low, none.high) == (-1.0, 1.0)
