"""An argument that cannot be used is answered with a sentence in the words of Python."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_frames import SMALL

import fedsynth

pytestmark = pytest.mark.filterwarnings("ignore::fedsynth.notices.FedsynthWarning")
FRAME = pd.DataFrame({"a": ["x", "y"] * 40, "b": range(80)})


@pytest.mark.parametrize(
    ("options", "mention"),
    [
        ({"epsilon": "1"}, "epsilon: expected a number such as 1.0, got str"),
        ({"epsilon": True}, "epsilon: expected a number such as 1.0, got bool"),
        ({"delta": None}, "delta: expected a number such as 1.0, got NoneType"),
        ({"sites": 2.0}, "sites: expected a whole number from 1 on, got float"),
        ({"target": ["b"]}, "target: expected the name of a column, got list"),
        (
            {"schema": {}},
            "schema: expected a fedsynth.Schema or the path of a schema file, got dict",
        ),
        ({"seed": "x"}, "seed: expected a whole number from 0 on or None, got str"),
        ({"quick": 1}, "quick: expected True or False, got int"),
        (
            {"variant": 3},
            "variant: expected one of 'auto', 'both', 'listen', 'marginals', 'three-way', 'gan', "
            "got int",
        ),
    ],
)
def test_a_wrong_type_gets_a_sentence(options, mention):
    with pytest.raises(fedsynth.WrongTypeError) as found:
        fedsynth.fit(FRAME, **options)
    assert str(found.value) == mention
    assert isinstance(found.value, TypeError)
    assert isinstance(found.value, fedsynth.InputError)


@pytest.mark.parametrize(
    ("options", "mention"),
    [
        ({"epsilon": 0}, "epsilon 0: expected a number from 0.01 to 100"),
        ({"epsilon": float("nan")}, "epsilon nan: expected"),
        ({"sites": 0}, "sites 0: expected a whole number from 1 on"),
        ({"sites": 500}, "80 rows cannot be dealt out to 500 sites"),
        ({"target": "none"}, "target none: no such column in the table"),
        ({"variant": "best"}, "variant 'best': expected one of 'auto'"),
        ({"partition": "odd"}, "partition 'odd' is not understood"),
        ({"person_key": "none"}, "none"),
        ({"records_per_site": 0}, "records_per_site 0: expected"),
        ({"max_repaired": 2}, "max_repaired 2: expected a share from 0 to 1"),
        ({"schema": "none.json"}, "none.json"),
        ({"trust": "secure-sum", "sites": 2}, "trust secure-sum: 2 sites; it takes 3 or more"),
    ],
)
def test_a_value_that_does_not_fit_gets_a_sentence(options, mention):
    with pytest.raises(fedsynth.InputError) as found:
        fedsynth.fit(FRAME, **options)
    assert mention in str(found.value)
    assert "--" not in str(found.value)


@pytest.mark.parametrize(
    ("data", "mention"),
    [
        ([1, 2], "data: expected a pandas DataFrame or the path of"),
        (None, "data: expected a pandas DataFrame"),
        (pa.table({"a": [1]}), "data: expected a pandas DataFrame"),
        ({}, "data: the dict names no site"),
        ({"n": [1]}, "data['n']: expected a pandas DataFrame"),
        ({1: FRAME}, "data: expected names of sites that are texts, got int"),
        (FRAME.iloc[:0], "data: the table has no rows"),
        ("none.csv", "none.csv: no such file"),
        ("none.xlsx", "none.xlsx: unknown kind of table"),
        (pd.DataFrame({("a", "b"): [1]}), "data: its columns have several levels"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), "data: two columns are called '1'"),
    ],
)
def test_data_that_is_no_table_gets_a_sentence(data, mention):
    with pytest.raises(fedsynth.InputError) as found:
        fedsynth.fit(data)
    assert str(found.value).startswith(mention)


def test_numbers_of_numpy_are_numbers():
    options = SMALL | {"epsilon": np.float32(5), "sites": np.int64(2)}
    assert len(fedsynth.fit(FRAME, **options).sample(np.int64(3))) == 3


def test_only_keywords_follow_the_data():
    with pytest.raises(TypeError, match="positional"):
        fedsynth.fit(FRAME, 1.0)


@pytest.mark.parametrize(
    ("asked", "mention"),
    [
        ({"n": "5"}, "n: expected a whole number from 1 on or None, got str"),
        ({"n": 0}, "n 0: expected a whole number from 1 on"),
        ({"n": 5, "where": 3}, "where: expected a condition such as 'age>=65'"),
        ({"n": 5, "where": [3]}, "where: expected conditions that are texts"),
        ({"n": 5, "where": "nothing=1"}, "no column 'nothing'"),
        ({"n": 5, "where": {"ward": []}}, "where: column 'ward': expected a list of values"),
        ({"n": 5, "given": FRAME}, "given: completes its own rows"),
        ({"n": 5, "events": 1}, "events: continues given histories"),
        ({"given": 5}, "given: expected a pandas DataFrame"),
        ({"n": 5, "seed": -1}, "seed -1: expected"),
        ({"n": 5, "like": "int"}, "like: expected a pandas DataFrame, got str"),
        ({"n": 5, "rebalance": {"a": 1}}, "rebalance: expected a text, got dict"),
    ],
)
def test_what_cannot_be_drawn_gets_a_sentence(result, asked, mention):
    with pytest.raises(fedsynth.InputError) as found:
        result.sample(**asked)
    assert mention in str(found.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(fedsynth.InputError, match=r"none: no such folder"):
        fedsynth.load(tmp_path / "none")
    with pytest.raises(fedsynth.InputError, match="no generator.safetensors"):
        fedsynth.load(tmp_path)
    with pytest.raises(fedsynth.WrongTypeError, match="folder: expected the path of a folder"):
        fedsynth.load(3)
