"""The k-marginal score by hand and against NIST's own numbers; the command on quick studies."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import fedsynth

from fedsynth_common.errors import InputError
from fedsynth_common.tables import read_table
from fedsynth_simulations.benchmarks.k_marginal import k_marginal

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")


def frame(**columns):
    return pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in columns.items()})


def test_the_score_by_hand():
    target = frame(PUMA=["1", "1", "2", "2"], SEX=["1", "2", "1", "2"], DEYE=["1"] * 4)
    assert k_marginal(target, target.iloc[::-1]) == 1000
    one_cell = target.iloc[[0, 0]]  # 1 against 1/4, and nothing against 3/4
    assert k_marginal(target, one_cell) == 500 * (2 - 1.5)
    assert k_marginal(target, target.assign(DEYE="2")) == 0


def test_what_is_left_out_and_what_is_missing():
    target = frame(PUMA=["1"] * 4, INDP=list("abcd"), SEX=["1", "N", "1", "N"], DEYE=["1"] * 4)
    drawn = target.assign(INDP="z", SEX=["1", None, "1", None])
    assert k_marginal(target, drawn) == 1000
    with pytest.raises(InputError, match="'SEX'"):
        k_marginal(target, drawn.drop(columns="SEX"))
    with pytest.raises(InputError, match="no rows"):
        k_marginal(target, drawn.iloc[:0])


def test_numbers_are_cut_at_twentieths_of_the_target():
    ages = np.arange(40)
    target = frame(PUMA=["1"] * 40, AGEP=ages.astype(str), SEX=["1"] * 40)
    # the bins are 0, 1 to 2, 3 to 4 and so on, since ranks start at one
    near, far = np.minimum((ages + 1) // 2 * 2, 39), np.maximum(ages - 20, 0)
    assert k_marginal(target, target.assign(AGEP=near.astype(str))) == 1000
    assert k_marginal(target, target.assign(AGEP=far.astype(str))) == 500


def test_above_the_ratio_is_a_bin_of_its_own():
    ratios = [*map(str, range(0, 500, 5)), *["501"] * 100]
    target = frame(PUMA=["1"] * 200, POVPIP=ratios, SEX=["1"] * 200)
    beyond = target.assign(POVPIP=[r if r != "501" else "499" for r in ratios])
    assert k_marginal(target, target.assign(POVPIP=[*ratios[:100], *["501"] * 100])) == 1000
    assert k_marginal(target, beyond) == 1000, "all above the largest ratio are in the last bin"


@needs_data
def test_a_subsample_scores_what_nist_prints():
    real = read_table(DATA / "nist_acs_ma2019.csv.gz")
    scores = [k_marginal(real, real.sample(frac=0.4, random_state=seed)) for seed in range(3)]
    assert 925 <= min(scores) <= max(scores) <= 945


@needs_data
def test_the_command_prints_a_row_for_every_study():
    ask = (
        "benchmark",
        "published",
        "nist",
        "--data",
        DATA,
        "--epsilon",
        1,
        "--sites",
        2,
        "--quick",
    )
    told = fedsynth(*ask, "--json")
    assert told.returncode == 0, told.stderr
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert [row["epsilon"] for row in rows] == [0.0, 1.0]
    assert 300 < rows[1]["figures"]["k_marginal"] < rows[0]["figures"]["k_marginal"]
    lost = fedsynth("benchmark", "published", "heterofedsyn", "--data", DATA / "none")
    assert lost.returncode == 2
    assert "adult.csv.gz" in lost.stderr
