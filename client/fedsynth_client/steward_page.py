"""A page for the data steward, and the same facts for a monitor; read-only, on this computer alone.

`/` is the page, which loads itself again every five seconds and runs no script. `/status.json` is what
`fedsynth site status --json` prints, `/metrics` the numbers of it in Prometheus' text format. None of it
is private beyond the ledger, and no record is read. Other users of the computer need not see it all
the same, so every request must carry the token of a file that only its owner can read: in the address
(`?token=...`) or as a bearer token. A request whose Host is not this computer is refused, so that a
web page elsewhere cannot reach it through the steward's browser.
"""

import hmac
import html
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fedsynth_common.errors import InputError

Facts = Callable[[], Mapping[str, Any]]
_LOCAL = {"127.0.0.1", "localhost"}
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    "p.fault{border-left:.4rem solid #b3261e;padding-left:.6rem}"
    "p.note{border-left:.4rem solid #8a6d00;padding-left:.6rem}"
    "progress{width:100%;height:1.2rem}"
)


def token_of(path: Path) -> str:
    """The token in a file that its owner alone may read; made if there is none.

    Raises:
        InputError: others may read it, or it cannot be read or written.
    """
    try:
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(24))
        if path.stat().st_mode & 0o077:
            raise InputError(f"token {path}: others may read it; close it with: chmod 600")
        return path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InputError(f"token {path}: cannot be used ({reason})") from None


class _Server(ThreadingHTTPServer):
    """Knows the facts and who may see them."""

    daemon_threads = True
    facts: Facts
    token: str


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    server_version, sys_version = "fedsynth", ""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        known = {"/": _page, "/status.json": _json, "/metrics": _metrics}
        if self.headers.get("Host", "").rpartition(":")[0] not in _LOCAL:
            self.answer(403, "text/plain", "only for this computer\n")
        elif not self.allowed(parse_qs(address.query)):
            self.answer(401, "text/plain", "the token is missing or wrong\n")
        elif address.path not in known:
            self.answer(404, "text/plain", "there is /, /status.json and /metrics\n")
        else:
            self.show(*known[address.path])

    def show(self, media: str, write: Callable[[Mapping[str, Any]], str]) -> None:
        try:
            text = write(self.server.facts())
        except InputError as error:
            self.answer(503, "text/plain", f"{error}\n")
        else:
            self.answer(200, media, text)

    def allowed(self, query: Mapping[str, list[str]]) -> bool:
        told = query.get("token", [""])[0]
        told = told or self.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(told.encode(), self.server.token.encode())

    def answer(self, status: int, media: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{media}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Nothing: the address holds the token."""


def page_server(facts: Facts, token: str, port: int) -> ThreadingHTTPServer:
    """A server of the page on a port of the loopback interface; it does not run yet.

    Raises:
        InputError: another program has the port.
    """
    try:
        server = _Server(("127.0.0.1", port), _Handler)
    except OSError as error:
        raise InputError(
            f"--port {port}: cannot listen there ({error.strerror}); choose another"
        ) from None
    server.facts, server.token = facts, token
    return server


def _as_page(facts: Mapping[str, Any]) -> str:
    running, ledger = facts["running"], facts["ledger"]
    title = f"fedsynth: {html.escape(str(facts['dataset']))}"
    faults = [*running["faults"], *([ledger["fault"]] if ledger["fault"] else [])]
    lines = [f'<p class="fault">{html.escape(line)}</p>' for line in faults]
    lines += [f'<p class="note">{html.escape(line)}</p>' for line in running["newer"]]
    up = {True: "runs", False: "does not run", None: "is not known"}
    connected = "is connected" if running["connected"] else "is not connected"
    lines.append(
        f"<p>The vault {up[running['vault']]}. The courier {up[running['courier']]} and {connected}.</p>"
    )
    if facts["spent"] is not None:
        lines.append(
            f"<h2>Budget</h2><p>ε {facts['spent']:.4f} of {facts['cap']:g} is spent at δ "
            f"{facts['delta']:g}, and {facts['left']:.4f} is left.</p>"
            f'<progress aria-label="budget that is spent" max="{facts["cap"]}" '
            f'value="{facts["spent"]}"></progress>'
        )
        rows = "".join(_row(name, study) for name, study in facts["studies"].items())
        lines.append(
            '<h2>Studies</h2><table><tr><th>study<th class="n">ε<th class="n">steps charged</tr>'
            f"{rows}</table>"
            if rows
            else "<h2>Studies</h2><p>No study was charged yet.</p>"
        )
        lines.append(f"<p>The ledger is sound. Entries: {ledger['seq']}.</p>")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="refresh" content="5"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1>{''.join(lines)}</body></html>\n"
    )


def _row(name: str, study: Mapping[str, Any]) -> str:
    of = f" of {study['planned']}" if study["planned"] else ""
    return (
        f'<tr><td>{html.escape(name)}<td class="n">{study["epsilon"]:.4f}'
        f'<td class="n">{study["steps"]}{of}</tr>'
    )


def _as_metrics(facts: Mapping[str, Any]) -> str:
    return "".join(f"{line}\n" for line in _metric_lines(facts))


def _metric_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    running = facts["running"]
    numbers = {
        "fedsynth_vault_up": running["vault"],
        "fedsynth_courier_up": bool(running["courier"]),
        "fedsynth_courier_connected": running["connected"],
        "fedsynth_ledger_sound": facts["ledger"]["sound"],
        "fedsynth_epsilon_cap": facts["cap"],
        "fedsynth_epsilon_spent": facts["spent"],
        "fedsynth_epsilon_left": facts["left"],
    }
    for name, number in numbers.items():
        if number is not None:
            yield f"# TYPE {name} gauge"
            yield f"{name} {float(number):g}"
    studies = facts["studies"] or {}
    if studies:
        yield "# TYPE fedsynth_study_steps gauge"
    for name, study in studies.items():  # names of studies hold neither quotes nor backslashes
        yield f'fedsynth_study_steps{{study="{name}"}} {study["steps"]}'


_page = ("text/html", _as_page)
_json = ("application/json", lambda facts: json.dumps(facts) + "\n")
_metrics = ("text/plain", _as_metrics)
