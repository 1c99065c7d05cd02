"""Reference tables are what they are called: groups of k, copies of rows, columns without each other."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    DateColumn,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
)
from fedsynth_release.evaluation.references import (
    k_anonymised,
    leaky_table,
    partition,
    pseudonymised,
)

SCHEMA = Schema(
    name="ward",
    target="ill",
    columns=(
        IdColumn(name="id"),
        IntegerColumn(name="age", minimum=0, maximum=120),
        NumericColumn(name="dose", minimum=0.0, maximum=50.0, decimals=1, nullable=True),
        CategoricalColumn(name="ward", categories=("a", "b", "c")),
        BooleanColumn(name="smoker", true="y", false="n"),
        DateColumn(name="seen", minimum="2020-01-01", maximum="2024-12-31"),
        CategoricalColumn(name="ill", categories=("no", "yes"), other=False),
    ),
)


def table(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    days = np.datetime64("2020-01-01") + rng.integers(0, 1800, n)
    return pd.DataFrame(
        {
            "id": [f"P{i}" for i in range(n)],
            "age": rng.integers(0, 100, n),
            "dose": np.where(rng.random(n) < 0.2, np.nan, rng.exponential(5, n).round(1)),
            "ward": rng.choice(["a", "b", "c"], n),
            "smoker": rng.choice(["y", "n"], n),
            "seen": days.astype(str),
            "ill": rng.choice(["no", "yes"], n),
        }
    )


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.int64, st.tuples(st.integers(2, 80), st.integers(1, 4)), elements=st.integers(0, 9)
    ),
    st.integers(1, 6),
)
def test_every_group_has_k_rows_and_every_row_a_group(ranks, k):
    if len(ranks) < k:
        return
    groups = partition(ranks, k)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(ranks)))
    assert all(len(group) >= k for group in groups)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 6), st.integers(20, 90))
def test_groups_of_distinct_numbers_are_smaller_than_two_k(k, n):
    ranks = np.random.default_rng(n).permutation(n)[:, None]
    assert all(k <= len(group) < 2 * k for group in partition(ranks, k))


def test_k_anonymised_rows_stay_in_the_box_of_their_group():
    real = table()
    made = k_anonymised(real, SCHEMA, np.random.default_rng(1))
    assert list(made.columns) == ["age", "dose", "ward", "smoker", "seen", "ill"]
    assert (made["ill"] == real["ill"]).all()  # the target is no quasi-identifier
    assert (made[["age", "dose", "seen"]] != real[["age", "dose", "seen"]]).any(axis=1).mean() > 0.9
    assert set(made["ward"]) == {"a", "b", "c"}
    assert set(made["smoker"]) == {"y", "n"}
    assert made["dose"].isna().mean() == pytest.approx(real["dose"].isna().mean(), abs=0.06)
    assert made["seen"].between("2020-01-01", "2024-12-31").all()
    assert (made["dose"].dropna() * 10 % 1 < 1e-6).mean() > 0.4  # on the schema's grid
    correlation = np.corrcoef(made["age"].astype(float), real["age"])[0, 1]
    assert correlation > 0.5


def test_larger_groups_blur_more():
    real = table()
    gaps = [
        np.abs(
            k_anonymised(real, SCHEMA, np.random.default_rng(1), k=k)["age"].astype(float)
            - real["age"]
        ).mean()
        for k in (2, 5, 50)
    ]
    assert gaps == sorted(gaps)


def test_only_the_chosen_quasi_identifiers_are_recoded():
    real = table()
    made = k_anonymised(real, SCHEMA, np.random.default_rng(1), quasi_identifiers=["age"])
    assert (made["dose"].fillna(-1) == real["dose"].fillna(-1)).all()
    assert (made["age"] != real["age"]).any()


def test_impossible_k_anonymity_is_refused():
    with pytest.raises(InputError, match="at least 500 rows"):
        k_anonymised(table(), SCHEMA, np.random.default_rng(1), k=500)
    with pytest.raises(InputError, match="quasi-identifier"):
        k_anonymised(table(), SCHEMA, np.random.default_rng(1), quasi_identifiers=[])


def test_pseudonymised_rows_are_the_rows_without_ids():
    real = table()
    made = pseudonymised(real, SCHEMA)
    pd.testing.assert_frame_equal(made, real.drop(columns="id"))


@pytest.mark.parametrize(("copies", "noise"), [(0.3, 0.05), (1.0, 0.0), (0.0, 0.5)])
def test_the_leaky_generator_copies_as_often_as_it_says(copies, noise):
    rng = np.random.default_rng(0)
    real = pd.DataFrame({name: rng.permutation(5000) for name in "abcdef"})
    made = leaky_table(real, 4000, rng, copies=copies, noise=noise)
    rows = set(map(tuple, real.to_numpy().tolist()))
    exact = np.mean([tuple(row) in rows for row in made.to_numpy().tolist()])
    assert exact == pytest.approx(copies * (1 - noise) ** 6, abs=0.02)
    with pytest.raises(InputError, match="cannot draw"):
        leaky_table(real.head(0), 5, rng)
