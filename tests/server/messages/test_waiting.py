"""`watch` names sites and says what it waits for; times add up over all runs of a study."""

import json
from functools import partial

import pytest
from flwr.proto.node_pb2 import NodeInfo
from small_study import make_frames, make_small_plan

from fedsynth_common.errors import ErrorCode, FedsynthError
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_server.cli.watching import _Lines
from fedsynth_server.messages.exchange import Exchange, Timing, answered
from fedsynth_server.messages.session import Session
from fedsynth_server.messages.waiting import (
    ANOTHER_KEY,
    NO_KEY,
    NOT_CONNECTED,
    NOT_SENT,
    NOT_SIGNED,
    NOT_THE_NAMED_KEY,
    in_words,
    listed,
)
from fedsynth_server.progress import StudyProgress
from fedsynth_server.study.state import State, StateFile, begin_anew
from fedsynth_simulations.federation import in_process

PLAN = make_small_plan("marginals")
NAMES = {2: "north", 3: "south", 4: "west"}


class Told(StudyProgress):
    """Remembers what the study waited for."""

    def __init__(self):
        super().__init__()
        self.waits, self.stages = [], []

    def waiting(self, sites):
        self.waits.append(dict(sites))

    def update(self, phase, done, total, note=""):
        self.stages.append((phase, done))


@pytest.fixture
def grid():
    """Nodes that were registered by name, as on a SuperLink."""
    made = in_process(make_frames(), PLAN, 1)
    made.get_nodes = lambda: [
        NodeInfo(node_id=node, name=NAMES.get(node, "")) for node in made.get_node_ids()
    ]
    return made


def session(grid, **timing):
    told = Told()
    return Session(
        PLAN, grid, Timing(**{"deadline": 5.0, "poll": 0.01, **timing}), progress=told
    ), told


def refusing(grid, node, code):
    """The vault of one node answers with a code alone."""
    original = grid._app

    def app(message, context):
        reply = original(message, context)
        if message.metadata.dst_node_id == node:
            refused = pb.EnrollReply(status=code).SerializeToString()
            reply.content.config_records["reply"]["body"] = refused
        return reply

    grid._app = app


def test_a_site_that_has_not_approved_is_named_with_the_time_of_the_next_question(grid):
    refusing(grid, 3, "ERR_PLAN")
    made, told = session(grid, gather=0.3, quorum=2)
    made.enroll()
    assert made.enrolment.refused == {"south": "ERR_PLAN"}
    assert "enroll: south: ERR_PLAN" in made.notes
    (said,) = {words for waits in told.waits for words in waits.values() if "approved" in words}
    assert said == f"{in_words('ERR_PLAN')}; asked again in 60 s"


def test_a_site_that_is_not_connected_is_named(grid):
    grid.down.add(3)
    made, told = session(grid, gather=0.2)
    with pytest.raises(FedsynthError) as failed:
        made.enroll()
    assert str(failed.value) == "2 of 3 sites are connected; not connected: south; gave up waiting"
    assert {"south": in_words(NOT_CONNECTED)} in told.waits
    assert told.waits[-1] == {}
    assert told.stages[0] == (
        "enrol sites",
        0,
    )  # the wait belongs to this stage and not to the start


def test_without_names_nothing_is_guessed(grid):
    grid.get_nodes = lambda: [NodeInfo(node_id=node) for node in grid.get_node_ids()]
    grid.down.add(3)
    made, told = session(grid, gather=0.2)
    with pytest.raises(FedsynthError, match="^2 of 3 sites are connected; gave up waiting$"):
        made.enroll()
    assert {"south": "not enrolled yet"} in told.waits


def test_a_site_that_refuses_does_not_end_the_time_of_the_others(grid):
    """South refuses at once while west is still thinking: west has its time and enrols."""
    refusing(grid, 3, "ERR_PLAN")
    pull, looks, kept = grid.pull_messages, [0], {}

    def keeping(message_ids):
        """What was held back is given out later."""
        for message in pull(message_ids):
            kept[message.metadata.reply_to_message_id] = message
        looks[0] += 1
        out = [m for m in kept.values() if looks[0] > 5 or m.metadata.src_node_id != 4]
        for message in out:
            del kept[message.metadata.reply_to_message_id]
        return out

    grid.pull_messages = keeping
    made, _ = session(grid, gather=0.5, quorum=2)
    made.enroll()
    assert set(made.enrolment.nodes) == {"north", "west"}
    assert made.enrolment.refused == {"south": "ERR_PLAN"}


