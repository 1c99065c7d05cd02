"""The Python side of `fedsynth simulate`: plans from public sizes, results, refusals, data sets."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from small_study import SCHEMA, make_frame, make_frames

from fedsynth_common.encoding import encode
from fedsynth_common.errors import InputError
from fedsynth_common.schema import CategoricalColumn, IntegerColumn, Schema
from fedsynth_common.tables import read_table
from fedsynth_release.drafting.draft import draft_schema
from fedsynth_release.statement.promises import REHEARSAL
from fedsynth_simulations import partition as partitions
from fedsynth_simulations.partition import partition
from fedsynth_simulations.simulate import (
    Simulation,
    declared_size,
    quick,
    simulate,
    simulation_plan,
)

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
SMALL = quick(Simulation(variant="marginals", epsilon=3.0))


@pytest.mark.parametrize("rows", [1, 3, 42, 230, 999, 7800, 90_000, 10**7])
def test_a_declared_size_is_within_a_factor_and_tells_no_count(rows):
    size = declared_size(rows)
    assert str(size)[0] in "125"
    assert set(str(size)[1:]) <= {"0"}
    assert 0.5 <= size / rows <= 2


def test_the_plan_depends_on_sizes_only_through_their_order_of_magnitude():
    plans = [simulation_plan(make_frames(rows), SCHEMA, SMALL).digest for rows in (400, 420, 4000)]
    assert plans[0] == plans[1] != plans[2]


def test_a_plan_of_a_declared_size_does_not_depend_on_the_records():
    declared = replace(SMALL, records_per_site=300)
    plans = [simulation_plan(make_frames(rows), SCHEMA, declared) for rows in (40, 400, 4000)]
    assert len({plan.digest for plan in plans}) == 1
    assert plans[0].records_per_site == 300
    assert (SMALL.caveats, declared.caveats) == ((REHEARSAL,), ())
    assert replace(declared, pooled=True).caveats == (REHEARSAL,)


def test_a_result_holds_what_was_written(tmp_path):
    result = simulate(make_frames(), SCHEMA, SMALL, tmp_path)
    assert {s.site for s in result.generator.statement.sites} == {"north", "south", "west"}
    assert not result.generator.statement.private  # no size was declared
    assert (tmp_path / "generator" / "generator.safetensors").is_file()
    assert result.seconds > 0
    assert result.outcome.bytes_per_site > 0


def test_quick_changes_effort_and_nothing_about_privacy():
    full = Simulation(epsilon=2.0, delta=1e-6, variant="gan", seed=4)
    small = quick(full)
    assert small.settings.fit_steps < full.settings.fit_steps
    assert replace(small, rounds=full.rounds, settings=full.settings) == full


@pytest.mark.parametrize("rows", [0, 1])
def test_a_site_without_records_is_refused_before_anything_is_written(rows, tmp_path):
    frames = make_frames() | {"south": make_frame().head(rows)}
    with pytest.raises(InputError, match="south"):
        simulate(frames, SCHEMA, SMALL, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_records_are_enough(tmp_path):
    frames = {site: frame.head(2) for site, frame in make_frames().items()}
    result = simulate(frames, SCHEMA, SMALL, tmp_path)
    assert len(result.generator.sample(50, seed=1)) == 50


ONE = CategoricalColumn(name="c", categories=("x", "y"), other=False)


@pytest.mark.parametrize("variant", ["both", "marginals", "gan"])
@pytest.mark.parametrize("columns", [1, 2])
def test_the_narrowest_tables(columns, variant, tmp_path):
    constant = IntegerColumn(name="k", minimum=3, maximum=3)
    schema = Schema(name="narrow", columns=(ONE, constant)[:columns])
    frame = pd.DataFrame({"c": ["x", "y", "x"] * 40, "k": ["3"] * 120}, dtype="str")
    frames = dict.fromkeys("ab", frame[[c.name for c in schema.columns]])
    result = simulate(frames, schema, replace(SMALL, variant=variant, epsilon=8.0), tmp_path)
    rows = result.generator.sample(400, seed=2)
    assert (rows["c"] == "x").mean() == pytest.approx(2 / 3, abs=0.15)


TABLES = {
    "heart_disease": ("num", "hospital"),
    "oulad_clean": ("final_result", "region"),
    "support2": ("hospdead", None),
    "credit_default_taiwan": ("default payment next month", None),
    "adult": ("income", None),
    "diabetes130": ("readmitted", None),
}
BIG = {"support2", "credit_default_taiwan", "adult", "diabetes130"}


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared tables are not here")
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in BIG else []) for n in TABLES]
)
def test_a_real_table_goes_through(name, tmp_path, rng):
    target, site_column = TABLES[name]
    frame = read_table(DATA / f"{name}.csv.gz")
    frames = partition(frame, 5, "iid", rng, site_column=site_column)
    pooled = pd.concat(frames.values(), ignore_index=True)
    schema = draft_schema(pooled, name, target=target)
    result = simulate(frames, schema, quick(Simulation(epsilon=3.0)), tmp_path)
    rows = result.generator.sample(1000, seed=1)
    assert encode(rows, schema).codes.shape == (1000, len(schema.modelled))
    assert len(result.generator.statement.sites) == len(frames)
    assert all(s.status == "complete" for s in result.generator.statement.sites)
    assert 0 < result.generator.statement.epsilon_if_people_are_at_one_site_only <= 3.0
    assert not result.generator.statement.private  # the schema was drafted
    common = pooled[target].value_counts(normalize=True).iloc[0]
    assert rows[target].notna().any()
    assert 0 < common <= 1


def test_the_shipped_schema_makes_no_credits_that_nobody_can_have():
    """Credits are multiples of five in the real table; without a step most drawn ones were not."""
    schema = Schema.load(Path(partitions.__file__).parent / "schemas/oulad_clean.json")
    (points,) = (column for column in schema.columns if column.name == "studied_credits")
    assert (points.step, points.minimum % 5) == (5, 0)


@pytest.fixture
def rng():
    import numpy as np

    return np.random.default_rng(0)


def test_the_rows_of_a_person_are_dealt_to_one_site():
    """Else the ε of several sites would add up for a person."""
    from fedsynth_release.drafting.wishes import Wishes
    from fedsynth_simulations.site_tables import Division, divided

    rows = pd.DataFrame({"who": [f"p{k}" for k in range(90)] * 3, "x": [k % 7 for k in range(270)]})
    tables = divided(rows, "t", None, Division(sites=3), Wishes(person_key="who"))
    persons = [set(frame["who"]) for frame in tables.sites.values()]
    assert sum(map(len, persons)) == len(set.union(*persons)) == 90
    assert tables.schema.rows_per_person == 3
