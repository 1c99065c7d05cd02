"""The checkpoint of a study: it stores each request before it is sent and each reply before it is used.

A study is a deterministic function of its plan, its training settings and the sites' replies. So its
checkpoint is a journal of exchanges and not of weights. A resumed study runs again from the start. It
takes the replies in the journal as they are, and asks only for those that are missing. It sends the
bytes that are in the journal, which a site answers from its outbox at no charge. Flower itself has
neither checkpoint nor resume.

Per exchange (method, step) there is one file for the request, one per reply, and one that closes it
and says who failed, so that a resumed study merges the same replies and no late one:

    0003-discriminate.request   0003-discriminate.001.reply   0003-discriminate.closed

An entry is `JSON header, newline, body` followed by the SHA-256 of both. The header repeats which
entry this is; a reply also names the request that it answers. An entry that does not fit its digest
is renamed `.damaged` and treated as absent, and its exchange is asked again. An intact entry of
another plan or of other training settings is refused.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from fedsynth_common.durable import sync_folder, write_durably
from fedsynth_common.errors import FedsynthError
from fedsynth_common.protocol.plan import Plan

DIGEST_BYTES = 32


@dataclass(frozen=True)
class Closed:
    """How an exchange ended: whose replies are merged, and why each other site failed."""

    merged: list[str]
    failed: dict[str, str]


class NoJournal:
    """Stores nothing, for a simulation that takes minutes only."""

    damaged: tuple[str, ...] = ()

    def request(self, method: str, step: int, body: bytes) -> bytes:
        """The bytes to send: the journaled ones if there are any, else `body`, now journaled."""
        return body

    def replies(self, method: str, step: int) -> dict[str, bytes]:
        """The journaled replies by site, in the plan's order."""
        return {}

    def keep(self, method: str, step: int, site: str, reply: bytes) -> None:
        """Journal a reply; durable when this returns."""

    def closed(self, method: str, step: int) -> Closed | None:
        """How the exchange ended, if it is over: then no other reply is added to it."""
        return None

    def close(self, method: str, step: int, end: Closed) -> None:
        """The exchange is over."""

    def receipt_key(self, site: str, key: bytes) -> bytes:
        """The receipt key that the site showed first, which is `key` if it is new."""
        return key

    def decided(self, heard: bool) -> bool:
        """What was decided after listening, which is `heard` the first time."""
        return heard


class Journal(NoJournal):
    """The journal of one plan in a folder.

    Attributes:
        damaged: names of the entries that were set aside.

    Raises:
        FedsynthError: when the folder holds the journal of another plan or of other settings.
    """

    def __init__(self, folder: Path, plan: Plan, settings: str) -> None:
        self._folder, self._plan = folder, plan
        self.damaged = ()
        if not folder.is_dir():
            folder.mkdir()
            sync_folder(folder.parent)
        found = self._entry("settings", {}, settings.encode())
        if found != settings.encode():
            raise FedsynthError(
                f"{folder}: the study was begun with other training settings ({found.decode()}); "
                "put them back, or begin a new study in a new folder"
            )

    @property
    def exchanges(self) -> int:
        """How many exchanges have been closed."""
        return len(list(self._folder.glob("*.closed")))

    def request(self, method: str, step: int, body: bytes) -> bytes:
        """The bytes to send: the journaled ones if there are any, else `body`, now journaled."""
        return self._entry(f"{_name(method, step)}.request", {}, body)

    def replies(self, method: str, step: int) -> dict[str, bytes]:
        """The journaled replies to the journaled request by site, in the plan's order."""
        answers = self._answers(method, step)
        found = {
            site: self._read(self._reply_name(method, step, site), answers | {"site": site})
            for site in self._plan.sites
        }
        return {site: reply for site, reply in found.items() if reply is not None}

    def keep(self, method: str, step: int, site: str, reply: bytes) -> None:
        """Journal a reply; durable when this returns."""
        fields = self._answers(method, step) | {"site": site}
        self._write(self._reply_name(method, step, site), fields, reply)

    def closed(self, method: str, step: int) -> Closed | None:
        """How the exchange ended, if it is over: then no other reply is added to it."""
        body = self._read(f"{_name(method, step)}.closed", {})
        return None if body is None else Closed(**json.loads(body))

    def close(self, method: str, step: int, end: Closed) -> None:
        """The exchange is over."""
        self._write(f"{_name(method, step)}.closed", {}, json.dumps(asdict(end)).encode())

    def receipt_key(self, site: str, key: bytes) -> bytes:
        """The receipt key that the site showed first, which is `key` if it is new."""
        return self._entry(f"{self._plan.sites.index(site):03d}.key", {"site": site}, key)

    def decided(self, heard: bool) -> bool:
        """What was decided after listening: sites were charged for it, so rounding may not change it."""
        return self._entry("heard", {}, b"yes" if heard else b"no") == b"yes"

    def _reply_name(self, method: str, step: int, site: str) -> str:
        return f"{_name(method, step)}.{self._plan.sites.index(site):03d}.reply"

    def _answers(self, method: str, step: int) -> dict[str, str]:
        """The header field that ties a reply to the request that it answers."""
        request = self._read(f"{_name(method, step)}.request", {}) or b""
        return {"answers": hashlib.sha256(request).hexdigest()}

    def _entry(self, name: str, fields: Mapping[str, str], body: bytes) -> bytes:
        """The body of an entry; written now if there is none."""
        found = self._read(name, fields)
        if found is None:
            self._write(name, fields, body)
            return body
        return found

    def _write(self, name: str, fields: Mapping[str, str], body: bytes) -> None:
        header = {"entry": name, "plan": self._plan.digest, **fields}
        data = json.dumps(header, sort_keys=True).encode() + b"\n" + body
        write_durably(self._folder / name, data + hashlib.sha256(data).digest())

    def _read(self, name: str, fields: Mapping[str, str]) -> bytes | None:
        """The body of an intact entry of this name whose header has these fields."""
        path = self._folder / name
        try:
            stored = path.read_bytes()
        except FileNotFoundError:
            return None
        data, digest = stored[:-DIGEST_BYTES], stored[-DIGEST_BYTES:]
        if hashlib.sha256(data).digest() != digest:
            self._set_aside(path)
            return None
        line, _, body = data.partition(b"\n")
        header = json.loads(line)  # the digest holds, so it is what was written
        if header["plan"] != self._plan.digest:
            raise FedsynthError(
                f"{path}: belongs to the plan {header['plan'][:16]}…, not to this study's "
                f"{self._plan.digest[:16]}…; put the right plan.json back, or use a new folder"
            )
        if header != {"entry": name, "plan": self._plan.digest, **fields}:
            self._set_aside(path)
            return None
        return body

    def _set_aside(self, path: Path) -> None:
        path.replace(path.with_name(f"{path.name}.damaged"))
        sync_folder(self._folder)
        self.damaged = (*self.damaged, path.name)


def _name(method: str, step: int) -> str:
    return f"{step:04d}-{method}"
