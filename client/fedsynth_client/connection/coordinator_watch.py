"""Tells the data steward, by name, whether the courier is connected and what keeps it from it.

Flower 1.41 says "Connection attempt failed, retrying in 4.00 seconds", without the address and without
the reason, and its health service answers SERVING whether or not there is a connection. What it logs
at level DEBUG has the reason. So a handler on Flower's logger listens, writes one line for each change
(and one a minute while nothing changes), and tells the health service `COORDINATOR` on the courier's
health port, which `fedsynth site status` and monitors ask.

If the coordinator refuses a site's signature (HTTP 401), Flower ends SuperNode with exit code 0 and says
nothing at all. Here the answer's time of day tells whether the two clocks are the reason.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from fedsynth_common.limits import printable

COORDINATOR = "fedsynth.coordinator"
"""Name of the health service: SERVING while the courier is connected to the coordinator."""
NOT_REGISTERED = 90
"""Exit code of `supernode`: the coordinator does not let this site's node key in."""
REFUSED = 91
"""Exit code of `supernode`: the coordinator refused the site's signature; the log says why."""
REFUSED_WORDS = "the coordinator refused this site's signature, for the reason above"
UNREGISTERED_WORDS = (
    "the coordinator does not know this site's key: ask the coordinator to register {key} (fedsynth "
    "study admit), and whether it removed this site. (After a "
    "crash the coordinator takes the courier before this one to be alive, for up to a minute; then this "
    "passes by itself.)"
)
_ACTIVATION_FAILED = 2004  # Flower's ApiErrorCode.FLEET_NODE_ACTIVATION_FAILED
_REMIND = 60.0  # seconds
_AHEAD, _BEHIND = 5.0, 305.0
"""Seconds that Flower's SYSTEM_TIME_TOLERANCE and TIMESTAMP_TOLERANCE allow."""
_log = logging.getLogger("fedsynth.courier")
_FLOWERS_OWN = ("Connection attempt failed, retrying", "Connection successful after")


class CoordinatorWatch(logging.Handler):
    """Listens to what Flower says about its connection to `superlink` (HOST:PORT)."""

    def __init__(self, superlink: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.DEBUG)
        self._superlink, self._clock = superlink, clock
        self._said, self._said_at = "", 0.0
        self.refused = False
        self.servicer = health.HealthServicer()
        self._set("", connected=True)
        self._set(COORDINATOR, connected=False)

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of what concerns the connection."""
        text = str(record.msg)
        if text.startswith("SuperNode ID:") or text.startswith("Connection successful after"):
            self._set(COORDINATOR, connected=True)
            self._say(f"connected to {self._superlink}", logging.INFO)
        elif text.startswith("Connection attempt failed with exception"):
            self._set(COORDINATOR, connected=False)
            reason = _reason(record.args)
            self._say(
                f"{self._superlink} cannot be reached ({reason}); the courier tries again without "
                "end. Compare superlink in courier.toml with what the coordinator told",
                logging.WARNING,
            )

    def refuse(self, answered_at: str) -> None:
        """The coordinator does not accept the site's signature, and says what time it is there."""
        self.refused = True
        self._set(COORDINATOR, connected=False)
        ahead = _seconds_ahead(answered_at)
        why = "it has removed this site's key, or the key is another's: ask the coordinator"
        if not -_BEHIND < ahead < _AHEAD:
            way = "ahead of" if ahead > 0 else "behind"
            why = (
                f"this computer's clock is {abs(ahead):.0f} s {way} the coordinator's; at most "
                f"{_AHEAD:.0f} s ahead and {_BEHIND:.0f} s behind are let in: set both by NTP"
            )
        self._say(f"{self._superlink} refuses this site's signature: {why}", logging.WARNING)

    def _say(self, line: str, level: int) -> None:
        now = self._clock()
        if line != self._said or now - self._said_at >= _REMIND:
            self._said, self._said_at = line, now
            _log.log(level, line)

    def _set(self, service: str, *, connected: bool) -> None:
        serving = health_pb2.HealthCheckResponse.SERVING
        absent = health_pb2.HealthCheckResponse.NOT_SERVING
        self.servicer.set(service, serving if connected else absent)

    def serve(self, address: str) -> grpc.Server:
        """Answer health checks at `address`, in place of Flower's own service."""
        server = grpc.server(ThreadPoolExecutor(2, thread_name_prefix="health"))
        health_pb2_grpc.add_HealthServicer_to_server(self.servicer, server)
        server.add_insecure_port(address)
        server.start()
        return server


def not_replaced(record: logging.LogRecord) -> bool:
    """A filter for Flower's console: whether the line is not one of those that this file replaces."""
    return not str(record.msg).startswith(_FLOWERS_OWN)


def unregistered(error: BaseException | None) -> bool:
    """Whether the coordinator refused to let this node in, anywhere among the causes of `error`."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if _code(error) == _ACTIVATION_FAILED:
            return True
        error = error.__cause__ or error.__context__
    return False


def _code(error: BaseException) -> object:
    """Flower's own code in the response that an HTTP error carries; None if there is none."""
    try:
        return error.response.json().get("code")  # type: ignore[attr-defined]
    except (ValueError, AttributeError):
        return None


def _seconds_ahead(answered_at: str) -> float:
    """How far this computer's clock is ahead of a Date header; 0 if there is no such header."""
    try:
        return time.time() - parsedate_to_datetime(answered_at).timestamp()
    except (ValueError, TypeError):
        return 0.0


def _reason(arguments: object) -> str:
    """The exception among the arguments of a log record, as a person reads it."""
    failures = arguments if isinstance(arguments, tuple) else (arguments,)
    return printable(next((str(one) or type(one).__name__ for one in failures), "no reason"), 200)
