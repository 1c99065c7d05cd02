"""Records with other shares of a column: exact counts, and all else as under a condition."""

import pandas as pd
import pytest
from small_study import SCHEMA, make_generator

from fedsynth_common.errors import InputError
from fedsynth_release.sampling.rebalance import Rebalance


def shares(frame: pd.DataFrame, name: str) -> dict[str, float]:
    return frame[name].value_counts(normalize=True).to_dict()


def test_equal_shares_of_everything_that_can_be_drawn():
    frame = make_generator().sample(4000, seed=1, rebalance="ward")
    assert shares(frame, "ward") == {"a": 0.25, "b": 0.25, "c": 0.25, "other": 0.25}
    assert len(set(frame["ward"][:20])) > 1  # shuffled


def test_listed_shares_are_counted_out_exactly():
    frame = make_generator().sample(1000, seed=1, rebalance="ward=a:0.25,c:0.75")
    assert shares(frame, "ward") == {"a": 0.25, "c": 0.75}


def test_the_rest_of_the_shares_is_as_drawn():
    generator = make_generator()
    mixed = shares(generator.sample(20_000, seed=1, rebalance="ward=a:0.3"), "ward")
    plain = shares(generator.sample(20_000, seed=2, where="ward!=a"), "ward")
    assert mixed["a"] == 0.3
    assert all(abs(mixed[ward] - 0.7 * share) < 0.02 for ward, share in plain.items())


def test_within_a_category_records_are_those_of_the_condition():
    generator = make_generator()
    mixed = generator.sample(40_000, seed=1, rebalance="outcome=died:0.9,home:0.1")
    plain = generator.sample(20_000, seed=2, where="outcome=home")
    mine = shares(mixed[mixed["outcome"] == "home"], "ward")
    assert all(abs(mine[ward] - share) < 0.03 for ward, share in shares(plain, "ward").items())


def test_it_goes_together_with_conditions():
    frame = make_generator().sample(200, seed=1, where="age>=50", rebalance="outcome")
    assert shares(frame, "outcome") == {"home": 0.5, "died": 0.5}
    assert frame["age"].min() >= 50
    with pytest.raises(InputError, match="condition"):
        make_generator().sample(9, where="ward=a", rebalance="ward=b:1")


@pytest.mark.parametrize(
    "text",
    [
        "age",
        "nothing",
        "ward=",
        "ward=a",
        "ward=x:1",
        "ward=a:0",
        "ward=a:1,a:2",
        "ward=a:1,c:3",
        "outcome=died:0.3,home:0.3",
    ],
)
def test_what_cannot_be_rebalanced_is_refused(text):
    with pytest.raises(InputError, match="--rebalance"):
        Rebalance.parse(text, SCHEMA)
