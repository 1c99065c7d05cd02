"""Enrolment: finds out which node of the grid is which site of the plan.

The coordinator shows the plan to each node. A node is a site of the plan if its vault says so and signs
the plan with its receipt key. The coordinator writes the receipt keys, which the sites tell by another
way, into `study.toml`. A node with another key is refused. If `study.toml` names no key for a site, the
first key that the site shows is taken, and any other key is refused from then on. If a site's node
comes back under another number, the site is enrolled again before the next message.

Messages to people name a node by the name that it was registered under, which proves nothing: only
the signature does.
"""

import time
from collections.abc import Iterable, Mapping
from functools import partial

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from flwr.serverapp import Grid

from fedsynth_common.errors import FedsynthError
from fedsynth_common.limits import printable
from fedsynth_common.protocol import PROTOCOL_VERSION, enrolment_text
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.plan import Plan
from fedsynth_server.messages.exchange import Exchange, Timing, answered, require_quorum
from fedsynth_server.messages.journal import NoJournal
from fedsynth_server.messages.waiting import (
    ANOTHER_KEY,
    NO_KEY,
    NOT_CONNECTED,
    NOT_SIGNED,
    NOT_THE_NAMED_KEY,
    STRANGER_BEFORE,
    again_in,
    in_words,
    missing,
)
from fedsynth_server.progress import StudyProgress

KEY_BYTES = 32
"""Bytes of an Ed25519 public key; no more is stored of what a site shows as its key."""
ASK_AGAIN = 60.0
"""Seconds until a node that did not accept the plan is asked again while enrolment lasts."""
LATECOMER = 120.0
"""Seconds for a node to say whether it accepts the plan, before the others go on without it."""


