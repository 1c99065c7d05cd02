"""Declared analyses: known answers, what carries over, and who may see it."""

import numpy as np
import pandas as pd
import pytest
from command import fedsynth
from small_evaluation import make_evaluation
from small_study import SCHEMA as CLINIC
from small_study import make_generator

from fedsynth_common.errors import InputError
from fedsynth_common.schema import BooleanColumn, CategoricalColumn, NumericColumn, Schema
from fedsynth_common.schema.columns import IdColumn
from fedsynth_release.evaluation import Evaluation
from fedsynth_release.evaluation.analyses.comparison import conclusion_of, interval_overlap
from fedsynth_release.evaluation.analyses.declared import read_analyses
from fedsynth_release.evaluation.analyses.run import run_analyses
from fedsynth_release.report.page import render

pytest.importorskip("statsmodels", reason="the extra `analyses` is not installed")

SCHEMA = Schema(
    name="people",
    columns=(
        NumericColumn(name="age", minimum=0, maximum=100, decimals=1),
        NumericColumn(name="months", minimum=0, maximum=1000, decimals=2),
        CategoricalColumn(name="arm", categories=("a", "b", "c"), other=False, nullable=True),
        BooleanColumn(name="died"),
    ),
)
FILE = """
[[analyses]]
name = "age by arm"
kind = "means"
outcome = "age"
by = "arm"

[[analyses]]
name = "deaths"
kind = "proportions"
outcome = "died"

[[analyses]]
name = "age"
kind = "linear"
outcome = "age"
terms = ["arm"]

[[analyses]]
name = "death"
kind = "logistic"
outcome = "died"
terms = ["age", "arm"]

[[analyses]]
name = "survival"
kind = "cox"
time = "months"
event = "died"
terms = ["age", "arm"]
"""


def people(seed, n=3000, effect=1.0):
    """People of arm b are 5 years older; age and arm b raise the hazard by known factors."""
    rng = np.random.default_rng(seed)
    arm = rng.choice(["a", "b"], n)
    age = np.clip(rng.normal(50, 8, n) + 5 * (arm == "b"), 0, 100).round(1)
    hazard = np.exp(effect * (0.05 * (age - 50) + 0.7 * (arm == "b")))
    time, end = rng.exponential(40 / hazard), rng.uniform(10, 60, n)
    died = np.where(time < end, "true", "false")
    months = np.minimum(time, end).round(2)
    return pd.DataFrame({"age": age, "months": months, "arm": arm, "died": died})


def results(folder, real, made, text=FILE, schema=SCHEMA):
    (folder / "model.toml").write_text(text)
    found = run_analyses(read_analyses(folder / "model.toml", schema), real, made, schema)
    return {one.name: one for one in found}


def test_estimates_are_the_known_ones(tmp_path):
    found = results(tmp_path, people(0), people(1))
    (arm,) = found["age"].conclusions
    assert arm.term == "arm = b (against a)"
    assert arm.real.low < 5 < arm.real.high
    age, arm = found["survival"].conclusions
    assert age.real.low < 0.05 < age.real.high
    assert arm.real.low < 0.7 < arm.real.high
    real = people(0)
    group = real[real["arm"] == "a"]["age"]
    mean = found["age by arm"].conclusions[0]
    half = 1.9602 * group.std() / len(group) ** 0.5
    assert mean.real.value == pytest.approx(group.mean())
    assert mean.real.high - mean.real.value == pytest.approx(half, rel=0.01)
    share = found["deaths"].conclusions[0]
    assert share.real.value == pytest.approx((real["died"] == "true").mean())
    assert {one.verdict for name in found for one in found[name].conclusions} <= {
        "holds",
        "partly",  # intervals of two samples may overlap by less than half
    }


def test_what_is_lost_invented_and_turned_is_told(tmp_path):
    real, shuffled = people(0), people(1)
    shuffled["age"] = shuffled["age"].sample(frac=1, random_state=0).to_numpy()
    lost = results(tmp_path, real, shuffled)["age"].conclusions[0]
    invented = results(tmp_path, shuffled, real)["age"].conclusions[0]
    turned_rows = people(1)
    turned_rows["arm"] = turned_rows["arm"].map({"a": "b", "b": "a"})
    turned = results(tmp_path, real, turned_rows)["age"].conclusions[0]
    assert [one.verdict for one in (lost, invented, turned)] == ["does not hold"] * 3
    assert "is lost" in lost.sentence
    assert "is invented" in invented.sentence
    assert "opposite" in turned.sentence
    assert (turned.same_sign, turned.same_significance) == (False, True)


