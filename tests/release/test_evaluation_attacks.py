"""Attacks notice what leaks, stay silent on what does not, and bound what they claim."""

import math

import numpy as np
import pandas as pd
import pytest

from fedsynth_common.schema import (
    CategoricalColumn,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
)
from fedsynth_release.evaluation.attacks import ATTACKS, AttackSetup, run_attacks
from fedsynth_release.evaluation.attacks.inference import correct
from fedsynth_release.evaluation.attacks.predicates import (
    AT_LEAST,
    AT_MOST,
    EQUAL,
    Predicate,
    counts,
    distinct,
    multivariate,
    univariate,
)
from fedsynth_release.evaluation.attacks.singling_out import isolation
from fedsynth_release.evaluation.copies import copy_row
from fedsynth_release.evaluation.references import (
    independent_columns,
    k_anonymised,
    leaky_table,
    pseudonymised,
)

ROWS = 1200
WARDS = tuple("abcdef")
SCHEMA = Schema(
    name="ward",
    target="ill",
    columns=(
        IdColumn(name="id"),
        IntegerColumn(name="age", minimum=0, maximum=120),
        NumericColumn(name="dose", minimum=0.0, maximum=500.0, nullable=True),
        NumericColumn(name="pressure", minimum=0.0, maximum=300.0, decimals=1),
        NumericColumn(name="cost", minimum=0.0, maximum=1e6),
        CategoricalColumn(name="ward", categories=WARDS, other=False),
        CategoricalColumn(name="drug", categories=WARDS, other=False),
        CategoricalColumn(name="ill", categories=("no", "yes"), other=False),
    ),
)


