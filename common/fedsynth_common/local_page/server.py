"""Serves a read-only page on the loopback interface, to whoever has its token.

`/` is the page. It works without scripts, and then loads itself again every five seconds; a small script
of ours updates it as server-sent events come from `/events`. `/status.json` has the facts and `/metrics`
the numbers of them in Prometheus' text format. A request must carry the token: in the address
(`?token=...`) or as a bearer token. A request whose Host is not this computer is refused, so that a web
page elsewhere cannot reach it through the reader's browser under another name.
"""

import asyncio
import hmac
import html
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from anyio import to_thread
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_common.local_page.metrics import Gauge, metrics_text

Facts = Mapping[str, Any]
PAUSE = 1.0
"""Seconds between two looks at the facts, however many readers there are."""
MOST_STREAMS = 20
_LOCAL = {"127.0.0.1", "localhost"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
_PAGE = """\
<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<noscript><meta http-equiv="refresh" content="5"></noscript>
<link rel="stylesheet" href="/page.css?token={token}">
<script src="/live.js?token={token}" defer></script></head>
<body><p id="live" role="status"></p><main>{main}</main></body></html>
"""


@dataclass(frozen=True)
class View:
    """What a page shows.

    Attributes:
        title: of the browser's window.
        facts: looks; may raise a FedsynthError, which is then shown.
        main: the facts as HTML.
        gauges: the numbers among them, those of one name one after another.
    """

    title: str
    facts: Callable[[], Facts]
    main: Callable[[Facts], str]
    gauges: Callable[[Facts], Iterable[Gauge]]


class LocalPage:
    """A page on a port of the loopback interface; it listens from the start and answers when served.

    Raises:
        InputError: another program has the port.
    """

    def __init__(self, view: View, token: str, port: int) -> None:
        try:
            self._socket = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            fault = f"cannot listen there ({error.strerror}); choose another"
            raise InputError(f"--port {port}: {fault}") from None
        self.port = int(self._socket.getsockname()[1])
        self.address = f"http://127.0.0.1:{self.port}/?token={token}"
        self._view, self._token, self._streams = view, token, 0
        self._seen: Facts | FedsynthError | None = None
        self._until, self._lock = 0.0, asyncio.Lock()
        settings = uvicorn.Config(
            _Guard(self._app(), token),
            log_config=None,
            access_log=False,  # the address holds the token
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(settings)

    def serve(self) -> None:
        """Answer until stopped."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Let `serve` return."""
        self._server.should_exit = True

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/events", self._events),
                Route("/status.json", self._json),
                Route("/metrics", self._metrics),
                *(Route(f"/{name}", _asset(name, media)) for name, media in _ASSETS.items()),
            ],
            exception_handlers={FedsynthError: _failed},
        )

    async def _facts(self) -> Facts:
        """The facts, at most `PAUSE` seconds old."""
        async with self._lock:
            if time.monotonic() >= self._until:
                try:
                    self._seen = await to_thread.run_sync(self._view.facts)
                except FedsynthError as error:
                    self._seen = error
                self._until = time.monotonic() + PAUSE
        if isinstance(self._seen, FedsynthError):
            raise self._seen
        return self._seen or {}

    async def _main(self) -> tuple[int, str]:
        try:
            return 200, self._view.main(await self._facts())
        except FedsynthError as error:
            return 503, f'<p class="fault">{html.escape(str(error))}</p>'

    async def _page(self, request: Request) -> Response:
        status, main = await self._main()
        text = _PAGE.format(title=html.escape(self._view.title), token=self._token, main=main)
        return HTMLResponse(text, status)

    async def _json(self, request: Request) -> Response:
        text = json.dumps(await self._facts(), ensure_ascii=False) + "\n"
        return Response(text, media_type="application/json")

    async def _metrics(self, request: Request) -> Response:
        return PlainTextResponse(metrics_text(self._view.gauges(await self._facts())))

    async def _events(self, request: Request) -> Response:
        if self._streams >= MOST_STREAMS:
            return PlainTextResponse("too many browsers look at this page\n", 503)
        return StreamingResponse(self._news(), media_type="text/event-stream")

    async def _news(self) -> AsyncIterator[str]:
        """The page's main part each time that it is another one."""
        self._streams += 1
        try:
            last = ""
            while not self._server.should_exit:
                _, main = await self._main()
                yield ": the same\n\n" if main == last else f"data: {json.dumps(main)}\n\n"
                last = main
                await asyncio.sleep(PAUSE)
        finally:
            self._streams -= 1


class _Guard:
    """Lets requests of this computer with the token through, and sets headers that close the page."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_closed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        if headers.get("host", "").rpartition(":")[0] not in _LOCAL:
            app: ASGIApp = PlainTextResponse("only for this computer\n", 403)
        elif not self._allowed(headers, scope["query_string"]):
            app = PlainTextResponse("the token is missing or wrong\n", 401)
        else:
            app = self._app
        await app(scope, receive, send_closed)

    def _allowed(self, headers: Headers, query: bytes) -> bool:
        told = parse_qs(query.decode("latin-1")).get("token", [""])[0]
        told = told or headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(told.encode(), self._token)


_ASSETS = {"page.css": "text/css", "live.js": "text/javascript"}


def _asset(name: str, media: str) -> Callable[[Request], Response]:
    text = files(__package__).joinpath(name).read_text("utf-8")
    return lambda request: Response(text, media_type=media)


async def _failed(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 503)
