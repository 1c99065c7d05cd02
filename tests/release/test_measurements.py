"""measurements.json: post-processing of noisy marginals, checked on reading."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedsynth_common.errors import InputError
from fedsynth_common.schema import BooleanColumn, Schema
from fedsynth_release.measurements import Measurements

SCHEMA = Schema(name="two", columns=(BooleanColumn(name="a"), BooleanColumn(name="b")))


@dataclass(frozen=True)
class Noisy:
    columns: tuple[int, ...]
    frequencies: np.ndarray
    variance: float = 1e-4


def soft(joint):
    """Latents that mix to a joint distribution of two columns: one latent per unit of 0.01."""
    rows = [
        [i == 0, i == 1, j == 0, j == 1]
        for i in range(2)
        for j in range(2)
        for _ in range(round(100 * joint[i][j]))
    ]
    return np.array(rows, dtype=float)


def made(joint, learned=None, variance=1e-4):
    joint = np.array(joint)
    first = [Noisy((0,), joint.sum(1), variance), Noisy((1,), joint.sum(0), variance)]
    probabilities = soft(joint if learned is None else learned)
    return Measurements.of(SCHEMA, 1234.56, [*first, Noisy((0, 1), joint)], probabilities)


DEPENDENT = [[0.4, 0.1], [0.1, 0.4]]
INDEPENDENT = [[0.25, 0.25], [0.25, 0.25]]


def test_distances_are_those_of_the_definition():
    same = made(DEPENDENT)
    assert same.pairs.distance == ((0.0, 0.0), (0.0, 0.0))
    assert same.pairs.dependence == ((0.0, 0.3), (0.3, 0.0))
    other = made(DEPENDENT, learned=INDEPENDENT)
    assert other.pairs.distance[0][1] == pytest.approx(0.3)
    assert made(INDEPENDENT).pairs.dependence[0][1] == 0.0


def test_errors_are_standard_deviations_and_records_are_rounded():
    measured = made(DEPENDENT, variance=4e-4)
    assert measured.columns[0].error == pytest.approx(0.02)
    assert measured.records == 1234.6


def test_without_pairs_there_is_no_matrix():
    first = [Noisy((c,), np.array([0.5, 0.5])) for c in (0, 1)]
    assert Measurements.of(SCHEMA, 10.0, first, soft(INDEPENDENT)).pairs is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 2), min_size=4, max_size=4))
def test_noise_never_leaves_the_simplex(cells):
    noisy = np.array(cells).reshape(2, 2)
    first = [Noisy((0,), noisy.sum(1)), Noisy((1,), noisy.sum(0))]
    found = Measurements.of(SCHEMA, 10.0, [*first, Noisy((0, 1), noisy)], soft(INDEPENDENT))
    for column in found.columns:
        assert min(column.frequencies) >= 0
        assert sum(column.frequencies) == pytest.approx(1.0, abs=1e-5)
    assert 0 <= found.pairs.distance[0][1] <= 1


def test_it_comes_back(tmp_path):
    path = tmp_path / "measurements.json"
    path.write_text(made(DEPENDENT).to_json())
    assert Measurements.load(path) == made(DEPENDENT)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"records":1234.6', '"records":-1'),
        lambda text: text.replace("[0.5,0.5]", "[0.5,0.9]"),
        lambda text: text.replace("[[0.0,0.0],[0.0,0.0]]", "[[0.0,0.0]]"),
        lambda text: text.replace('"format_version":1', '"format_version":2'),
        lambda text: text[:-20],
        lambda text: "",
    ],
    ids=["records", "not a distribution", "not square", "version", "cut", "empty"],
)
def test_damaged_files_are_one_line(tmp_path, change):
    path = tmp_path / "measurements.json"
    before = made(DEPENDENT).to_json()
    path.write_text(change(before))
    assert path.read_text() != before
    with pytest.raises(InputError, match=r"measurements\.json: damaged"):
        Measurements.load(path)
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        Measurements.load(path)
