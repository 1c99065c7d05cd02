"""Sends one request to all sites, and waits until enough have answered or the time is up.

Flower's own `send_and_receive` polls every three seconds, and does not say which node a failure is
about, because an error reply for a dead node carries the SuperLink's id. So replies are matched by
`reply_to_message_id`. A reply that arrives after the end of the exchange is not used.

Some failures may pass within a minute: a node is offline (Flower's error 5), a courier was killed (8), a
message or reply was lost (3, 4), a vault is being restarted, or the SuperLink does not answer. Then the
same bytes are sent again, with longer and longer pauses, until the deadline. A vault that had computed
its reply already sends it again from its outbox, at no charge.

A site that is down must not delay every exchange until the deadline. The sites that answered the last
exchange have time until the deadline, and all others only `patience` seconds longer than these.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, Self, TypeVar

import httpx
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from fedsynth_common.errors import ErrorCode, FedsynthError, RefusalError
from fedsynth_common.limits import REPLY_BYTES
from fedsynth_server.messages.waiting import (
    NO_REPLY,
    NO_REPLY_SOON,
    NOT_CONNECTED,
    NOT_SENT,
    PASSING,
    again_in,
    listed,
)

KINDS = {
    "enroll": "query.enroll",
    "measure": "query.measure",
    "discriminate": "train.discriminate",
    "receipt": "query.receipt",
    "keys": "query.keys",
    "shares": "query.shares",
    "agree": "query.agree",
    "unmask": "query.unmask",
}
LONGEST_PAUSE = 300.0
"""Seconds between two attempts, at most."""


class Reply(Protocol):
    """Any reply of a vault."""

    status: str

    @classmethod
    def FromString(cls, data: bytes) -> Self:  # noqa: N802 - protobuf's name for it
        """The reply that these bytes are."""


R = TypeVar("R", bound=Reply)
T = TypeVar("T")


def answered(kind: type[R], data: bytes) -> R:
    """The reply in these bytes, if the vault did what it was asked.

    Raises:
        RefusalError: the code that the vault gave; ERR_PAYLOAD for a status that is no code.
        DecodeError: the bytes are no reply of this kind.
    """
    reply = kind.FromString(data)
    if reply.status == ErrorCode.OK:
        return reply
    known = reply.status in set(ErrorCode)
    raise RefusalError(ErrorCode(reply.status) if known else ErrorCode.PAYLOAD)


@dataclass(frozen=True)
class Timing:
    """How long to wait, in seconds, and for how many.

    Attributes:
        deadline: the end of every exchange.
        poll: between two looks at the replies.
        quorum: the fewest sites that will do; None for all.
        gather: how long enrolment waits for all sites of the plan. With 0 it ends when every site has
            answered once.
        retry: pause before a site is asked again whose failure may pass by itself; it doubles with each
            attempt. With 0 such a failure is final.
        patience: how much longer than for the others to wait for a site that failed last time.
    """

    deadline: float = 3600.0
    poll: float = 0.2
    quorum: int | None = None
    gather: float = 0.0
    retry: float = 0.0
    patience: float = 0.0


@dataclass
class Answers(Generic[T]):
    """What the sites answered, in the order of the request; and the code of every other site."""

    good: dict[str, T] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass
class _Open:
    """A site that has neither answered well nor failed for good.

    `due` is when to send (monotonic seconds); None while a message is under way.
    """

    due: float | None = 0.0
    attempts: int = 0
    reason: str = NO_REPLY


class Exchange(Generic[T]):
    """The same kind of message to several sites.

    Args:
        grid: Flower's connection to the nodes.
        timing: deadlines.
        method: a key of `KINDS`.
        bodies: request by site.
        node_of: the node of a site, or None while it is not connected; asked before every attempt.
        parse: turns a reply's bytes into what is used of it, once, when it arrives. A RefusalError is
            the site's failure of that code; whatever else it raises makes the reply unusable.
        keep: called with a good reply's bytes before anything else is done with it.
        tell: called at every look with what each site is waited for, in words.
    """

    def __init__(
        self,
        grid: Grid,
        timing: Timing,
        method: str,
        bodies: Mapping[str, bytes],
        node_of: Callable[[str], int | None],
        parse: Callable[[bytes], T],
        keep: Callable[[str, bytes], None] = lambda site, reply: None,
        tell: Callable[[dict[str, str]], None] = lambda waiting: None,
    ) -> None:
        self._grid, self._timing, self._method, self._bodies = grid, timing, method, bodies
        self._node_of, self._parse, self._keep, self._tell = node_of, parse, keep, tell
        self._open = {site: _Open() for site in bodies}
        self._under_way: dict[str, str] = {}
        self._good: dict[str, T] = {}
        self._failed: dict[str, str] = {}
        self._enough_since: float | None = None
        self._end = time.monotonic() + timing.deadline

    def run(self, needed: int, reliable: Iterable[str] = ()) -> Answers[T]:
        """Ask until every site has answered or failed, enough have, or the deadline.

        Args:
            needed: good replies without which the exchange goes on until the deadline.
            reliable: sites that are waited for even when there are enough without them.
        """
        waited_for = set(reliable)
        while self._open and time.monotonic() < self._end:
            self._send()
            self._collect()
            self._tell(self._waiting())
            if self._over(needed, waited_for):
                break
            if self._open:
                time.sleep(self._timing.poll)
        if self._open:  # the last call may have waited for the SuperLink beyond the deadline
            self._collect()
        self._tell({})
        reasons = self._silent() | self._failed
        return Answers(
            good={site: self._good[site] for site in self._bodies if site in self._good},
            failed={site: reasons[site] for site in self._bodies if site in reasons},
        )

    def _waiting(self) -> dict[str, str]:
        """Why each open site has not answered, and when it is asked again."""
        now = time.monotonic()
        return {s: again_in(o.reason, o.due and o.due - now) for s, o in self._open.items()}

    def _silent(self) -> dict[str, str]:
        """The reason of every site that is still open at the end."""
        soon = time.monotonic() < self._end
        reasons = {site: state.reason for site, state in self._open.items()}
        return {s: NO_REPLY_SOON if soon and r == NO_REPLY else r for s, r in reasons.items()}

    def _over(self, needed: int, reliable: set[str]) -> bool:
        """Whether waiting any longer is of no use, or no longer worth it."""
        if len(self._good) < needed:
            return len(self._good) + len(self._open) < needed
        if any(state.due is None and site in reliable for site, state in self._open.items()):
            self._enough_since = None
            return False
        now = time.monotonic()
        self._enough_since = self._enough_since or now
        return now - self._enough_since >= self._timing.patience

    def _send(self) -> None:
        now = time.monotonic()
        due = [s for s, state in self._open.items() if state.due is not None and state.due <= now]
        nodes = {site: self._node_of(site) for site in due}
        for site, node in nodes.items():
            if node is None:
                self._put_off(site, NOT_CONNECTED)
        there = {site: node for site, node in nodes.items() if node is not None}
        messages = [self._message(site, node) for site, node in there.items()]
        try:
            numbers = list(self._grid.push_messages(messages)) if messages else []
        except (httpx.HTTPError, OSError):
            numbers = []  # the SuperLink is away; a message that arrived twice is answered once
        for number, site in zip(numbers or [""] * len(there), there, strict=True):
            if number:
                self._under_way[number] = site
                self._open[site].due = None
                self._open[site].reason = NO_REPLY
            else:
                self._put_off(site, NOT_SENT)

    def _message(self, site: str, node: int) -> Message:
        content = RecordDict({"request": ConfigRecord({"body": self._bodies[site]})})
        left = max(1.0, self._end - time.monotonic())
        return Message(content, dst_node_id=node, message_type=KINDS[self._method], ttl=left)

    def _collect(self) -> None:
        try:
            waiting = {number for number, site in self._under_way.items() if site in self._open}
            replies = list(self._grid.pull_messages(waiting)) if waiting else []
        except (httpx.HTTPError, OSError):
            # what was under way may be lost with the SuperLink: ask again, if all stays silent
            for site in list(self._open):
                self._put_off(site, self._open[site].reason)
            return
        for message in replies:
            site = self._under_way.pop(message.metadata.reply_to_message_id, "")
            if site in self._open:
                self._take(site, message)

    def _take(self, site: str, message: Message) -> None:
        if message.has_error():
            self._no_answer(site, f"flower error {message.error.code}")
            return
        try:
            body = _body(message, REPLY_BYTES[self._method])
            parsed = self._parse(body)
        except RefusalError as refused:
            self._no_answer(site, refused.code.value)
        except Exception:  # whatever a site sends must not stop the study
            self._no_answer(site, ErrorCode.PAYLOAD.value)
        else:
            self._keep(site, body)
            self._good[site] = parsed
            del self._open[site]

    def _no_answer(self, site: str, reason: str) -> None:
        """Ask again later if the reason may pass by itself; otherwise the site has failed."""
        self._put_off(site, reason) if reason in PASSING else self._fail(site, reason)

    def _put_off(self, site: str, reason: str) -> None:
        """Ask again later, or give up if this study does not ask again."""
        if not self._timing.retry:
            self._fail(site, reason)
            return
        state = self._open[site]
        pause = min(self._timing.retry * 2**state.attempts, LONGEST_PAUSE)
        state.due, state.reason = time.monotonic() + pause, reason
        state.attempts += 1

    def _fail(self, site: str, reason: str) -> None:
        self._failed[site] = reason
        del self._open[site]


def require_quorum(
    timing: Timing, method: str, good: int, asked: int, failed: Mapping[str, str]
) -> None:
    """Raise unless enough sites answered; without a quorum, all of them must.

    Raises:
        FedsynthError: it lists the codes, and says what they mean.
    """
    if good < (timing.quorum or asked):
        raise FedsynthError(f"{method}: {good} of {asked} sites answered ({listed(failed)})")


def _body(message: Message, most: int) -> bytes:
    """The reply's bytes; an exception if there are none or more than `most`. No text is looked at."""
    body = message.content.config_records["reply"]["body"]
    if not isinstance(body, bytes) or len(body) > most:  # bytes(number) would allocate it
        raise RefusalError(ErrorCode.PAYLOAD)
    return body
