"""Errors of what people calculate, on tables whose errors are known by hand."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from fedsynth_common.schema import CategoricalColumn, NumericColumn, Schema
from fedsynth_release.evaluation.features import Features
from fedsynth_release.evaluation.number_errors import number_errors
from fedsynth_release.evaluation.scorecard import Scorecard
from fedsynth_simulations.benchmarks.cell_results import FIGURES

TABLE = Schema(
    name="amounts",
    columns=(
        NumericColumn(name="a", minimum=0, maximum=1000, decimals=2, nullable=True),
        NumericColumn(name="b", minimum=0, maximum=1000, decimals=2),
        NumericColumn(name="c", minimum=0, maximum=1000, decimals=2),
        CategoricalColumn(name="k", categories=("x", "y"), nullable=True),
    ),
    target="k",
)


def rows(count=4000, seed=0):
    rng = np.random.default_rng(seed)
    a = np.exp(rng.normal(3, 0.5, count)).round(2)
    b = np.clip(a + rng.normal(0, 5, count), 0, None).round(2)
    c = rng.uniform(0, 100, count).round(2)
    return pd.DataFrame({"a": a, "b": b, "c": c, "k": rng.choice(["x", "y"], count)})


def errors(real, other, schema=TABLE):
    features = Features.fit(schema, real)
    return number_errors(features.cells(real), features.cells(other), schema)


def test_a_table_has_no_errors_beside_itself():
    found = errors(rows(), rows()).model_dump()
    assert found == dict.fromkeys(found, 0.0)


def test_each_error_is_what_was_done_to_the_table():
    real = rows()
    sd = real["c"].std(ddof=0)
    moved = real.assign(c=real["c"] + sd)
    assert errors(real, moved).mean == pytest.approx(1.0)
    assert errors(real, moved).quantiles == pytest.approx(1 / 3)
    doubled = real.assign(c=2 * real["c"])
    assert errors(real, doubled).sd == pytest.approx(1.0)
    assert errors(real, doubled).p99 == pytest.approx(1.0)
    assert errors(real, real.assign(c=real["c"].where(real.index % 4 > 0, 0.0))).zeros == 0.25
    assert errors(real, real.assign(k=real["k"].where(real.index % 5 > 0))).missing == 0.2
    shuffled = real.assign(b=real["b"].sample(frac=1, random_state=1).to_numpy())
    found = errors(real, shuffled)
    assert found.pearson == pytest.approx(real["a"].corr(real["b"]), abs=0.05)
    assert found.spearman == pytest.approx(real["a"].corr(real["b"], method="spearman"), abs=0.05)


def test_missing_cells_are_left_out_of_the_figures_of_numbers():
    real, other = rows(), rows()
    other["a"] = other["a"].where(other.index % 2 == 0)
    found = errors(real, other)
    assert found.mean < 0.05
    assert found.pearson < 0.05
    assert found.missing == pytest.approx(0.5)


def test_tables_without_numbers_or_without_correlated_pairs_have_no_such_figures():
    schema = Schema(name="k", columns=TABLE.columns[3:])
    assert errors(rows(), rows(), schema) is None
    alone = Schema(name="c", columns=TABLE.columns[1:3])
    found = errors(rows(), rows(seed=1), alone)
    assert found.pearson is None
    assert found.spearman is None


def test_the_card_of_a_benchmark_has_them_under_their_names():
    figures = dict.fromkeys((f.name for f in fields(Scorecard) if f.name != "numbers"), 0.5)
    found = errors(rows(), rows(2000, 2))
    card = Scorecard(**figures, numbers=found).to_dict()
    assert card["number_mean"] == found.mean
    assert card["number_pearson"] == found.pearson
    assert set(card) <= set(FIGURES)
    assert set(Scorecard(**figures, numbers=None).to_dict()) == set(card)
