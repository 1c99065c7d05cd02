"""Exchange: replies go to who sent them, late ones nowhere, and failures keep their codes."""

import time
from functools import partial

import httpx
import pytest
from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from fedsynth_common.errors import FedsynthError
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_server.messages.exchange import KINDS, Exchange, Timing, answered, require_quorum

NODES = {"north": 11, "south": 12, "west": 13}


@pytest.fixture(autouse=True)
def _flower_process(monkeypatch):
    """Messages can only be made inside a Flower process: these names make this one look like it."""
    for name in ("_run_id", "_task_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


class Wire(Grid):
    """A grid whose nodes answer what a test tells them to, after a number of polls."""

    def __init__(self, answers, polls=0, nodes=tuple(NODES.values())):
        self.answers, self.polls, self.nodes = answers, polls, nodes
        self.sent, self.ready = {}, []

    def set_run(self, run):
        pass

    @property
    def run(self):
        raise NotImplementedError

    def create_message(self, *args, **kwargs):
        raise NotImplementedError

    def get_node_ids(self):
        return self.nodes

    def push_messages(self, messages):
        numbers = []
        for number, message in enumerate(messages):
            message.metadata.__dict__["_message_id"] = f"m{number}"
            self.sent[f"m{number}"] = message
            numbers.append(f"m{number}")
        return numbers

    def pull_messages(self, message_ids):
        self.polls -= 1
        if self.polls >= 0:
            return []
        waiting = [i for i in reversed(list(message_ids)) if self._answer(i) is not None]
        return [self._reply(i) for i in waiting]

    def _answer(self, number):
        return self.answers.get(self.sent[number].metadata.dst_node_id)

    def _reply(self, number):
        answer = self._answer(number)
        if isinstance(answer, Error):
            return Message(answer, reply_to=self.sent[number])
        return Message(answer, reply_to=self.sent[number])

    def send_and_receive(self, messages, *, timeout=None):
        raise NotImplementedError


def good(counts):
    return body(pb.MeasureReply(status="OK", counts=counts).SerializeToString())


def body(data):
    return RecordDict({"reply": ConfigRecord({"body": data})})


def timing(**options):
    return Timing(**{"deadline": 0.3, "poll": 0.01, **options})


def exchange(answers, method="measure", wire=None, **options):
    return Exchange(
        wire or Wire(answers),
        timing(**options),
        method,
        dict.fromkeys(NODES, b"request"),
        NODES.get,
        partial(answered, pb.MeasureReply),
    )


def ask(answers, needed=3, reliable=(), **options):
    return exchange(answers, **options).run(needed, reliable)


@pytest.mark.parametrize("polls", [0, 3])
def test_replies_are_matched_by_the_request_whatever_their_order(polls):
    everyone = {11: good(b"n"), 12: good(b"s"), 13: good(b"w")}
    answers = ask(everyone, wire=Wire(everyone, polls))
    assert {site: reply.counts for site, reply in answers.good.items()} == {
        "north": b"n",
        "south": b"s",
        "west": b"w",
    }
    assert list(answers.good) == list(NODES)  # in the order asked: sums are deterministic


@pytest.mark.parametrize("method", KINDS)
def test_messages_carry_the_bytes_under_their_type(method):
    wire = Wire({n: good(b"") for n in NODES.values()})
    exchange(wire.answers, method, wire).run(3)
    assert len(wire.sent) == 3
    for message in wire.sent.values():
        assert message.metadata.message_type == KINDS[method]
        assert message.content["request"]["body"] == b"request"
        assert 0 < message.metadata.ttl <= 1.0  # nothing waits at the SuperLink for longer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "no reply before the deadline"),
        (Error(5, "ZZCANARY"), "flower error 5"),
        (body(pb.MeasureReply(status="ERR_BUDGET").SerializeToString()), "ERR_BUDGET"),
        (body(pb.MeasureReply(status="ZZCANARY").SerializeToString()), "ERR_PAYLOAD"),
        (body(b""), "ERR_PAYLOAD"),
        (body(b"\xff\xff\xff"), "ERR_PAYLOAD"),
        (RecordDict({}), "ERR_PAYLOAD"),
        (RecordDict({"reply": ConfigRecord({})}), "ERR_PAYLOAD"),
        (RecordDict({"reply": ConfigRecord({"body": "text"})}), "ERR_PAYLOAD"),
        (RecordDict({"reply": ConfigRecord({"body": 7})}), "ERR_PAYLOAD"),
        (
            RecordDict({"reply": ConfigRecord({"body": list(b"\n\x02OK\x12\x01s")})}),
            "ERR_PAYLOAD",
        ),
    ],
)
def test_a_failure_is_its_code_and_needs_a_quorum(answer, reason):
    found = ask({11: good(b"n"), 12: answer, 13: good(b"w")})
    assert found.failed == {"south": reason}
    assert list(found.good) == ["north", "west"]
    require_quorum(timing(quorum=2), "measure", 2, 3, found.failed)
    for quorum in (None, 3):
        with pytest.raises(FedsynthError) as caught:
            require_quorum(timing(quorum=quorum), "measure", 2, 3, found.failed)
        assert f"measure: 2 of 3 sites answered (south: {reason}" in str(caught.value)