class Enrolment:
    """The nodes of a grid as sites of a plan.

    Attributes:
        nodes: the node of each enrolled site.
        named: receipt keys (32 bytes) by site that are known beforehand.
    """

    def __init__(
        self, plan: Plan, grid: Grid, timing: Timing, journal: NoJournal, progress: StudyProgress
    ) -> None:
        self.plan, self.timing, self.journal, self.progress = plan, timing, journal, progress
        self.nodes: dict[str, int] = {}
        self.named: Mapping[str, bytes] = {}
        self._grid = grid
        self._keys: dict[str, bytes] = {}
        self._refused: dict[int, str] = {}
        self._names: dict[int, str] = {}
        self._asked_at = 0.0

    @property
    def keys(self) -> dict[str, bytes]:
        """Receipt keys of the sites that ever enrolled, in the plan's order."""
        return {site: self._keys[site] for site in self.plan.sites if site in self._keys}

    @property
    def first_shown(self) -> list[str]:
        """Enrolled sites whose receipt key nobody has named, so that the first key shown was taken."""
        return [site for site in self.keys if site not in self.named]

    @property
    def refused(self) -> dict[str, str]:
        """Nodes that are no site of this study, or not yet, by name, and why."""
        return {self._name(node): why for node, why in self._refused.items()}

    def waiting(self) -> dict[str, str]:
        """What each site that has not enrolled is waited for, in words."""
        again = self._asked_at + ASK_AGAIN - time.monotonic()
        reasons = {self._name(node): again_in(why, again) for node, why in self._refused.items()}
        named = bool(set(self._names.values()) & set(self.plan.sites))
        absent = in_words(NOT_CONNECTED) if named else "not enrolled yet"
        return {
            site: reasons.get(site, absent) for site in self.plan.sites if site not in self.nodes
        }

    def enroll(self) -> list[str]:
        """Show the plan to every connected node until it is known which site each one is.

        Returns:
            Notes: the nodes that were refused and the sites that are not there.

        Raises:
            FedsynthError: when fewer sites than the quorum accept the plan.
        """
        sites, start = len(self.plan.sites), time.monotonic()
        limit = self.timing.gather or self.timing.deadline
        self.progress.update("enrol sites", len(self.nodes), sites)  # its time begins here
        while True:
            again = time.monotonic() - self._asked_at >= ASK_AGAIN
            self._asked_at = time.monotonic() if again else self._asked_at
            patience = LATECOMER if self.timing.gather else limit
            connected = self._welcome(patience, self._refused if again else ())
            self.progress.update("enrol sites", len(self.nodes), sites)
            self.progress.waiting(self.waiting())
            settled = not self.timing.gather and connected >= sites
            over = time.monotonic() - start >= limit
            if len(self.nodes) == sites or settled or over:
                break
            time.sleep(self.timing.poll)
        self.progress.waiting({})
        if connected < min(self.timing.quorum or sites, sites):
            who = missing(self._not_connected())
            raise FedsynthError(f"{connected} of {sites} sites are connected{who}; gave up waiting")
        require_quorum(self.timing, "enroll", len(self.nodes), sites, self.refused)
        absent = [site for site in self.plan.sites if site not in self.nodes]
        return [
            *(f"enroll: {node}: {why}" for node, why in self.refused.items()),
            *(f"enroll: {site}: not there" for site in absent),
        ]

    def welcome_latecomers(self) -> None:
        """Enrol the nodes that have connected since, if a site is still missing."""
        if set(self.plan.sites) - set(self.nodes):
            self._welcome(LATECOMER)

    def _welcome(self, patience: float, again: Iterable[int] = ()) -> int:
        """Enrol the nodes not seen before, and those of `again`; returns how many are connected."""
        try:
            nodes = list(self._grid.get_nodes())
        except (httpx.HTTPError, OSError):  # the SuperLink is away
            return 0
        connected = sorted(node.node_id for node in nodes)
        self._names |= {node.node_id: printable(node.name, 100) for node in nodes if node.name}
        known, again = {*self.nodes.values(), *self._refused}, set(again)
        due = [node for node in connected if node not in known or node in again]
        if due:
            self._show_plan(due, patience)
        return len(connected)

    def _show_plan(self, nodes: list[int], patience: float) -> None:
        request = pb.EnrollRequest(
            protocol_version=PROTOCOL_VERSION, plan_json=self.plan.to_json()
        ).SerializeToString(deterministic=True)
        addresses = {str(node): node for node in nodes}
        timing = Timing(deadline=patience, poll=self.timing.poll)
        replies = Exchange(
            self._grid,
            timing,
            "enroll",
            dict.fromkeys(addresses, request),
            addresses.get,
            partial(answered, pb.EnrollReply),
        ).run(needed=0, reliable=addresses)  # one that refuses does not end the time of the others
        for address, node in addresses.items():
            self._refused.pop(node, None)
            if address in replies.failed:
                self._refused[node] = replies.failed[address]
            elif why := self._why_not(replies.good[address]):
                self._refused[node] = why
            else:
                reply = replies.good[address]
                self.nodes[reply.site] = node
                self._keys[reply.site] = reply.receipt_key

    def _why_not(self, reply: pb.EnrollReply) -> str:
        """Why this node is not a site of the plan; empty if it is one."""
        if reply.site not in self.plan.sites or self._connected(reply.site):
            return "not a site of the plan, or one that is there already"
        if len(reply.receipt_key) != KEY_BYTES:
            return f"{reply.site}: {NO_KEY}"
        if self.named.get(reply.site, reply.receipt_key) != reply.receipt_key:
            return f"{reply.site}: {NOT_THE_NAMED_KEY}"
        if not _signed(reply, enrolment_text(bytes.fromhex(self.plan.digest), reply.site)):
            return f"{reply.site}: {NOT_SIGNED}"
        if self.journal.receipt_key(reply.site, reply.receipt_key) != reply.receipt_key:
            return f"{reply.site}: {STRANGER_BEFORE if reply.site in self.named else ANOTHER_KEY}"
        if self._keys.get(reply.site, reply.receipt_key) != reply.receipt_key:
            return f"{reply.site}: {ANOTHER_KEY}"
        return ""

    def _name(self, node: int) -> str:
        return self._names.get(node, f"node {node}")

    def _not_connected(self) -> list[str]:
        """Sites whose nodes are not there, as far as nodes were registered under the sites' names."""
        there = set(self._names.values())
        return [site for site in self.plan.sites if there and site not in there]

    def _connected(self, site: str) -> bool:
        try:
            return self.nodes.get(site) in set(self._grid.get_node_ids())
        except (httpx.HTTPError, OSError):  # the SuperLink is away
            return False

    def node_of(self, site: str) -> int | None:
        """The site's node, after looking whether the site came back under another number."""
        if not self._connected(site):
            self._welcome(LATECOMER)
        return self.nodes.get(site)


def _signed(reply: pb.EnrollReply, text: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(reply.receipt_key).verify(reply.signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True
