"""Figures of evaluation: exact on hand-made tables, sane on learnt, same for text or types."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score

from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
)
from fedsynth_common.tables import read_table
from fedsynth_release.evaluation import (
    Discretiser,
    Features,
    Scorecard,
    binarise,
    column_tvd,
    default_targets,
    detection_auc,
    evaluate,
    mean_auc,
    pair_tvd,
    resample_tvd,
    tstr,
    tvd,
)
from fedsynth_release.evaluation.fidelity import column_sets
from fedsynth_release.evaluation.number_errors import NumberErrors
from fedsynth_release.evaluation.utility import boosted_scores
from fedsynth_release.table_writer import write_table

ADULT = Path(__file__).parents[2].parent / "shared" / "data" / "adult.csv.gz"


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema(
        name="ward",
        target="ill",
        columns=(
            IdColumn(name="id"),
            IntegerColumn(name="age", minimum=0, maximum=120),
            NumericColumn(name="dose", minimum=0.0, maximum=50.0, atoms=(0.0,), nullable=True),
            CategoricalColumn(name="ward", categories=("a", "b", "c"), nullable=True),
            CategoricalColumn(name="ill", categories=("no", "yes"), other=False),
            BooleanColumn(name="smoker", true="y", false="n"),
        ),
    )


def ward_table(n: int, seed: int) -> pd.DataFrame:
    """Typed rows in which illness depends on age and dose, and the ward on illness."""
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 100, n)
    dose = np.where(rng.random(n) < 0.6, 0.0, rng.exponential(5, n).round(2))
    ill = rng.random(n) < 1 / (1 + np.exp(-(age - 50) / 8 - dose / 4))
    ward = np.where(ill, rng.choice(["a", "b"], n), rng.choice(["b", "c"], n)).astype(object)
    ward[rng.random(n) < 0.1] = None
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "age": pd.array(age, dtype="Int64"),
            "dose": np.where(rng.random(n) < 0.05, np.nan, dose),
            "ward": pd.Series(ward, dtype="str"),
            "ill": np.where(ill, "yes", "no"),
            "smoker": np.where(rng.random(n) < 0.3, "y", "n"),
        }
    )


def shuffled_columns(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({c: frame[c].array.take(rng.permutation(len(frame))) for c in frame})


@pytest.fixture(scope="module")
def train() -> pd.DataFrame:
    return ward_table(3000, 1)


@pytest.fixture(scope="module")
def test() -> pd.DataFrame:
    return ward_table(1500, 2)


class TestDiscretiser:
    def test_levels_are_those_of_the_docstring(self, schema, train):
        levels = Discretiser.fit(schema, train)
        assert levels.names == ("age", "dose", "ward", "ill", "smoker")
        # ward: a b c other missing; ill: no yes other missing; smoker: n y missing
        assert levels.widths[2:] == (5, 4, 3)
        assert levels.widths[0] == 11  # nine deciles, ten intervals, missing

    def test_an_atom_at_the_minimum_has_a_level_of_its_own(self, schema, train):
        codes = Discretiser.fit(schema, train).transform(train)[:, 1]
        dose = train["dose"].to_numpy()
        assert set(codes[dose == 0]) == {0}
        assert 0 not in set(codes[dose > 0])

    def test_missing_is_the_last_level_everywhere(self, schema, train):
        levels = Discretiser.fit(schema, train)
        codes = levels.transform(train)
        for j, name in enumerate(levels.names):
            missing = train[name].isna().to_numpy()
            assert ((codes[:, j] == levels.widths[j] - 1) == missing).all()

    def test_each_interval_holds_about_a_tenth_of_the_reference(self, schema, train):
        codes = Discretiser.fit(schema, train).transform(train)[:, 0]
        shares = np.bincount(codes, minlength=10) / len(codes)
        assert shares[:10] == pytest.approx(0.1, abs=0.02)

    def test_unknown_categories_are_other_and_unknown_labels_missing(self, schema, train):
        odd = train.head(2).assign(ward=["z", "other"], smoker=["perhaps", "y"])
        codes = Discretiser.fit(schema, train).transform(odd)
        assert codes[:, 2].tolist() == [3, 3]
        assert codes[:, 4].tolist() == [2, 1]

    def test_text_of_a_file_and_typed_cells_give_the_same_codes(self, schema, train, tmp_path):
        write_table(train, tmp_path / "t.csv")
        levels = Discretiser.fit(schema, train)
        from_file = read_table(tmp_path / "t.csv")
        assert np.array_equal(levels.transform(train), levels.transform(from_file))
        again = Discretiser.fit(schema, from_file)
        assert all(map(np.array_equal, levels.edges, again.edges))

    def test_a_column_without_any_value_has_one_interval(self, schema, train):
        empty = train.assign(dose=np.nan)
        levels = Discretiser.fit(schema, empty)
        assert levels.widths[1] == 2
        assert set(levels.transform(empty)[:, 1]) == {1}

    def test_a_missing_column_is_named(self, schema, train):
        with pytest.raises(InputError, match="'dose'"):
            Discretiser.fit(schema, train).transform(train.drop(columns="dose"))


codes_arrays = hnp.arrays(
    np.int64, st.tuples(st.integers(1, 30), st.just(4)), elements=st.integers(0, 3)
)


def brute_force_tvd(a: np.ndarray, b: np.ndarray, columns: tuple[int, ...]) -> float:
    cells = {tuple(r) for r in a[:, columns].tolist()} | {tuple(r) for r in b[:, columns].tolist()}
    p, q = ([tuple(r) for r in t[:, columns].tolist()] for t in (a, b))
    return 0.5 * sum(abs(p.count(c) / len(p) - q.count(c) / len(q)) for c in cells)


class TestFidelity:
    @settings(max_examples=40, deadline=None)
    @given(codes_arrays, codes_arrays, st.integers(1, 4))
    def test_equals_brute_force(self, a, b, ways):
        expected = np.mean([brute_force_tvd(a, b, s) for s in column_sets(4, ways)])
        assert tvd(a, b, ways=ways) == pytest.approx(expected)

    @settings(max_examples=40, deadline=None)
    @given(codes_arrays, codes_arrays)
    def test_is_a_bounded_symmetric_distance_that_grows_with_ways(self, a, b):
        one, two, three = (tvd(a, b, ways=k) for k in (1, 2, 3))
        assert 0 <= one <= two + 1e-12 <= three + 2e-12 <= 1 + 3e-12
        assert two == pytest.approx(tvd(b, a, ways=2))
        assert tvd(a, a, ways=3) == 0

    def test_does_not_depend_on_row_order_or_on_copies_of_the_whole_table(self):
        rng = np.random.default_rng(0)
        a, b = rng.integers(0, 4, (50, 5)), rng.integers(0, 4, (70, 5))
        doubled = rng.permutation(np.concatenate([b, b]))
        assert tvd(a, doubled) == pytest.approx(tvd(a, b))

    def test_sparse_counting_equals_dense(self, monkeypatch):
        rng = np.random.default_rng(0)
        a, b = rng.integers(0, 40, (200, 4)), rng.integers(0, 40, (150, 4))
        dense = tvd(a, b, ways=3)
        monkeypatch.setattr("fedsynth_release.evaluation.fidelity._DENSE_CELLS", 10)
        assert tvd(a, b, ways=3) == pytest.approx(dense)

    def test_triples_are_a_fixed_subset_and_pairs_complete(self):
        assert len(column_sets(50, 2)) == 50 * 49 // 2
        chosen = column_sets(50, 3, max_marginals=100)
        assert len(set(chosen)) == 100
        assert chosen == column_sets(50, 3, max_marginals=100)
        assert chosen != column_sets(50, 3, max_marginals=100, seed=1)

    def test_by_column_and_by_pair_agree_with_the_means(self):
        rng = np.random.default_rng(0)
        a, b = rng.integers(0, 3, (60, 4)), rng.integers(0, 3, (60, 4))
        pairs = pair_tvd(a, b)
        assert column_tvd(a, b).mean() == pytest.approx(tvd(a, b, ways=1))
        assert np.diag(pairs) == pytest.approx(column_tvd(a, b))
        assert pairs[np.triu_indices(4, 1)].mean() == pytest.approx(tvd(a, b, ways=2))
        assert np.array_equal(pairs, pairs.T)

    def test_resample_is_what_a_second_sample_scores(self, schema):
        real, second = ward_table(4000, 5), ward_table(4000, 6)
        levels = Discretiser.fit(schema, real)
        a, b = levels.transform(real), levels.transform(second)
        assert tvd(a, b) == pytest.approx(resample_tvd(a, len(b)), rel=0.25)
        assert resample_tvd(a, 40) > 3 * resample_tvd(a, 4000)

    @pytest.mark.parametrize("ways", [0, -1])
    def test_impossible_ways_are_refused(self, ways):
        with pytest.raises(InputError, match="ways"):
            tvd(np.zeros((2, 2), int), np.zeros((2, 2), int), ways=ways)

    def test_tables_that_do_not_fit_or_are_empty_are_refused(self):
        with pytest.raises(InputError, match="columns"):
            tvd(np.zeros((2, 2), int), np.zeros((2, 3), int))
        with pytest.raises(InputError, match="rows"):
            tvd(np.zeros((2, 2), int), np.zeros((0, 2), int))

    def test_fewer_columns_than_ways_is_zero(self):
        assert tvd(np.zeros((2, 1), int), np.ones((2, 1), int), ways=2) == 0.0


class TestTargets:
    def test_declared_target_comes_first_and_rules_come_from_train(self, schema, train, test):
        targets = default_targets(schema, train)
        assert targets[0].column.name == "ill"
        age = next(t for t in targets if t.column.name == "age")
        assert age.threshold == np.median(train["age"].astype(int))
        assert np.array_equal(age.labels(test), test["age"].astype(int) > age.threshold)

    def test_majority_class_is_that_of_train(self, schema, train):
        skewed = train.assign(ward="c")
        target = binarise(schema, train.assign(ward="b"), "ward")
        assert target.labels(train.assign(ward="b")).all()
        assert not target.labels(skewed).any()

    def test_missing_cells_have_no_label(self, schema, train):
        labels = binarise(schema, train, "ward").labels(train)
        assert np.array_equal(np.isnan(labels), train["ward"].isna().to_numpy())

    def test_rare_answers_are_not_asked(self, schema, train):
        rare = train.assign(smoker=["y"] * 100 + ["n"] * 2900)
        names = [t.column.name for t in default_targets(schema, rare)]
        assert "smoker" not in names
        assert "smoker" in [t.column.name for t in default_targets(schema, train)]

    def test_count_bounds_the_number_and_keeps_the_declared_one(self, schema, train):
        for count in (1, 2, 3):
            targets = default_targets(schema, train, count)
            assert len(targets) == len({t.column.name for t in targets}) == count
            assert targets[0].column.name == "ill"

    def test_constant_tables_have_no_target(self, schema, train):
        constant = train.head(1).loc[[0] * 20]
        with pytest.raises(InputError, match="nearly constant"):
            default_targets(schema, constant)

    def test_an_id_is_no_target(self, schema, train):
        with pytest.raises(InputError, match="'id'"):
            binarise(schema, train, "id")


class TestUtility:
    @pytest.mark.parametrize("learner", ["boosting", "logistic"])
    def test_real_rows_score_high_and_independent_columns_do_not(
        self, schema, train, test, learner
    ):
        real = tstr(train, test, schema, "ill", learner)
        assert real > 0.9
        assert tstr(shuffled_columns(train, 1), test, schema, "ill", learner) < 0.75

    @pytest.mark.parametrize("learner", ["boosting", "logistic"])
    def test_reversed_labels_score_below_a_half(self, schema, train, test, learner):
        flipped = train.assign(ill=np.where(train["ill"] == "yes", "no", "yes"))
        assert tstr(flipped, test, schema, "ill", learner) < 0.2

    def test_the_target_is_not_among_the_inputs(self, schema, test):
        # smoker is pure chance; a classifier that saw it would score 1
        assert abs(tstr(ward_table(3000, 3), test, schema, "smoker", "boosting") - 0.5) < 0.08

    def test_a_collapsed_class_scores_a_half(self, schema, train, test):
        assert tstr(train.assign(ill="no"), test, schema, "ill") == 0.5
        assert tstr(train.assign(ill=None), test, schema, "ill") == 0.5

    @pytest.mark.parametrize("learner", ["boosting", "logistic"])
    def test_rows_of_a_class_that_test_lacks_are_left_out(self, schema, train, test, learner):
        stray = train.copy()
        stray.loc[:4, "ill"] = "other"
        without = tstr(train.iloc[5:], test, schema, "ill", learner)
        # standardisation saw the five rows, so logistic regression moves in the last digits
        scored = tstr(stray, test, schema, "ill", learner)
        assert scored == pytest.approx(without, abs=0 if learner == "boosting" else 1e-4)

    @pytest.mark.parametrize("learner", ["boosting", "logistic"])
    def test_many_classes_are_averaged_one_against_the_rest(self, schema, train, test, learner):
        assert 0.6 < tstr(train, test, schema, "ward", learner) < 0.95
        lost = train.assign(ward=train["ward"].replace("a", "b"))
        without = tstr(lost, test, schema, "ward", learner)
        assert without < tstr(train, test, schema, "ward", learner)

    def test_text_and_typed_tables_score_the_same(self, schema, train, test, tmp_path):
        write_table(train, tmp_path / "t.csv")
        text = read_table(tmp_path / "t.csv")
        assert tstr(text, test, schema, "ill") == tstr(train, test, schema, "ill")

    def test_a_numeric_target_is_split_at_the_median_of_test(self, schema, train, test):
        assert tstr(train, test, schema, "age", "logistic") > 0.85

    def test_mean_is_the_mean_of_single_figures(self, schema, train, test):
        targets = default_targets(schema, train, 3)
        single = [tstr(train, test, schema, t, "logistic") for t in targets]
        assert mean_auc(train, test, schema, targets) == pytest.approx(np.mean(single))

    def test_test_rows_of_one_class_are_refused(self, schema, train, test):
        with pytest.raises(InputError, match="'ill'"):
            tstr(train, test.assign(ill="no"), schema, "ill")

    def test_no_targets_is_refused(self, schema, train, test):
        with pytest.raises(InputError, match="at least one target"):
            mean_auc(train, test, schema, [])

    def test_linear_view_is_finite_and_standardised(self, schema, train):
        features = Features.fit(schema, train)
        matrix = features.linear(features.cells(train), range(5)).toarray()
        assert np.isfinite(matrix).all()
        assert abs(matrix[:, 0].mean()) < 1e-5  # age
        assert matrix[:, 0].std() == pytest.approx(1, abs=1e-4)
        assert matrix.max() <= 10
        # age, dose: value and missing flag; ward 4, ill 3, smoker 2 levels
        assert matrix.shape[1] == 2 + 2 + 4 + 3 + 2

    def test_constant_and_empty_columns_do_no_harm(self, schema, train, test):
        dull = train.assign(age=50, dose=np.nan)
        assert 0 <= tstr(dull, test, schema, "ill", "logistic") <= 1
        assert 0 <= tstr(dull, test, schema, "ill", "boosting") <= 1


class TestDetection:
    def test_a_second_real_sample_cannot_be_told_from_the_first(self, schema, train, test):
        assert detection_auc(test, train, schema) == pytest.approx(0.5, abs=0.05)

    def test_independent_columns_and_foreign_values_can(self, schema, train, test):
        assert detection_auc(test, shuffled_columns(train, 1), schema) > 0.75
        assert detection_auc(test, train.assign(age=train["age"] + 200), schema) > 0.99

    def test_a_column_that_is_always_missing_does_no_harm(self, schema, train, test):
        empty = {"dose": np.nan}
        assert 0.4 < detection_auc(test.assign(**empty), train.assign(**empty), schema) < 0.6

    def test_same_answer_twice(self, schema, train, test):
        first = detection_auc(test, train, schema, max_rows=300)
        assert detection_auc(test, train, schema, max_rows=300) == first

    def test_too_few_rows_are_refused(self, schema, train):
        with pytest.raises(InputError, match="at least 3 rows"):
            detection_auc(train.head(2), train, schema)


class TestScorecard:
    def test_ceiling_and_floor_are_in_order(self, schema, train, test):
        ceiling = evaluate(train, test, train, schema)
        floor = evaluate(train, test, shuffled_columns(train, 1), schema)
        assert ceiling.tvd_1 == ceiling.tvd_2 == ceiling.tvd_3 == 0
        assert floor.tvd_1 < 1e-9 < 0.03 < floor.tvd_2 < floor.tvd_3
        assert floor.mean_auc < ceiling.mean_auc
        assert floor.target_auc_boosting < ceiling.target_auc_boosting
        assert floor.detection_auc > ceiling.detection_auc

    def test_without_a_declared_target_those_figures_are_none(self, schema, train, test):
        bare = Schema(name="bare", columns=schema.columns)
        card = evaluate(train, test, train, bare)
        assert card.target_auc_boosting is None
        assert card.target_auc_logistic is None
        numbers = {f"number_{name}" for name in NumberErrors.model_fields}
        names = {field.name for field in fields(Scorecard)} - {"numbers"} | numbers
        assert set(card.to_dict()) == names


def adult_schema(frame: pd.DataFrame) -> Schema:
    bounds = {
        "age": (17, 90),
        "fnlwgt": (12285, 1490400),
        "education-num": (1, 16),
        "capital-gain": (0, 99999),
        "capital-loss": (0, 4356),
        "hours-per-week": (1, 99),
    }
    columns = [
        IntegerColumn(name=name, minimum=bounds[name][0], maximum=bounds[name][1])
        if name in bounds
        else CategoricalColumn(
            name=name, categories=tuple(sorted(frame[name].dropna().unique())), nullable=True
        )
        for name in frame.columns
    ]
    return Schema(name="adult", columns=tuple(columns), target="income")


@pytest.mark.skipif(not ADULT.exists(), reason="the shared benchmark tables are not here")
def test_figures_on_adult_are_those_of_the_literature():
    frame = read_table(ADULT)
    schema = adult_schema(frame)
    order = np.random.default_rng(0).permutation(len(frame))
    test, train = (frame.iloc[rows] for rows in np.split(order, [len(frame) // 5]))
    assert tstr(train, test, schema, "income", "boosting") == pytest.approx(0.925, abs=0.006)
    assert tstr(train, test, schema, "income", "logistic") == pytest.approx(0.905, abs=0.006)
    levels = Discretiser.fit(schema, train)
    independent = levels.transform(shuffled_columns(train, 1))
    assert tvd(levels.transform(train), independent) == pytest.approx(0.075, abs=0.005)


def made_of_rare_classes(seed):
    """Cells and classes, two of which are rare and well hidden."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 8, (8000, 4)).astype(float)
    chance, total = rng.random(len(cells)), cells.sum(axis=1).astype(int)
    classes = (cells[:, 0] > 3).astype(int) + (cells[:, 1] > 5)
    classes = np.where((total % 7 == 0) & (cells[:, 3] == 0) & (chance < 0.2), 3, classes)
    return cells, np.where((total % 5 == 0) & (cells[:, 2] == 0) & (chance > 0.8), 4, classes)


def test_boosting_does_not_diverge_on_rare_classes():
    cells, classes = made_of_rare_classes(0)
    other, truth = made_of_rare_classes(1)
    chances, known = boosted_scores(cells, classes, other, np.zeros(4, dtype=bool))
    scores = [roc_auc_score(truth == known[k], chances[:, k]) for k in range(len(known))]
    assert np.mean(scores) > 0.95
