"""Sections of an evaluation: each figure against an independent computation, the whole end to end."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binomtest, ks_2samp
from scipy.stats.contingency import association as scipy_association

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
from fedsynth_release.evaluation import Evaluation, evaluate_table
from fedsynth_release.evaluation.association import associations, correlation_ratio, cramers_v
from fedsynth_release.evaluation.gower import Gower
from fedsynth_release.evaluation.intervals import (
    area,
    clopper_pearson,
    difference,
    rate,
    reduction,
    widened,
)
from fedsynth_release.evaluation.references import independent_columns
from fedsynth_release.evaluation.result_parts import Estimate
from fedsynth_release.evaluation.shapes import histogram, ks_complement, tv_complement
from fedsynth_release.evaluation.split import split_for, split_rows
from fedsynth_release.evaluation.utility import TrainTestPair

SCHEMA = Schema(
    name="ward",
    target="ill",
    person_key="person",
    rows_per_person=5,
    columns=(
        IdColumn(name="person"),
        IntegerColumn(name="age", minimum=0, maximum=120),
        NumericColumn(name="dose", minimum=0.0, maximum=90.0, nullable=True),
        CategoricalColumn(name="ward", categories=("a", "b", "c")),
        BooleanColumn(name="smoker", true="y", false="n"),
        DateColumn(name="seen", minimum="2020-01-01", maximum="2024-12-31"),
        CategoricalColumn(name="ill", categories=("no", "yes"), other=False),
    ),
)


def people(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 95, n)
    ill = rng.random(n) < 1 / (1 + np.exp(-(age - 60) / 10))
    days = np.datetime64("2020-01-01") + rng.integers(0, 1800, n)
    return pd.DataFrame(
        {
            "person": rng.integers(0, n // 2, n),
            "age": age,
            "dose": np.where(
                rng.random(n) < 0.1, np.nan, (age / 2 + rng.exponential(10, n)).round(2)
            ),
            "ward": np.where(ill, rng.choice(["a", "b"], n), rng.choice(["b", "c"], n)),
            "smoker": rng.choice(["y", "n"], n),
            "seen": days.astype(str),
            "ill": np.where(ill, "yes", "no"),
        }
    )


class TestIntervals:
    @given(st.integers(1, 500), st.integers(0, 500))
    def test_wilson_is_scipys(self, attempts, successes):
        successes = min(successes, attempts)
        ours = rate(successes, attempts)
        theirs = binomtest(successes, attempts).proportion_ci(method="wilson")
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)

    @given(st.integers(1, 500), st.integers(0, 500))
    def test_clopper_pearson_is_scipys(self, attempts, successes):
        successes = min(successes, attempts)
        theirs = binomtest(successes, attempts).proportion_ci(method="exact")
        ours = clopper_pearson(successes, attempts)
        assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-9)

    def test_newcombes_own_examples(self):
        """Table II of the paper, method 10, contrasts (a) and (d)."""
        for one, two, low, high in (
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((5, 56), (0, 29), -0.0381, 0.1926),
        ):
            found = difference(rate(*one), rate(*two))
            assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)

    def test_a_scaled_difference_stays_in_range(self):
        found = difference(rate(90, 100), rate(10, 100), scale=4.0)
        assert (found.value, found.high) == (1, 1)
        assert found.low == 1

    def test_reduction(self):
        strong, none = rate(95, 100), rate(0, 100)
        full = difference(strong, none)
        assert reduction(difference(rate(1, 100), rate(1, 100)), full).value == 1
        half = reduction(difference(rate(48, 100), none), full)
        assert half.low < half.value < half.high < 1
        assert reduction(full, difference(rate(5, 100), rate(4, 100))) is None

    def test_widening_adds_in_quadrature(self):
        base = Estimate(value=0.5, low=0.47, high=0.53)
        found = widened(base, 0.04 / 1.959963984540054)
        assert found.high - 0.5 == pytest.approx(0.05)

    def test_area_covers_the_truth(self):
        rng = np.random.default_rng(0)
        truth, hits = 0.5 * (1 + math.erf(0.7 / 2)), 0  # normals one deviation of 0.7 apart
        for _ in range(300):
            one, two = rng.normal(0.7, 1, 60), rng.normal(0, 1, 60)
            found = area(float((one[:, None] > two).mean()), 60, 60)
            hits += found.low <= truth <= found.high
        assert 270 <= hits <= 297


class TestShapes:
    @settings(max_examples=50, deadline=None)
    @given(
        hnp.arrays(float, st.integers(1, 60), elements=st.integers(-5, 5).map(float)),
        hnp.arrays(float, st.integers(1, 60), elements=st.integers(-5, 5).map(float)),
    )
    def test_ks_is_scipys(self, one, two):
        assert ks_complement(one, two) == pytest.approx(
            1 - ks_2samp(one, two, method="asymp").statistic
        )

    def test_missing_cells_are_left_out_and_empty_columns_score_nothing(self):
        gap = np.array([np.nan, 1.0, 2.0])
        assert ks_complement(gap, np.array([1.0, 2.0])) == 1
        assert tv_complement(gap, np.array([1.0, 2.0])) == 1
        empty = np.array([np.nan])
        assert ks_complement(empty, np.array([1.0])) == tv_complement(empty, np.array([1.0])) == 0
        assert ks_complement(empty, empty) == 1

    def test_bars_hold_all_present_cells(self):
        real = np.append(np.random.default_rng(0).exponential(10, 500), [np.nan, 1e6])
        column = NumericColumn(name="x", minimum=0.0, maximum=1e6)
        drawn = histogram(real, real[:100], column)
        assert sum(drawn.real) == pytest.approx(501 / 502)
        assert sum(drawn.synthetic) == pytest.approx(1)
        assert len(drawn.edges) == len(drawn.real) + 1
        assert drawn.edges[-1] == 1e6  # it is seen, and the other bars stay narrow
        assert sum(edge < 100 for edge in drawn.edges) > 15

    def test_bars_of_whole_numbers_and_dates(self):
        days = np.arange(18_262.0, 18_962)
        column = DateColumn(name="seen", minimum="2020-01-01", maximum="2021-12-31")
        drawn = histogram(days, days, column)
        assert len(drawn.labels) == len(drawn.edges)
        assert drawn.labels[0].startswith("2020-01-0")
        dense = np.array(drawn.real) / np.diff(drawn.edges)
        assert dense == pytest.approx(1 / 700, rel=1e-9)  # no comb

    def test_levels_that_occur_nowhere_have_no_bar(self):
        column = CategoricalColumn(name="w", categories=("a", "b", "c"))
        drawn = histogram(np.array([0.0, 0, 2]), np.array([0.0, np.nan]), column)
        assert drawn.labels == ("a", "c")
        assert drawn.real == pytest.approx((2 / 3, 1 / 3))
        assert drawn.synthetic == (0.5, 0)


class TestAssociation:
    def test_cramers_v_is_scipys(self):
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 4, 400), rng.integers(0, 3, 400)
        y = np.where(rng.random(400) < 0.5, x % 3, y)
        table = np.array([[((x == i) & (y == j)).sum() for j in range(3)] for i in range(4)])
        assert cramers_v(x, y) == pytest.approx(scipy_association(table, method="cramer"))

    def test_correlation_ratio_of_two_groups_is_pearson(self):
        rng = np.random.default_rng(0)
        group = rng.integers(0, 2, 200)
        values = group + rng.normal(0, 1, 200)
        expected = abs(np.corrcoef(group, values)[0, 1])
        assert correlation_ratio(group, values) == pytest.approx(expected)

    def test_missing_and_constant_columns_say_nothing(self):
        cells = np.array([[1.0, np.nan, 3], [2, np.nan, 3], [3, 1, 3]])
        table = associations(cells, np.array([False, False, True]))
        assert (table == np.eye(3)).all()


class TestGower:
    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.sampled_from(["range", "rank"]))
    def test_nearest_is_brute_force(self, seed, scale):
        rng = np.random.default_rng(seed)
        categorical = np.array([False, True, False])
        cells = np.column_stack(
            [rng.normal(0, 1, 50), rng.integers(0, 3, 50).astype(float), rng.integers(0, 4, 50)]
        )
        cells[rng.random(cells.shape) < 0.1] = np.nan
        space = Gower.fit(cells, categorical, scale)
        found, rows = space.nearest(cells[:40], cells[40:])
        left, right = space.points(cells[:40]).T, space.points(cells[40:]).T
        for i in range(40):
            gaps = np.minimum(np.abs(left[i] - right), 1)
            gaps[:, 1] = left[i, 1] != right[:, 1]
            assert found[i] == pytest.approx(gaps.sum(axis=1).min(), abs=1e-5)
            assert gaps[rows[i]].sum() == pytest.approx(found[i], abs=1e-5)

    def test_two_missing_cells_are_equal_and_one_is_far(self):
        cells = np.array([[0.0], [1.0], [np.nan]])
        space = Gower.fit(cells, np.array([False]), "range")
        assert space.nearest(cells[[2]], cells[[2]])[0] == [0]
        assert space.nearest(cells[[2]], cells[:2])[0] == [1]


class TestSplit:
    def test_people_are_on_one_side(self):
        frame = people(400, 0)
        kept, held = split_for(frame, 0.3, np.random.default_rng(0), SCHEMA)
        assert not set(kept["person"]) & set(held["person"])
        assert len(kept) + len(held) == 400

    def test_without_the_key_rows_are_split(self):
        frame = people(100, 0).drop(columns="person")
        kept, held = split_for(frame, 0.3, np.random.default_rng(0), SCHEMA)
        assert (len(kept), len(held)) == (70, 30)

    @pytest.mark.parametrize("share", [0.0, 1.0, 0.001])
    def test_an_empty_side_is_refused(self, share):
        with pytest.raises(InputError, match="leaves a side empty"):
            split_rows(people(100, 0), share, np.random.default_rng(0))


def test_regression_learns_what_is_there_and_nothing_else():
    train, test = people(800, 1), people(400, 2)
    noise = independent_columns(train, 800, np.random.default_rng(0))
    for learner in ("boosting", "logistic"):
        fit, rmse = TrainTestPair(SCHEMA, train, test, learner).regress("dose")
        blind, _ = TrainTestPair(SCHEMA, noise, test, learner).regress("dose")
        assert fit > 0.35 > 0.1 > blind
        assert rmse == pytest.approx(math.sqrt((1 - fit) * test["dose"].var(ddof=0)))


@pytest.fixture(scope="module")
def evaluation():
    train = people(600, 1)
    return evaluate_table(train, people(600, 2), people(600, 3), SCHEMA, quick=True, epsilon=1.0)


class TestEvaluation:
    def test_round_trip(self, evaluation):
        text = evaluation.to_json()
        assert Evaluation.from_json(text) == evaluation
        assert "NaN" not in text
        assert "not differentially private" in json.loads(text)["notice"]

    def test_other_people_score_like_the_ceiling(self, evaluation):
        made, ceiling, floor = evaluation.fidelity.figures
        assert (made.role, ceiling.role, floor.role) == ("synthetic", "hold-out", "independent")
        assert made.tvd_2 == pytest.approx(ceiling.tvd_2, rel=0.2)
        assert made.tvd_2 < floor.tvd_2
        assert abs(made.detection_auc - 0.5) < 0.1 < floor.detection_auc - 0.5
        assert floor.association_difference > 2 * made.association_difference

    def test_utility_lies_between_floor_and_ceiling(self, evaluation):
        assert {(m.metric, m.learner) for m in evaluation.utility.means} == {
            ("AUC", "linear"),
            ("R2", "linear"),
        }
        for mean in evaluation.utility.means:
            assert mean.independent < mean.synthetic < mean.real + 0.05

    def test_attacks_and_references_are_in_the_same_run(self, evaluation):
        roles = ("synthetic", "pseudonymised", "k-anonymised", "independent", "leaky")
        for attack in evaluation.attacks:
            assert tuple(table.role for table in attack.tables) == roles
        assert evaluation.attacks[0].on("synthetic").within_claim is True
        assert tuple(row.role for row in evaluation.copies) == roles

    def test_columns_and_pairs_name_the_schema(self, evaluation):
        names = tuple(column.name for column in SCHEMA.modelled)
        assert tuple(column.name for column in evaluation.fidelity.columns) == names
        assert evaluation.fidelity.pairs.names == names
        kinds = {column.name: column.kind for column in evaluation.fidelity.columns}
        assert kinds["seen"] == "date"

    def test_it_repeats(self, evaluation):
        again = evaluate_table(
            people(600, 1), people(600, 2), people(600, 3), SCHEMA, quick=True, epsilon=1.0
        )
        assert again.model_copy(update={"seconds": evaluation.seconds}) == evaluation

    def test_attacks_can_be_left_out(self):
        tables = [people(60, seed) for seed in (1, 2, 3)]
        found = evaluate_table(*tables, SCHEMA, quick=True, attacks=False)
        assert found.attacks == found.copies == ()

    def test_missing_columns_and_tiny_tables_are_refused(self):
        train, test, made = (people(60, seed) for seed in (1, 2, 3))
        with pytest.raises(InputError, match="no column 'dose'"):
            evaluate_table(train, test, made.drop(columns="dose"), SCHEMA)
        with pytest.raises(InputError, match="held-out table has 5 rows; expected 20 or more"):
            evaluate_table(train, test.head(5), made, SCHEMA)

    @pytest.mark.parametrize("text", ["{", "{}", '{"format_version": 2}'])
    def test_other_files_are_refused_in_one_line(self, text):
        with pytest.raises(InputError, match=r"^e.json: not an evaluation: [^\n]*$"):
            Evaluation.from_json(text, "e.json")