def test_the_deadline_is_kept():
    start = time.monotonic()
    assert ask({}, deadline=0.2).failed == dict.fromkeys(NODES, "no reply before the deadline")
    assert 0.2 <= time.monotonic() - start < 2


class Mending(Wire):
    """A wire on which the site of node 12 fails in passing a number of times."""

    def __init__(self, failure, times):
        super().__init__({n: good(b"x") for n in NODES.values()})
        self.failure, self.times = failure, times

    def _answer(self, number):
        if self.sent[number].metadata.dst_node_id != 12 or self.times <= 0:
            return super()._answer(number)
        return self.failure

    def pull_messages(self, message_ids):
        replies = super().pull_messages(message_ids)
        self.times -= any(reply.has_error() or b"x" not in _body(reply) for reply in replies)
        return replies

    def push_messages(self, messages):
        start = len(self.sent)
        for number, message in enumerate(messages, start):
            message.metadata.__dict__["_message_id"] = f"m{number}"
            self.sent[f"m{number}"] = message
        return [f"m{number}" for number in range(start, len(self.sent))]


def _body(message):
    return message.content["reply"]["body"]


UNAVAILABLE = body(pb.MeasureReply(status="ERR_UNAVAILABLE").SerializeToString())


@pytest.mark.parametrize("failure", [Error(3), Error(4), Error(5), Error(8), UNAVAILABLE])
def test_what_passes_is_asked_again_with_the_same_bytes(failure):
    wire = Mending(failure, times=2)
    answers = ask({}, wire=wire, retry=0.02, deadline=5.0)
    assert list(answers.good) == list(NODES)
    south = [m for m in wire.sent.values() if m.metadata.dst_node_id == 12]
    assert [m.content["request"]["body"] for m in south] == [b"request"] * 3
    assert len(wire.sent) == 5  # the others are not asked again


@pytest.mark.parametrize("failure", [Error(2), Error(7)])
def test_what_does_not_pass_is_final(failure):
    wire = Mending(failure, times=1)
    assert list(ask({}, wire=wire, retry=0.02).failed) == ["south"]
    assert len(wire.sent) == 3


def test_a_site_that_cannot_be_replaced_ends_the_wait():
    """All are needed and one has refused for good: the others' hour would be in vain."""
    refusal = body(pb.MeasureReply(status="ERR_BUDGET").SerializeToString())
    start = time.monotonic()
    ask({11: good(b"n"), 12: refusal}, needed=3, deadline=60.0)
    assert time.monotonic() - start < 2


def test_a_silent_site_is_waited_for_only_if_it_was_reliable():
    silent = {11: good(b"n"), 13: good(b"w")}
    start = time.monotonic()
    ask(silent, needed=2, reliable=["north", "west"], deadline=60.0)
    assert time.monotonic() - start < 2
    start = time.monotonic()
    ask(silent, needed=2, reliable=NODES, deadline=0.4)
    assert time.monotonic() - start >= 0.4


def test_patience_gives_the_others_some_more_time():
    start = time.monotonic()
    ask({11: good(b"n"), 13: good(b"w")}, needed=2, deadline=60.0, patience=0.3)
    assert 0.3 <= time.monotonic() - start < 2


class Flaky(Mending):
    """A SuperLink that is away for some of the calls."""

    def __init__(self, away):
        super().__init__(None, 0)
        self.away = away

    def _call(self):
        self.away -= 1
        if self.away >= 0:
            raise httpx.ConnectError("connection refused")

    def push_messages(self, messages):
        self._call()
        return super().push_messages(messages)

    def pull_messages(self, message_ids):
        self._call()
        return super().pull_messages(message_ids)


@pytest.mark.parametrize("away", [1, 2, 3, 6])
def test_a_superlink_that_comes_back_is_waited_for(away):
    answers = ask({}, wire=Flaky(away), retry=0.01, deadline=10.0)
    assert list(answers.good) == list(NODES)


def test_a_superlink_that_stays_away_ends_at_the_deadline():
    assert set(ask({}, wire=Flaky(10**9), retry=0.01, deadline=0.3).failed) == set(NODES)


def test_a_site_that_is_not_connected_is_found_when_it_comes():
    appears = iter([None, None, 12])
    made = exchange({n: good(b"") for n in NODES.values()}, retry=0.01, deadline=5.0)
    made._node_of = lambda site: next(appears) if site == "south" else NODES[site]
    assert list(made.run(3).good) == list(NODES)
