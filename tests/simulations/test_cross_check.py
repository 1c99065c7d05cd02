"""Our figures are SDMetrics' and Anonymeter's, where those are installed."""

from pathlib import Path

import pytest

from fedsynth_common.errors import InputError
from fedsynth_simulations.benchmarks.cross_check import FOLDER, cross_check
from fedsynth_simulations.benchmarks.external import External
from fedsynth_simulations.benchmarks.tables import find, load

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
ENVIRONMENT = ROOT / FOLDER


@pytest.mark.slow
def test_figures_agree():
    if not External(str(ENVIRONMENT)).python.is_file():
        pytest.skip(f"no {FOLDER}: build it with `fedsynth benchmark cross-check-env`")
    if not (DATA / "adult.csv.gz").is_file():
        pytest.skip("the data folder is not here")
    found = cross_check(load(find("adult", DATA, None, False)), ENVIRONMENT)
    assert {row.library for row in found} == {"sdmetrics", "anonymeter"}
    assert len(found) > 60
    assert [row for row in found if not row.agrees] == []


def test_a_missing_environment_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "1,x\n2,y\n" * 40)
    table = load(find(str(tmp_path / "t.csv"), tmp_path, None, False))
    with pytest.raises(InputError, match="cross-check-env"):
        cross_check(table, tmp_path / "nowhere")
