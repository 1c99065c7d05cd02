"""Many records: what the benchmark measures is what a vault does, and memory does not grow with them."""

import json

import pytest
from typer.testing import CliRunner

from fedsynth_simulations.benchmarks.cli import app
from fedsynth_simulations.benchmarks.large import run, schema_of, write_table


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_small_large_table(suffix, tmp_path):
    figures = run(3000, 20, suffix, tmp_path)
    assert (figures.rows, figures.columns) == (3000, 20)
    assert figures.encode_seconds > 0 < figures.measure_seconds
    assert 50 < figures.encode_peak_megabytes <= figures.measure_peak_megabytes < 1000
    assert not list(tmp_path.iterdir())


def test_the_tables_schema_has_every_kind_and_takes_every_cell(tmp_path):
    kinds = {column.kind for column in schema_of(20).columns}
    assert kinds == {"numeric", "integer", "categorical", "boolean"}
    write_table(tmp_path / "t.csv", schema_of(3), 70_000)
    with (tmp_path / "t.csv").open() as file:
        assert sum(1 for _ in file) == 70_001


def test_options():
    wrong = CliRunner().invoke(app, ["large", "--format", "xlsx"])
    assert "expected csv or parquet" in str(wrong.exception)
    made = CliRunner().invoke(
        app, ["large", "--rows=500", "--columns=5", "--format=parquet", "--json"]
    )
    assert json.loads(made.stdout)["rows"] == 500


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_memory_does_not_grow_and_time_is_linear(suffix, tmp_path):
    few, many = (run(rows, 50, suffix, tmp_path) for rows in (100_000, 800_000))
    assert many.measure_peak_megabytes < few.measure_peak_megabytes + 150
    assert many.measure_peak_megabytes < 1500
    assert many.encode_seconds < 1.5 * 8 * few.encode_seconds
