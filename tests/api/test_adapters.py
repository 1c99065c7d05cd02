"""`Synthesizer` as users of SDV know it, and `Resampler` as users of imbalanced-learn do."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from small_frames import SMALL, mixed_frame, visits_frame

import fedsynth

pytestmark = pytest.mark.filterwarnings("ignore::fedsynth.notices.FedsynthWarning")


class Metadata:
    """What an SDV metadata object offers."""

    def __init__(self, columns, **more):
        self.columns, self.more = columns, more

    def to_dict(self):
        table = {"columns": self.columns, **self.more}
        return {"tables": {"table": table}, "METADATA_SPEC_VERSION": "V1", "relationships": []}


class Condition:
    """SDV's condition."""

    def __init__(self, column_values, num_rows=1):
        self.column_values, self.num_rows = column_values, num_rows


def people(rows=200):
    frame = mixed_frame(rows)[["age", "ward", "smoker", "admitted", "outcome"]]
    ids, names = [f"K{k:07d}" for k in range(rows)], [f"Ann{k} Ba" for k in range(rows)]
    return frame.assign(key=ids, full_name=names, code=np.arange(rows) % 4)


SORTS = {
    "age": {"sdtype": "numerical", "computer_representation": "Int64"},
    "ward": {"sdtype": "categorical"},
    "smoker": {"sdtype": "boolean"},
    "admitted": {"sdtype": "datetime", "datetime_format": "%Y-%m-%d"},
    "outcome": {"sdtype": "categorical"},
    "key": {"sdtype": "id"},
    "full_name": {"sdtype": "name", "pii": True},
    "code": {"sdtype": "categorical"},
}


@pytest.fixture(scope="module")
def fitted():
    maker = fedsynth.Synthesizer(Metadata(SORTS, primary_key="key"), sites=2, **SMALL)
    return maker.fit(people())


def test_metadata_in_and_rows_out(fitted):
    table, rows = people(), fitted.sample(num_rows=50)
    assert list(rows.columns) == list(table.columns)
    assert rows.dtypes.drop("ward").equals(table.dtypes.drop("ward"))
    assert rows["key"].is_unique
    assert not set(rows["key"]) & set(table["key"])
    assert not set(rows["full_name"]) & set(table["full_name"])
    kinds = {column.name: column.kind for column in fitted.result.schema.columns}
    assert (kinds["code"], kinds["key"], kinds["full_name"]) == ("categorical", "id", "id")


def test_conditions_and_known_columns(fitted):
    asked = [Condition({"ward": "b"}, 7), {"num_rows": 3, "column_values": {"outcome": "died"}}]
    rows = fitted.sample_from_conditions(asked, seed=1)
    assert len(rows) == 10
    assert set(rows["ward"][:7]) == {"b"}
    assert set(rows["outcome"][7:]) == {"died"}
    known = pd.DataFrame({"age": [20, 80]})
    assert fitted.sample_remaining_columns(known)["age"].tolist() == [20, 80]
    with pytest.raises(fedsynth.InputError, match="conditions: expected a list"):
        fitted.sample_from_conditions("ward=b")


def test_what_it_was_made_with(fitted):
    assert fitted.get_parameters() == fitted.get_params() == {"sites": 2, **SMALL}
    assert isinstance(fitted.get_metadata(), Metadata)
    assert "fitted, ε = " in repr(fitted)


def test_saved_and_loaded(fitted, tmp_path):
    folder = fitted.save(tmp_path / "out")
    again = fedsynth.Synthesizer.load(folder)
    pd.testing.assert_frame_equal(again.sample(20, seed=1), fitted.sample(20, seed=1))
    assert again.get_metadata()["columns"] == SORTS
    assert (folder / "metadata.json").stat().st_mode & 0o777 == 0o600


def test_tables_in_a_dict_come_back_in_a_dict():
    metadata = json.loads(json.dumps(Metadata({"age": {"sdtype": "numerical"}}).to_dict()))
    made = fedsynth.Synthesizer(metadata, **SMALL).fit({"table": people()[["age"]]})
    assert list(made.sample(4)) == ["table"]
    assert len(made.sample(4)["table"]) == 4


def test_metadata_as_sdv_2_detects_it():
    """Its version 2 has ordinal columns, and says of personal ones only that they are `pii`."""
    columns = {
        "age": {"sdtype": "numerical", "range_min": 1.0, "decimal_places": 0},
        "code": {"sdtype": "ordinal", "range_values": [3, 2, 1, 0], "high_cardinality": False},
        "smoker": {"sdtype": "categorical", "range_values": [False, True]},
        "full_name": {"sdtype": "email", "pii": True, "range_is_nullable": False},
        "outcome": {"sdtype": "city", "pii": False},
    }
    tables = {"people": {"primary_key": "key", "columns": columns | {"key": {"sdtype": "id"}}}}
    metadata = {"tables": tables, "relationships": [], "METADATA_SPEC_VERSION": "V2"}
    made = fedsynth.Synthesizer(metadata, sites=2, **SMALL)
    made.fit({"people": people().drop(columns=["ward", "admitted"])})
    kinds = {column.name: column.kind for column in made.result.schema.columns}
    assert kinds["key"] == kinds["full_name"] == "id"
    assert kinds["code"] == kinds["outcome"] == "categorical"
    assert kinds["smoker"] == "boolean"


def test_a_sequence_becomes_histories():
    columns = {
        "customer": {"sdtype": "id"},
        "kind": {"sdtype": "categorical"},
        "month": {"sdtype": "numerical"},
        "late": {"sdtype": "boolean"},
        "balance": {"sdtype": "numerical"},
    }
    metadata = {"columns": columns, "sequence_key": "customer", "sequence_index": "month"}
    made = fedsynth.Synthesizer(metadata, sites=2, **SMALL).fit(visits_frame(150))
    assert made.result.schema.histories.order == "month"
    assert made.sample(10)["customer"].nunique() == 10


