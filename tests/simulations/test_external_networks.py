"""Records as CTGAN and TabularARGN see them: nothing lost on the way there and back."""

import numpy as np
import pandas as pd
import pytest

from fedsynth_common.encoding import encode
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
    domains,
)
from fedsynth_simulations.benchmarks.external import NETWORKS, External
from fedsynth_simulations.benchmarks.external_networks import (
    cells_of,
    places,
    synthesise_network,
)

SCHEMA = Schema(
    name="visits",
    columns=(
        NumericColumn(
            name="dose", minimum=0, maximum=900, decimals=1, atoms=(0, 50, 100), nullable=True
        ),
        IntegerColumn(name="age", minimum=18, maximum=90),
        CategoricalColumn(name="ward", categories=("a", "b", "c"), other=True, nullable=True),
        BooleanColumn(name="smoker"),
    ),
)


def table(rows=400):
    rng = np.random.default_rng(0)
    dose = np.where(rng.random(rows) < 0.3, 50.0, rng.uniform(0, 900, rows).round(1))
    return pd.DataFrame(
        {
            "dose": np.where(rng.random(rows) < 0.2, np.nan, dose),
            "age": rng.integers(18, 91, rows),
            "ward": rng.choice(["a", "b", "c", "elsewhere", None], rows),
            "smoker": rng.random(rows) < 0.3,
        }
    )


def test_places_go_there_and_back():
    columns, codes = domains(SCHEMA), encode(table(), SCHEMA).codes
    found = places(codes, columns)
    assert (cells_of(found, columns) == codes).all()
    assert (found[:, 0] == -1).sum() == table().dose.isna().sum() > 0


def test_places_of_a_number_rise_with_its_value():
    frame = table()
    found = places(encode(frame, SCHEMA).codes, domains(SCHEMA))[:, 0]
    known = frame.dose.notna().to_numpy()
    order = np.argsort(frame.dose[known].to_numpy(), kind="stable")
    # an atom has its place before the leaf that it would fall into
    assert np.diff(found[known][order]).min() >= -1


def test_answers_out_of_range_become_the_nearest_cell():
    columns = domains(SCHEMA)
    wild = np.array([[10**6, -1, 99, 5], [-1, 10**6, -3, -1]])
    found = cells_of(wild, columns)
    for j, domain in enumerate(columns):
        assert found[:, j].max() < domain.width
    assert found[1, 0] == columns[0].missing


def test_a_missing_environment_is_named_with_the_command_that_builds_it(tmp_path):
    external = External(str(tmp_path / "env"))
    assert external.networks.folder == str(tmp_path / "env") + NETWORKS
    with pytest.raises(InputError, match=r"external-env .*env --networks"):
        synthesise_network(
            "argn-dp", table(), SCHEMA, epsilon=1.0, delta=1e-5, seed=0, external=external
        )
