"""The floors know what they should know and nothing more."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedsynth_common.encoding import encode
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
)
from fedsynth_release.evaluation import Discretiser, pair_tvd, tvd
from fedsynth_release.evaluation.references import independent_columns
from fedsynth_simulations.baselines import naive_bayes
from fedsynth_simulations.baselines.naive_bayes import _norm_sub

SCHEMA = Schema(
    name="ward",
    target="ill",
    columns=(
        IdColumn(name="id"),
        IntegerColumn(name="age", minimum=0, maximum=99),
        NumericColumn(name="dose", minimum=0.0, maximum=50.0, atoms=(0.0,), nullable=True),
        CategoricalColumn(name="ill", categories=("no", "yes"), other=False),
        BooleanColumn(name="smoker", nullable=True),
    ),
)


@pytest.fixture(scope="module")
def train() -> pd.DataFrame:
    """Age decides illness; smoking depends on age beyond illness (a pair without the target)."""
    rng = np.random.default_rng(0)
    age = rng.integers(0, 100, 8000)
    return pd.DataFrame(
        {
            "id": np.arange(8000),
            "age": age,
            "dose": np.where(rng.random(8000) < 0.5, 0.0, rng.uniform(0, 50, 8000).round(2)),
            "ill": np.where(rng.random(8000) < age / 100, "yes", "no"),
            "smoker": np.where(age % 2 == 0, "true", "false"),
        }
    )


def levels(train: pd.DataFrame) -> Discretiser:
    return Discretiser.fit(SCHEMA, train, bins=10)


def ill_share_of_old(frame: pd.DataFrame) -> float:
    old = frame["age"].astype(int) > 80
    return float((frame.loc[old, "ill"] == "yes").mean())


class TestIndependent:
    def test_single_columns_are_right_and_pairs_are_gone(self, train):
        drawn = independent_columns(train, 8000, np.random.default_rng(1))
        fitted = levels(train)
        real, made = fitted.transform(train), fitted.transform(drawn)
        assert tvd(real, made, ways=1) < 0.03
        assert abs(ill_share_of_old(drawn) - (train["ill"] == "yes").mean()) < 0.05
        age, ill = fitted.names.index("age"), fitted.names.index("ill")
        assert pair_tvd(real, made)[age, ill] > 0.15

    def test_storage_of_cells_is_kept(self, train):
        typed = train.assign(age=train["age"].astype("Int64"), ill=train["ill"].astype("str"))
        drawn = independent_columns(typed, 10, np.random.default_rng(1))
        assert (drawn.dtypes == typed.dtypes).all()

    def test_any_number_of_rows(self, train):
        assert len(independent_columns(train.head(3), 100, np.random.default_rng(1))) == 100
        none = independent_columns(train, 0, np.random.default_rng(1))
        assert none.empty
        assert list(none.columns) == list(train.columns)

    def test_nothing_to_draw_from_is_refused(self, train):
        with pytest.raises(InputError, match="cannot draw"):
            independent_columns(train.head(0), 10, np.random.default_rng(1))
        with pytest.raises(InputError, match="cannot draw"):
            independent_columns(train, -1, np.random.default_rng(1))


class TestNaiveBayes:
    def test_pairs_with_the_target_are_kept(self, train):
        made = naive_bayes(train, SCHEMA, 8000, np.random.default_rng(1))
        assert ill_share_of_old(made) == pytest.approx(ill_share_of_old(train), abs=0.04)
        fitted = levels(train)
        assert tvd(fitted.transform(train), fitted.transform(made), ways=1) < 0.04

    def test_pairs_without_the_target_are_not(self, train):
        made = naive_bayes(train, SCHEMA, 8000, np.random.default_rng(1))
        even = made["age"].astype(int) % 2 == 0
        assert abs((made.loc[even, "smoker"] == "true").mean() - 0.5) < 0.05

    def test_values_with_a_mass_of_their_own_survive_binning(self, train):
        spiked = train.assign(age=np.where(train["id"] % 2 == 0, 40, train["age"]))
        made = naive_bayes(spiked, SCHEMA, 4000, np.random.default_rng(1), epsilon=1.0)
        assert (made["age"] == 40).mean() == pytest.approx(0.505, abs=0.03)
        assert (made["dose"] == 0).mean() == pytest.approx(0.5, abs=0.03)

    def test_output_fits_the_schema(self, train):
        made = naive_bayes(train, SCHEMA, 500, np.random.default_rng(1), epsilon=1.0)
        assert len(made) == 500
        assert list(made.columns) == [column.name for column in SCHEMA.modelled]
        assert all(counts.total == 0 for counts in encode(made, SCHEMA).repairs.values())

    def test_error_shrinks_with_epsilon_and_grows_with_sites(self, train):
        small = train.head(1000)
        fitted = levels(small)

        def error(**budget: float) -> float:
            drawn = [
                naive_bayes(small, SCHEMA, 8000, np.random.default_rng(s), **budget)
                for s in range(3)
            ]
            return float(
                np.mean([tvd(fitted.transform(small), fitted.transform(d)) for d in drawn])
            )

        exact, mild, harsh = error(), error(epsilon=3.0), error(epsilon=0.1)
        assert exact <= mild + 0.01 < harsh
        assert error(epsilon=0.3, sites=16) > error(epsilon=0.3)

    def test_same_seed_same_rows(self, train):
        twice = [
            naive_bayes(train, SCHEMA, 50, np.random.default_rng(7), epsilon=1.0) for _ in range(2)
        ]
        pd.testing.assert_frame_equal(*twice)

    def test_a_class_that_noise_removed_does_not_break_it(self, train):
        rare = train.head(200).assign(ill="no")
        made = naive_bayes(rare, SCHEMA, 300, np.random.default_rng(0), epsilon=0.05)
        assert len(made) == 300

    def test_no_rows_wanted(self, train):
        assert naive_bayes(train, SCHEMA, 0, np.random.default_rng(0)).empty

    @pytest.mark.parametrize("epsilon", [0.0, -1.0, 1e9, float("nan")])
    def test_impossible_budgets_are_refused(self, train, epsilon):
        with pytest.raises(InputError, match="epsilon must be"):
            naive_bayes(train, SCHEMA, 10, np.random.default_rng(0), epsilon=epsilon)

    def test_nothing_to_learn_from_is_refused(self, train):
        rng = np.random.default_rng(0)
        with pytest.raises(InputError, match="0 sites"):
            naive_bayes(train, SCHEMA, 10, rng, sites=0)
        with pytest.raises(InputError, match="from 0 rows"):
            naive_bayes(train.head(0), SCHEMA, 10, rng)

    def test_a_schema_without_target_is_refused(self, train):
        bare = Schema(name="bare", columns=SCHEMA.columns)
        with pytest.raises(InputError, match="target"):
            naive_bayes(train, bare, 10, np.random.default_rng(0))


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=40), st.floats(1, 1e4))
def test_norm_sub_is_a_projection_onto_the_total(counts, total):
    fixed = _norm_sub(np.array(counts), total)
    assert (fixed >= 0).all()
    assert fixed.sum() == pytest.approx(total, rel=1e-6, abs=1e-6)
    again = _norm_sub(fixed, total)
    assert again == pytest.approx(fixed, rel=1e-6, abs=1e-6)
    order = np.argsort(counts)
    assert (np.diff(fixed[order]) >= -1e-9).all()