def test_a_dead_vault_is_told_at_the_first_answer(grid):
    told = []
    body = pb.MeasureReply(status="ERR_UNAVAILABLE").SerializeToString()
    original = grid._app

    def app(message, context):
        reply = original(message, context)
        reply.content.config_records["reply"]["body"] = body
        return reply

    grid._app = app
    exchange = Exchange(
        grid,
        Timing(deadline=0.3, poll=0.01, retry=5.0),
        "measure",
        {"south": b""},
        {"south": 3}.get,
        partial(answered, pb.MeasureReply),
        tell=told.append,
    )
    assert exchange.run(1).failed == {"south": "ERR_UNAVAILABLE"}
    words = in_words("ERR_UNAVAILABLE")
    assert {"south": f"{words}; asked again in 5 s"} in told
    assert told[-1] == {}


@pytest.mark.parametrize(
    "reason",
    [
        *(code.value for code in ErrorCode if code != ErrorCode.OK),
        *(f"flower error {number}" for number in (2, 5, 8)),
        *(NOT_CONNECTED, NOT_SENT, ANOTHER_KEY, NO_KEY, NOT_SIGNED, NOT_THE_NAMED_KEY),
    ],
)
def test_what_a_person_must_mend_is_told_with_what_to_do(reason):
    assert ", so " in in_words(reason)
    assert ";" not in in_words(reason)  # what follows is when the site is asked again
    assert f"north: {reason}" in listed({"north": reason})


# --- the state file and what is printed of it -----------------------------------------------------


def test_seconds_add_up_however_small_each_is(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("fedsynth_server.study.state.time.monotonic", lambda: now[0])
    progress = StateFile(tmp_path / "state.json", State("s", "p"))
    progress.update("fit generator", 0, 1000)
    for step in range(1, 1001):
        now[0] += 0.01
        progress.update("fit generator", step, 1000)
    assert progress.spent()["fit generator"] == 10.0


def test_the_seconds_of_earlier_runs_count_and_nothing_else_of_them(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("fedsynth_server.study.state.time.monotonic", lambda: now[0])
    path = tmp_path / "state.json"
    for seconds in (7.0, 5.0):
        progress = StateFile(path, State("s", "p", run="1"))
        progress.update("rounds", 0, 10)
        now[0] += seconds
        progress.end("failed", "killed")
        begin_anew(path)
    state = State.read(path)
    assert state.seconds["rounds"] == 12.0
    assert (state.outcome, state.run, state.error) == ("running", "", "")
    other = StateFile(path, State("s", "another plan"))
    assert other.spent().get("rounds") is None


def test_the_state_says_for_whom_it_waits_and_forgets_it_at_the_end(tmp_path):
    path = tmp_path / "state.json"
    progress = StateFile(path, State("s", "p"))
    progress.waiting({"south": "its courier is not connected; asked again in 5 s"})
    assert State.read(path).waiting == {"south": "its courier is not connected; asked again in 5 s"}
    progress.end("finished")
    assert json.loads(path.read_text())["waiting"] == {}


def test_a_note_is_printed_when_it_is_new_though_nothing_else_is(capsys):
    shown = _Lines(as_json=False)
    for notes in ([], ["no SuperExec"], ["no SuperExec"]):
        shown.show(State("s", "p", stage="SuperLink: pending", notes=notes))
    assert capsys.readouterr().out.count("note: no SuperExec") == 1


def test_a_reason_is_printed_once_and_not_once_a_second(capsys):
    shown = _Lines(as_json=False)
    for second in (5, 4, 3):
        waiting = {"south": f"its courier is not connected; asked again in {second} s"}
        shown.show(State("s", "p", waiting=waiting))
    shown.show(State("s", "p"))
    shown.show(State("s", "p", waiting={"west": "the plan is not approved there"}))
    printed = [line for line in capsys.readouterr().out.splitlines() if "waiting" in line]
    assert printed == [
        "  waiting for south: its courier is not connected; asked again in 5 s",
        "  waiting for west: the plan is not approved there",
    ]