@pytest.mark.parametrize(
    ("metadata", "mention"),
    [
        (3, "metadata: expected SDV's metadata"),
        ({"tables": {"a": {}, "b": {}}}, "metadata: describes 2 tables"),
        ({"rows": 3}, "metadata: expected SDV's"),
        ("none.json", "none.json: cannot be read"),
    ],
)
def test_metadata_that_cannot_be_used(metadata, mention):
    with pytest.raises(fedsynth.InputError, match=mention):
        fedsynth.Synthesizer(metadata)


def test_a_synthesizer_says_what_it_lacks():
    with pytest.raises(fedsynth.InputError, match="call fit"):
        fedsynth.Synthesizer().sample(5)
    with pytest.raises(fedsynth.InputError, match="column 'code' is in the table only"):
        sorts = {name: sort for name, sort in SORTS.items() if name != "code"}
        fedsynth.Synthesizer({"columns": sorts}).fit(people())
    with pytest.raises(TypeError, match="epsilom"):
        fedsynth.Synthesizer(epsilom=1)
    with pytest.raises(fedsynth.InputError, match="epsilon: expected a number"):
        fedsynth.Synthesizer(epsilon="1")


# --- Resampler ----------------------------------------------------------------------------------


def rare(rows=300):
    rng = np.random.default_rng(0)
    sick = rng.random(rows) < 0.2
    frame = pd.DataFrame({"age": rng.integers(20, 60, rows) + 25 * sick, "dose": rng.random(rows)})
    return frame.astype({"age": "int16"}), pd.Series(np.where(sick, "sick", "well"), name="state")


def resampler(**options):
    return fedsynth.Resampler(epsilon=20, quick=True, variant="marginals", **options)


def test_classes_become_equal_and_real_rows_stay():
    X, y = rare()
    more_X, more_y = resampler(random_state=1).fit_resample(X, y)
    pd.testing.assert_frame_equal(more_X.iloc[: len(X)], X)
    assert more_y.value_counts().to_dict() == dict.fromkeys(["sick", "well"], (y == "well").sum())
    assert more_X.dtypes.equals(X.dtypes)
    assert more_y.name == "state"
    added = more_X.iloc[len(X) :]
    assert added["age"].mean() > X["age"][y == "well"].mean() + 5


def test_arrays_come_back_as_arrays_and_a_seed_repeats_what_is_drawn():
    X, y = rare()
    made = resampler(random_state=3)
    numbers, labels = X.to_numpy(dtype=float), (y == "sick").to_numpy().astype(int)
    more_X, more_y = made.fit_resample(numbers, labels)
    assert isinstance(more_X, np.ndarray)
    assert more_X.dtype == float
    assert more_y.dtype == labels.dtype
    assert set(np.bincount(more_y)) == {(labels == 0).sum()}
    np.testing.assert_array_equal(more_X[: len(X)], numbers)


@pytest.mark.parametrize(
    ("strategy", "keep", "counts"),
    [
        ("same", True, lambda n: {"sick": 2 * n["sick"], "well": 2 * n["well"]}),
        ("same", False, lambda n: n),
        (0.5, True, lambda n: {"sick": round(n["well"] / 2), "well": n["well"]}),
        ({"sick": 100}, True, lambda n: n | {"sick": 100}),
        ({"sick": 10}, False, lambda n: {"sick": 10}),
    ],
)
def test_strategies(strategy, keep, counts):
    X, y = rare()
    _, labels = resampler(sampling_strategy=strategy, keep_real=keep).fit_resample(X, y)
    assert labels.value_counts().to_dict() == counts(y.value_counts().to_dict())


@pytest.mark.parametrize(
    ("options", "mention"),
    [
        ({"sampling_strategy": "odd"}, "expected 'auto', 'not majority', 'same'"),
        ({"sampling_strategy": {"ill": 5}}, "'ill' is not a class of y"),
        ({"sampling_strategy": {"sick": 5}}, "pass keep_real=False for fewer"),
        ({"sampling_strategy": 1.5}, "a share from 0 to 1"),
        ({"sampling_strategy": None}, "sampling_strategy: expected a text, a share or a dict"),
        ({"random_state": "x"}, "random_state: expected a whole number"),
    ],
)
def test_strategies_that_cannot_be(options, mention):
    with pytest.raises(fedsynth.InputError, match=mention):
        resampler(**options).fit_resample(*rare())


def test_features_and_classes_that_do_not_fit():
    X, y = rare()
    for features, classes, mention in (
        (X, y[:-1], "y: has 299 values for 300 rows"),
        (X, pd.Series(range(300)), "y: has 300 different values; expected 2 to 20"),
        (X.to_dict(), y, "X: expected a pandas DataFrame"),
        (X, y.where(y == "sick"), "rows have no class"),
    ):
        with pytest.raises(fedsynth.InputError, match=mention):
            resampler().fit_resample(features, classes)


def test_it_has_the_manners_of_scikit_learn():
    made = resampler(random_state=1).set_params(epsilon=3.0)
    again = clone(made)
    assert again is not made
    assert again.get_params() == made.get_params()
    assert again.get_params()["epsilon"] == 3.0


def test_it_stands_in_a_pipeline_of_imbalanced_learn():
    pipeline = pytest.importorskip("imblearn.pipeline", reason="imbalanced-learn is not installed")
    X, y = rare()
    chain = pipeline.Pipeline(
        [("more", resampler(random_state=1)), ("model", LogisticRegression())]
    )
    assert chain.fit(X, y).score(X, y) > 0.6