def people(n: int, seed: int) -> pd.DataFrame:
    """Rows in which every column says something about every other."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 95, n)
    ill = rng.random(n) < 1 / (1 + np.exp(-(age - 60) / 10))
    dose = np.where(ill, rng.exponential(40, n), rng.exponential(10, n)).round(2)
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "age": age,
            "dose": np.where(rng.random(n) < 0.1, np.nan, dose),
            "pressure": (100 + age / 2 + rng.normal(0, 12, n)).round(1),
            "cost": (rng.lognormal(7, 1.2, n) * (1 + ill)).round(2),
            "ward": rng.choice(list(WARDS), n, p=[0.4, 0.25, 0.15, 0.1, 0.06, 0.04]),
            "drug": np.where(ill, rng.choice(list(WARDS), n), "a"),
            "ill": np.where(ill, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def train():
    return people(ROWS, 1)


@pytest.fixture(scope="module")
def setup(train):
    return AttackSetup.of(train, people(ROWS, 2), SCHEMA, attempts=ROWS, epsilon=1.0, delta=1e-5)


@pytest.fixture(scope="module")
def attacks(setup, train):
    """Every attack on a table of other people, on the references, and on the leaky generator."""
    rng = np.random.default_rng(0)
    tables = {
        "synthetic": people(ROWS, 3),
        "pseudonymised": pseudonymised(train, SCHEMA),
        "k-anonymised": k_anonymised(train, SCHEMA, rng),
        "leaky": leaky_table(train, ROWS, rng),
    }
    cells = {role: setup.features.cells(table) for role, table in tables.items()}
    return {attack.name: attack for attack in run_attacks(cells, setup)}


NAMES = [kind.name for kind in ATTACKS]


@pytest.mark.parametrize("name", NAMES)
def test_the_leaky_generator_is_noticed(attacks, name):
    leaky = attacks[name].on("leaky")
    assert leaky.flagged
    assert leaky.advantage.value > 0.05


@pytest.mark.parametrize("name", NAMES)
def test_a_table_of_other_people_is_not_accused(attacks, name):
    fresh = attacks[name].on("synthetic")
    assert fresh.advantage.low <= 0.01
    assert abs(fresh.advantage.value) < 0.06


@pytest.mark.parametrize("name", NAMES)
def test_pseudonymised_rows_give_nearly_everything_away(attacks, name):
    """Up to what follows from the population, e.g. half of the answers of attribute inference."""
    result = attacks[name].on("pseudonymised")
    assert result.success.value > 0.9
    assert result.advantage.value > 0.35


def test_k_anonymity_helps_and_does_not_end_the_risk(attacks):
    exposed = [attacks[name].on("k-anonymised").advantage for name in NAMES]
    bare = [attacks[name].on("pseudonymised").advantage for name in NAMES]
    assert all(a.value < b.value for a, b in zip(exposed, bare, strict=True))
    assert attacks["membership"].on("k-anonymised").flagged


def test_reductions_are_of_the_advantages_and_undefined_without_one(attacks):
    for attack in attacks.values():
        made = attack.on("synthetic").advantage.value
        for found in attack.reductions:
            reference = attack.on(found.against).advantage
            if reference.low <= 0:
                assert found.reduction is None
            else:
                assert found.reduction.value == pytest.approx(1 - max(made, 0) / reference.value)


def test_membership_proves_an_epsilon_on_copies_only(attacks):
    membership = attacks["membership"]
    assert membership.on("synthetic").epsilon_lower <= 0.3
    assert membership.on("synthetic").within_claim is True
    assert membership.on("pseudonymised").epsilon_lower > 3
    assert membership.on("pseudonymised").within_claim is None  # the claim is not about it
    assert membership.on("pseudonymised").auc.value > 0.95
    assert membership.on("pseudonymised").tpr_at_fpr_01.value > 0.9


def test_a_false_claim_is_refuted(setup, train):
    kind = next(kind for kind in ATTACKS if kind.name == "membership")
    leaky = leaky_table(train, ROWS, np.random.default_rng(1), copies=0.9)
    result = kind.run(setup.features.cells(leaky), setup, "synthetic")
    assert result.within_claim is False
    assert result.epsilon_lower > 1


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_singling_out_needs_no_equal_sizes(train, share):
    """A smaller hold-out widens the interval and accuses nobody."""
    small = AttackSetup.of(train, people(int(ROWS * share), 5), SCHEMA, attempts=ROWS)
    cells = small.features.cells(people(ROWS, 3))
    for kind in ATTACKS[1:3]:
        result = kind.run(cells, small, "synthetic")
        assert result.scale == pytest.approx(1 / share, rel=0.01)
        assert result.advantage.low < 0 < result.advantage.high
        assert result.advantage.high - result.advantage.low < 0.5


def test_isolation_is_the_share_of_parts_with_one():
    rng = np.random.default_rng(0)
    drawn = np.array([rng.permutation(20)[:8] < 3 for _ in range(20_000)]).sum(axis=1)
    assert isolation(np.array([3]), 20, 8)[0] == pytest.approx((drawn == 1).mean(), abs=0.015)


class TestPredicates:
    cells = np.array([[1.0, 0], [2, 0], [2, 1], [np.nan, 1], [9, np.nan]])
    categorical = np.array([False, True])

    def test_terms(self):
        table = self.cells
        assert Predicate(((0, AT_LEAST, 2.0),)).matches(table).tolist() == [0, 1, 1, 0, 1]
        assert Predicate(((0, AT_MOST, 2.0),)).matches(table).tolist() == [1, 1, 1, 0, 0]
        assert Predicate(((0, EQUAL, math.nan),)).matches(table).tolist() == [0, 0, 0, 1, 0]
        both = Predicate(((0, EQUAL, 2.0), (1, EQUAL, 1.0)))
        assert both.matches(table).tolist() == [0, 0, 1, 0, 0]

    def test_univariate_are_extremes_and_unique_cells(self):
        found = univariate(self.cells, self.categorical, 100, np.random.default_rng(0))
        keys = {predicate.key for predicate in found}
        nan, one, nine = repr(math.nan), repr(1.0), repr(9.0)
        assert keys == {
            ((0, AT_MOST, one),),
            ((0, AT_LEAST, nine),),
            ((0, EQUAL, one),),
            ((0, EQUAL, nine),),
            ((0, EQUAL, nan),),
            ((1, EQUAL, nan),),
        }

    def test_all_single_out_where_they_come_from(self, setup):
        table = distinct(setup.members)
        for family in (univariate, multivariate):
            found = family(table, setup.categorical, 200, np.random.default_rng(0))
            assert len(found) == 200
            assert len({predicate.key for predicate in found}) == 200
            assert set(counts(found, table)[:, 0]) == {1}

    def test_a_table_without_unique_rows_offers_nothing(self, setup):
        kind = ATTACKS[2]
        constant = np.repeat(setup.members[:1], 50, axis=0)
        result = kind.run(np.concatenate([constant] * 2), setup, "synthetic")
        # one distinct row: every combination of it singles it out, at most C(7, 3) of them
        assert 0 < result.attacks <= 35


def test_inference_tolerates_five_per_cent_of_numbers_only():
    guesses = np.array([100.0, 100.0, 1.0, 1.0, np.nan, 3.0])
    secrets = np.array([105.0, 105.1, 1.0, 2.0, np.nan, np.nan])
    categorical = np.array([False, False, True, True, False, True])
    assert correct(guesses, secrets, categorical).tolist() == [1, 0, 1, 0, 1, 0]


def test_copy_check_tells_copies_from_likeness(setup, train):
    copied = copy_row("pseudonymised", setup.members, setup)
    fresh = copy_row("synthetic", setup.features.cells(people(ROWS, 3)), setup)
    assert copied.exact_train == 1
    assert copied.exact_holdout < 0.01
    assert fresh.exact_train < 0.01
    assert fresh.closer_to_train == pytest.approx(0.5, abs=0.05)
    assert fresh.near_train == pytest.approx(fresh.near_holdout, abs=0.04)


def test_attacks_repeat(setup):
    cells = setup.features.cells(people(300, 4))
    for kind in ATTACKS:
        assert kind.run(cells, setup, "synthetic") == kind.run(cells, setup, "synthetic")


def test_independent_columns_leave_no_link(setup, train):
    table = independent_columns(train, ROWS, np.random.default_rng(0))
    result = next(k for k in ATTACKS if k.name == "linkability").run(
        setup.features.cells(table), setup, "independent"
    )
    assert not result.flagged
