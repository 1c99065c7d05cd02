"""`fedsynth evaluate` as a person runs it: a private file, tables on the terminal, one-line faults."""

import json
import stat

import pytest
from command import fedsynth
from small_study import SCHEMA, make_frame

from fedsynth_release.evaluation import Evaluation


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("train", "test", "made")):
        make_frame(120, seed).to_csv(f"{name}.csv", index=False)
    SCHEMA.save("schema.json")
    return tmp_path


TABLES = ("--real", "train.csv", "--holdout", "test.csv", "--synthetic", "made.csv")
USUAL = (*TABLES, "--schema", "schema.json", "--quick")


def test_a_result_on_the_terminal_and_in_a_private_file(folder):
    done = fedsynth("evaluate", *USUAL, "--out", "e.json", "--epsilon", "1")
    assert (done.returncode, done.stderr) == (0, "")
    for text in ("not differentially private", "fidelity", "utility", "ceiling", "floor", "attack"):
        assert text in done.stdout
    found = Evaluation.load("e.json")
    assert (found.sizes.train, found.settings.epsilon, found.settings.delta) == (120, 1.0, 1e-5)
    assert stat.S_IMODE((folder / "e.json").stat().st_mode) == 0o600
    assert not list(folder.glob("*.part"))


def test_json_is_all_there_is_on_standard_output(folder):
    done = fedsynth("evaluate", *USUAL, "--json", "--no-attacks")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["attacks"] == []
    assert Evaluation.from_json(done.stdout).settings.quick


@pytest.mark.parametrize(
    ("change", "mention"),
    [
        (("--out", "train.csv"), "train.csv: exists"),
        (("--out", "no/where.json"), "folder does not exist"),
        (("--real", "none.csv"), "none.csv: no such file"),
        (("--schema", "train.csv"), "train.csv"),
        (("--synthetic", "other.csv"), "no column"),
        (("--quasi-identifier", "nothing"), "'nothing': not a modelled column"),
    ],
)
def test_bad_input_is_one_line(folder, change, mention):
    (folder / "other.csv").write_text("x\n" + "1\n" * 30)
    done = fedsynth("evaluate", *USUAL, *change)
    assert done.returncode == 2
    assert mention in done.stderr
    assert done.stderr.count("\n") <= 1
    assert "Traceback" not in done.stderr


def test_no_figure_is_cut_in_a_narrow_terminal(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = fedsynth("evaluate", *USUAL).stdout
    assert "…" not in shown
    assert all(len(line) <= 80 for line in shown.splitlines() if line[:1] in "┃│")
    assert "pseudonymised" in shown