def test_overlap_is_that_of_karr():
    assert interval_overlap((0, -1, 1), (0, -1, 1)) == 1
    assert interval_overlap((0, -2, 2), (0, -1, 1)) == pytest.approx(0.75)
    assert interval_overlap((0, -1, 1), (0, 0, 0)) is None
    far = conclusion_of("x", (2.0, 1.0, 3.0), (9.0, 8.0, 10.0), level=False)
    assert (far.verdict, far.overlap) == ("partly", -2.5)


def test_rare_levels_and_missing_cells_leave_both_tables(tmp_path):
    real, made = people(0), people(1)
    real.loc[:4, "arm"] = "c"
    real.loc[10:19, "age"] = None
    found = results(tmp_path, real, made)["death"]
    assert found.left_out == ("arm = c",)
    assert (found.missing_real, found.missing_synthetic) == (10, 0)
    assert found.rows_real == 3000 - 15
    assert [one.term for one in found.conclusions] == ["age", "arm = b (against a)"]


def test_a_model_that_cannot_be_fitted_is_unknown(tmp_path):
    real, made = people(0), people(1)
    made["died"] = "false"
    conclusions = results(tmp_path, real, made)["death"].conclusions
    assert {one.verdict for one in conclusions} == {"unknown"}
    assert all("the same outcome" in one.sentence for one in conclusions)


def test_rows_of_one_person_are_no_evidence_of_their_own(tmp_path):
    """Each person ten times over: the interval stays that of the persons."""
    schema = SCHEMA.model_copy(
        update={"columns": (IdColumn(name="id"), *SCHEMA.columns), "person_key": "id"}
    )
    schema = Schema.from_json(schema.model_copy(update={"rows_per_person": 10}).to_json())
    one = people(0, 400)
    one.insert(0, "id", np.arange(400))
    ten = pd.concat([one] * 10, ignore_index=True)
    for name in ("age by arm", "deaths", "age", "death"):
        few = results(tmp_path, one, one, schema=schema)[name].conclusions[0].real
        many = results(tmp_path, ten, ten, schema=schema)[name].conclusions[0].real
        assert many.value == pytest.approx(few.value)
        assert many.high - many.low == pytest.approx(few.high - few.low, rel=0.15)


@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ("[[analyses]]\nname='x'\nkind='means'\noutcome='arm'", "a column of numbers"),
        ("[[analyses]]\nname='x'\nkind='means'\noutcome='age'\nby='age'", "a category"),
        ("[[analyses]]\nname='x'\nkind='linear'\noutcome='age'\nterms=['nobody']", "'nobody'"),
        ("[[analyses]]\nname='x'\nkind='linear'\noutcome='age'\nterms=['age']", "another column"),
        ("[[analyses]]\nname='x'\nkind='proportions'\noutcome='arm'", "which values count as yes"),
        (
            "[[analyses]]\nname='x'\nkind='proportions'\noutcome='arm'\nvalues=['z']",
            "'z' is not one of its categories",
        ),
        ("[[analyses]]\nname='x'\nkind='magic'", "'kind' must be one of"),
        ("analyses = []", "1 or more entries"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, text, mention):
    (tmp_path / "model.toml").write_text(text)
    with pytest.raises(InputError, match="model.toml") as refused:
        read_analyses(tmp_path / "model.toml", SCHEMA)
    assert mention in str(refused.value)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("train", "test", "made")):
        people(seed, 300).to_csv(f"{name}.csv", index=False)
    SCHEMA.save("schema.json")
    (tmp_path / "model.toml").write_text(FILE)
    return tmp_path


TABLES = ("--real=train.csv", "--holdout=test.csv", "--synthetic=made.csv", "--schema=schema.json")


def test_the_command_prints_and_keeps_verdicts(folder):
    done = fedsynth(
        "evaluate", *TABLES, "--quick", "--no-attacks", "--analysis=model.toml", "--out=e.json"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "analysis: survival" in done.stdout
    assert "conclusions hold" in done.stdout
    assert [one.kind for one in Evaluation.load("e.json").analyses] == [
        "means",
        "proportions",
        "linear",
        "logistic",
        "cox",
    ]


def test_a_bad_file_is_told_before_anything_is_computed(folder):
    (folder / "model.toml").write_text("analyses = 3")
    done = fedsynth("evaluate", *TABLES, "--analysis=model.toml")
    assert done.returncode == 2
    assert "model.toml" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.privacy
def test_analyses_are_in_the_internal_report_only(tmp_path):
    (tmp_path / "generator").mkdir()
    make_generator().save(tmp_path / "generator")
    found = tuple(results(tmp_path, people(0, 300), people(1, 300)).values())
    evaluation = make_evaluation(CLINIC).model_copy(update={"analyses": found})
    internal = render(tmp_path / "generator", evaluation)
    assert "Which conclusions carry over" in internal
    assert "Do not publish this page" in internal
    assert "conclusions carry over" not in render(tmp_path / "generator")
