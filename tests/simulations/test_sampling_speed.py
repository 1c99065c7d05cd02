"""`fedsynth benchmark sampling`: it measures what it says, on any finished generator."""

import json

import numpy as np
import pandas as pd
from small_study import make_generator
from typer.testing import CliRunner

from fedsynth_simulations.benchmarks.cli import app
from fedsynth_simulations.benchmarks.sampling import independent, write

ROWS = 3000


def test_figures_are_printed_for_people_and_for_scripts(tmp_path):
    make_generator().save(tmp_path)
    result = CliRunner().invoke(app, ["sampling", str(tmp_path), "--rows", str(ROWS), "--json"])
    assert result.exit_code == 0
    figures = json.loads(result.stdout)
    assert figures["rows"] == ROWS
    assert figures["drawing_rate"] > 0
    assert figures["rate"] > 0
    assert figures["independent_rate"] > figures["drawing_rate"]
    # ten times the records, the same memory: within what an interpreter's heap varies
    assert figures["peak"] < figures["peak_tenth"] + 50


def test_what_is_timed_writes_all_records(tmp_path):
    write(make_generator(), ROWS, tmp_path / "rows.parquet")
    assert len(pd.read_parquet(tmp_path / "rows.parquet")) == ROWS
    independent(make_generator(), ROWS, np.random.default_rng(0))
