"""`fedsynth study status` and `page`: what the coordinator may see, by names, in three forms."""

import http.client
import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from command import fedsynth
from small_study import make_small_plan

from fedsynth_common.local_page.metrics import metrics_text
from fedsynth_common.local_page.server import LocalPage
from fedsynth_common.local_page.token import token_of
from fedsynth_server.coordinator.study_facts import LAST_WORDS, NOBODY, TAKEN_UP, StudyWatch
from fedsynth_server.coordinator.study_page import study_view
from fedsynth_server.study.folder import StudyFolder, config_text
from fedsynth_server.study.state import State, StateFile
from fedsynth_server.superlink.control import Courier, RunStatus, UnreachableError
from fedsynth_server.training.curves import FIT, Recorder

PLAN = make_small_plan("marginals", study="covid")
RUN = 7


class Link:
    """Answers as a SuperLink that knows one run and some couriers, or not at all."""

    def __init__(self):
        self.run = RunStatus("running")
        self.known = [Courier(1, PLAN.sites[0], "online"), Courier(2, PLAN.sites[1], "offline")]
        self.up = True

    def status(self, run):
        if not self.up:
            raise UnreachableError("gone")
        return self.run

    def couriers(self):
        if not self.up:
            raise UnreachableError("gone")
        return self.known


@pytest.fixture
def study(tmp_path):
    folder = StudyFolder(tmp_path / "covid")
    folder.path.mkdir()
    folder.plan_file.write_bytes(PLAN.to_json())
    folder.config_file.write_text(config_text("127.0.0.1:1", None, None, PLAN.sites))
    return folder


@pytest.fixture
def at_work(study):
    """A study that fits its generator, and has waited for a site."""
    study.remember_run(RUN)
    state = State(PLAN.study, PLAN.digest, epsilon_planned=PLAN.epsilon, run=str(RUN))
    recorder = Recorder()
    for step in range(50):
        recorder.add(FIT, step, 100.0 / (1 + step))
    progress = StateFile(study.state_file, state)
    progress._recorder = recorder
    progress.seconds["fit generator"] = 20.0
    progress.update("fit generator", 25, 100)
    state.waiting = {PLAN.sites[1]: "its courier is not connected"}
    state.notes = ["round 1: <b>north</b> did not answer"]
    progress.write()
    return study


def facts_of(study, link=None):
    return StudyWatch(study, link or Link()).facts()


def test_a_study_that_was_not_started_shows_who_may_connect(study):
    facts = facts_of(study)
    assert (facts["outcome"], facts["phase"], facts["curves"]) == ("not started", "", [])
    standing = [site["courier"] for site in facts["sites"].values()]
    assert standing[:3] == ["online", "offline", "not admitted"]
    assert "was not started yet" in study_view("t", dict).main(facts)


def test_a_study_at_work_is_shown_by_names_with_what_is_left(at_work):
    facts = facts_of(at_work)
    assert (facts["phase"], facts["step"], facts["of"]) == ("fit generator", 25, 100)
    assert 60 <= facts["seconds_left_in_phase"] < 70
    assert facts["curves"][0]["name"] == "fit"
    text = study_view("t", dict).main(facts)
    assert "step 25 of 100, about 6" in text
    assert "1 of 3 couriers are connected" in text
    assert f"<td>{PLAN.sites[1]}<td>offline" in text
    assert "its courier is not connected" in text
    assert "&lt;b&gt;north" in text
    assert "<b>" not in text
    assert "<polyline" in text


def test_numbers_for_a_monitor(at_work):
    numbers = metrics_text(study_view("t", dict).gauges(facts_of(at_work)))
    lines = dict(line.rsplit(" ", 1) for line in numbers.splitlines() if line[0] != "#")
    assert lines['fedsynth_study_outcome{outcome="running"}'] == "1"
    assert lines['fedsynth_phase_step{phase="fit generator"}'] == "25"
    assert lines[f'fedsynth_site_connected{{site="{PLAN.sites[1]}"}}'] == "0"
    assert lines[f'fedsynth_site_waited_for{{site="{PLAN.sites[1]}"}}'] == "1"
    kinds = [line.split()[2] for line in numbers.splitlines() if line.startswith("# TYPE")]
    assert len(kinds) == len(set(kinds))


def test_a_superlink_that_is_gone_is_said_and_nothing_is_guessed(at_work):
    link = Link()
    link.up = False
    facts = facts_of(at_work, link)
    assert facts["outcome"] == "running"  # the study may go on without this computer
    assert {site["courier"] for site in facts["sites"].values()} == {"not known"}
    assert "The SuperLink does not answer" in study_view("t", dict).main(facts)
    numbers = metrics_text(study_view("t", dict).gauges(facts))
    assert "fedsynth_superlink_up 0" in numbers
    assert "fedsynth_site_connected" not in numbers


def test_a_run_that_died_without_a_word_has_failed(at_work, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("fedsynth_server.coordinator.study_facts.time.monotonic", lambda: clock[0])
    link = Link()
    link.run = RunStatus("finished", "failed", "out of memory")
    watched = StudyWatch(at_work, link)
    assert watched.facts()["outcome"] == "running"
    clock[0] += LAST_WORDS
    facts = watched.facts()
    assert (facts["outcome"], "out of memory" in facts["error"]) == ("failed", True)
    assert facts["seconds_left_in_phase"] is None
    assert "The study failed" in study_view("t", dict).main(facts)


def ago(seconds):
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def test_a_single_look_tells_that_a_run_died_a_while_ago(at_work):
    link = Link()
    link.run = RunStatus("finished", "failed", "", ago(LAST_WORDS + 1))
    facts = facts_of(at_work, link)
    assert facts["outcome"] == "failed"
    assert facts["error"].endswith("continue with: fedsynth study resume")
    link.run = RunStatus("finished", "failed", "", ago(0))
    assert facts_of(at_work, link)["outcome"] == "running"


def test_a_run_that_nobody_takes_up_is_told(study):
    study.remember_run(RUN)
    link = Link()
    link.run = RunStatus("pending", since=ago(TAKEN_UP + 1))
    facts = facts_of(study, link)
    assert (facts["outcome"], facts["warnings"]) == ("running", [NOBODY])
    assert "coordinator start" in study_view("t", dict).main(facts)
    link.run = RunStatus("pending", since=ago(0))
    assert facts_of(study, link)["warnings"] == []


def test_the_command_prints_the_facts(study):
    ended = fedsynth("study", "status", study.path, "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["outcome"], told["superlink"]) == ("not started", False)
    assert set(told) == set(facts_of(study))
    plain = fedsynth("study", "status", study.path)
    assert "SuperLink does not answer" in plain.stdout
    assert PLAN.sites[0] in plain.stdout


def test_the_page_is_for_this_computer_and_the_token(at_work):
    token = token_of(at_work.path / "page.token")
    shown = LocalPage(study_view("covid", StudyWatch(at_work, Link()).facts), token, 0)
    thread = threading.Thread(target=shown.serve, daemon=True)
    thread.start()
    try:
        for path, host, expected in (
            (f"/?token={token}", f"127.0.0.1:{shown.port}", 200),
            (f"/?token={token}", f"evil.example:{shown.port}", 403),
            ("/", f"127.0.0.1:{shown.port}", 401),
        ):
            connection = http.client.HTTPConnection("127.0.0.1", shown.port, timeout=30)
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            assert answer.status == expected
            assert ("covid" in answer.read().decode()) == (expected == 200)
    finally:
        shown.stop()
        thread.join(30)
