"""A simulated study that is stopped on the way goes on where it was, and no site pays twice."""

import json
from pathlib import Path

import pandas as pd
import pytest
from command import fedsynth
from small_study import make_frame

from fedsynth_server.messages.journal import Journal
from fedsynth_simulations.unfinished import resumable

USUAL = ("t.csv", "--quick", "--epsilon", "3", "--sites", "3", "--variant", "both")


@pytest.fixture(autouse=True)
def table(tmp_path, monkeypatch):
    """A table in an otherwise empty working folder."""
    monkeypatch.chdir(tmp_path)
    make_frame(300).to_csv("t.csv", index=False)


def simulate(*arguments):
    return fedsynth("simulate", *USUAL, "--out", "out", *arguments)


def stop_after(exchanges, monkeypatch):
    """Ctrl-C at the moment when the coordinator has closed so many exchanges."""
    close = Journal.close

    def closing(self, method, step, end):
        close(self, method, step, end)
        if self.exchanges == exchanges:
            raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "close", closing)


@pytest.mark.parametrize("exchanges", [1, 3])
def test_a_stopped_study_goes_on_and_no_site_is_charged_twice(exchanges, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(exchanges, patch)
        run = simulate("--holdout", "0.2")
    assert run.returncode == 130
    assert "the same command with --resume" in run.stderr.replace("The", "the")
    kept = Path("out.unfinished")
    assert kept.stat().st_mode & 0o777 == 0o700
    replies = {file.name: file.read_bytes() for file in (kept / "journal").glob("*.reply")}
    assert replies
    assert not Path("out").exists()

    read = []
    inner = Journal.replies

    def recorded(self, method, step):
        found = inner(self, method, step)
        read.extend(found.values())
        return found

    monkeypatch.setattr(Journal, "replies", recorded)
    run = simulate("--holdout", "0.2", "--resume")
    assert run.returncode == 0, run.stderr
    assert len(read) == len(replies)  # what was answered was taken as it is
    summary = json.loads(Path("out/summary.json").read_text())
    assert f"resumed after {exchanges} finished messages" in summary["notes"]
    assert not kept.exists()
    assert fedsynth("verify", "out/generator").returncode == 0
    whole = fedsynth("simulate", *USUAL, "--out", "whole", "--holdout", "0.2")
    assert whole.returncode == 0
    other = json.loads(Path("whole/summary.json").read_text())
    assert summary["sites"] == other["sites"]  # as many records each, and the same ε


def test_a_stopped_study_is_neither_forgotten_nor_mixed_with_another(monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        assert simulate().returncode == 130
    assert "--resume, or begin again with --force" in simulate().stderr
    told = simulate("--resume", "--partition", "quantity:1").stderr
    assert "how records are dealt out is not what it was" in told
    assert (
        "the plan of the study is not what it was" in simulate("--resume", "--delta", "1e-6").stderr
    )
    pd.read_csv("t.csv").iloc[::-1].to_csv("t.csv", index=False)
    assert "the table is not what it was" in simulate("--resume").stderr
    assert Path("out.unfinished/journal").is_dir()
    assert simulate("--force").returncode == 0
    assert not Path("out.unfinished").exists()


def test_what_cannot_be_resumed_says_so():
    assert "no study was stopped for --out out" in simulate("--resume").stderr
    assert (
        "runs with --seed or on Ray cannot be resumed" in simulate("--resume", "--seed", "1").stderr
    )
    assert fedsynth("simulate", *USUAL, "--out", "out", "--target", "nothing").returncode == 2
    assert sorted(path.name for path in Path().iterdir()) == ["t.csv"]


def test_two_runs_do_not_write_one_result():
    with resumable(Path("out"), Path("t.csv"), {}, resume=False, force=False):
        run = simulate()
    assert run.returncode == 1
    assert "another run is at work in this folder" in run.stderr
    assert [path.name for path in Path().iterdir()] == ["t.csv"]
    assert simulate().returncode == 0
