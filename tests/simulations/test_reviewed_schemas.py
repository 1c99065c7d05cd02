"""The reviewed schemas that are shipped: valid, true of the real tables, and kept by studies on them."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import fedsynth_simulations
from fedsynth_common.encoding import encode, rule_violations
from fedsynth_common.schema import Schema
from fedsynth_common.tables import read_table
from fedsynth_release.schema_files.code_list import read_code_list
from fedsynth_release.schema_files.json_schema import json_schema
from fedsynth_simulations.benchmarks.conditional import compare
from fedsynth_simulations.benchmarks.published import NIST
from fedsynth_simulations.benchmarks.tables import KNOWN
from fedsynth_simulations.partition import partition
from fedsynth_simulations.simulate import Simulation, quick, simulate

SCHEMAS = Path(fedsynth_simulations.__file__).parent / "schemas"
DATA = Path(__file__).parents[2].parent / "shared" / "data"
TABLES = sorted(name for name, known in KNOWN.items() if known.reviewed)
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")


def schema_of(name: str) -> Schema:
    return Schema.load(SCHEMAS / f"{name}.json")


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_every_shipped_schema_is_declared_described_and_valid_json_schema(path):
    schema = Schema.load(path)
    assert schema.origin == "declared"
    assert all(column.description for column in schema.columns)
    text = path.read_text(encoding="utf-8")
    jsonschema.Draft202012Validator(json_schema()).validate(json.loads(text))
    assert schema.to_json() == text


@pytest.mark.parametrize("name", TABLES)
def test_the_target_is_the_one_of_the_benchmark(name):
    assert schema_of(name).target == KNOWN[name].target


def test_the_diagnoses_are_those_of_the_shipped_code_list():
    parents = read_code_list(SCHEMAS / "icd9_chapters.csv")
    for number in (1, 2, 3):
        column = schema_of("diabetes130").column(f"diag_{number}")
        assert dict(zip(column.categories, column.parents, strict=True)) == parents


@needs_data
@pytest.mark.parametrize("name", [*TABLES, NIST])
def test_no_real_record_breaks_a_rule_or_a_bound(name):
    schema, frame = schema_of(name), read_table(DATA / f"{name}.csv.gz")
    repairs = encode(frame, schema).repairs
    assert sum(counts.clamped + counts.unparsable for counts in repairs.values()) == 0
    assert sum(counts.unknown for counts in repairs.values()) <= 1  # one code of a later revision
    assert sum(rule_violations(frame, schema).values()) == 0


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_a_quick_study_breaks_no_rule_in_many_records(name, tmp_path):
    """A million records."""
    schema, frame = schema_of(name), read_table(DATA / f"{name}.csv.gz")
    frames = partition(frame, 3, "iid", np.random.default_rng(0))
    simulation = quick(Simulation(variant="marginals", seed=1))
    generator = simulate(frames, schema, simulation, tmp_path).generator
    broken = sum(
        sum(rule_violations(part, schema).values()) for part in generator.stream(1_000_000, seed=1)
    )
    assert broken == 0


@needs_data
@pytest.mark.slow
def test_conditional_records_are_as_close_to_the_real_ones_as_filtered_ones(tmp_path):
    """Every declared value of Adult with more than 500 real rows, two-way TVD."""
    schema, frame = schema_of("adult"), read_table(DATA / "adult.csv.gz")
    frames = partition(frame, 3, "iid", np.random.default_rng(0))
    simulation = quick(Simulation(variant="marginals", seed=1))
    generator = simulate(frames, schema, simulation, tmp_path).generator
    figures = list(compare(generator, frame))
    assert len(figures) >= 45
    excess = np.array([figure.conditional - figure.filtered for figure in figures])
    assert abs(excess.mean()) < 0.001
    assert excess.max() < 0.01


@needs_data
@pytest.mark.slow
def test_pooled_records_can_be_drawn_per_hospital(tmp_path):
    schema, frame = schema_of("heart_disease"), read_table(DATA / "heart_disease.csv.gz")
    frames = partition(
        frame, 4, "iid", np.random.default_rng(0), site_column="hospital", publish=True
    )
    assert sorted(frames) == ["cleveland", "hungarian", "switzerland", "va"]
    simulation = Simulation(variant="marginals", seed=1, epsilon=10.0)
    generator = simulate(frames, schema, simulation, tmp_path).generator
    drawn = generator.sample(5000, seed=1, where="hospital=switzerland")
    assert drawn["chol"].isna().all()
    everywhere = generator.sample(5000, seed=1)
    sick = [(part["num"] != "0").mean() for part in (drawn, everywhere)]
    assert sick[0] > sick[1] + 0.1  # 94 % against 55 % in the real records
