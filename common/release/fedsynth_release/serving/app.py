"""The service: what is answered under which path (see `/openapi.json`).

Everything that it gives away is in the release already, so nobody has to log in. It draws, it never
writes, and its memory is bounded: at most `at_once` requests hold a frame of records, others wait, and
more than `MOST_WAITING` are told to come back. Whoever does not take what is sent is cut off.
"""

import asyncio
import html
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from fedsynth_common.errors import InputError
from fedsynth_release.generator import Generator
from fedsynth_release.generator_files import CARD, REPORT, generator_folder
from fedsynth_release.serving.formats import FORMATS
from fedsynth_release.serving.openapi import openapi
from fedsynth_release.serving.rows import Asked, Rows

MOST_WAITING = 1000
PATIENCE = 60.0
"""Seconds in which a reader must take what is sent."""


@dataclass
class Service:
    """One release that is served.

    Attributes:
        most_rows: that one request may ask for.
        at_once: requests that are answered at the same time.
    """

    release: Path
    version: str = "0"
    most_rows: int = 1_000_000
    at_once: int = 4
    waiting: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Load the generator.

        Raises:
            InputError: the folder holds none, or a damaged one.
        """
        folder = generator_folder(self.release)
        self.rows = Rows(Generator.load(folder))
        self.card = folder / CARD
        self.report = folder.parent / REPORT
        self.places = asyncio.Semaphore(self.at_once)

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/rows", self._rows),
                Route("/card", partial(self._file, self.card, "text/markdown")),
                Route("/report", partial(self._file, self.report, "text/html")),
                Route("/statement", self._statement),
                Route("/schema", self._schema),
                Route("/openapi.json", self._openapi),
                Route("/health", self._health),
            ],
            exception_handlers={InputError: _bad_request},
        )

    async def _rows(self, request: Request) -> Response:
        query = request.query_params
        given = {name: query.getlist(name) for name in query}
        asked = Asked.of(given, self.most_rows)
        name = query.get("format", "json")
        if name not in FORMATS:
            raise InputError(f"format: expected one of {', '.join(sorted(FORMATS))}")
        if self.waiting >= MOST_WAITING:
            return JSONResponse(
                {"error": "too many requests wait; try again later"}, 503, {"Retry-After": "10"}
            )
        media, encode = FORMATS[name]
        return _Stream(self, media, lambda: encode(self.rows.draw(asked)))

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """One of the places of `at_once`, after others have left theirs."""
        self.waiting += 1
        try:
            await self.places.acquire()
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self.places.release()

    async def _file(self, path: Path, media: str, request: Request) -> Response:
        if not path.is_file():
            return JSONResponse({"error": f"this release has no {path.name}"}, 404)
        return Response(path.read_bytes(), media_type=f"{media}; charset=utf-8")

    async def _statement(self, request: Request) -> Response:
        text = self.rows.generator.statement.to_json()
        return Response(text, media_type="application/json")

    async def _schema(self, request: Request) -> Response:
        return Response(self.rows.generator.schema.to_json(), media_type="application/json")

    async def _openapi(self, request: Request) -> Response:
        return JSONResponse(openapi(self.rows.generator, self.version, self.most_rows))

    async def _health(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _page(self, request: Request) -> Response:
        document = openapi(self.rows.generator, self.version, self.most_rows)
        lines = "".join(
            f'<li><a href="{path}">{path}</a>: {html.escape(what["get"]["summary"])}</li>'
            for path, what in document["paths"].items()
        )
        options = "".join(
            f"<li><code>{one['name']}</code>: {html.escape(one['description'])}</li>"
            for one in document["paths"]["/rows"]["get"]["parameters"]
        )
        caveats = "".join(
            f"<p>{html.escape(caveat)}</p>" for caveat in self.rows.generator.statement.caveats
        )
        title = html.escape(document["info"]["title"])
        return HTMLResponse(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
            "<style>body{font:1rem/1.5 system-ui;max-width:45rem;margin:2rem auto;padding:0 1rem}"
            f"</style><h1>{title}</h1><p>{html.escape(document['info']['description'])}</p>{caveats}"
            f"<ul>{lines}</ul><h2>Parameters of /rows</h2><ul>{options}</ul>"
            '<p>For programs: <a href="/openapi.json">/openapi.json</a></p></html>'
        )


class _Stream(Response):
    """The rows of one request, sent a piece at a time."""

    def __init__(self, service: Service, media: str, begin: Callable[[], Iterator[bytes]]) -> None:
        super().__init__(media_type=media)
        del self.headers["content-length"]
        self.headers["x-fedsynth-release"] = service.rows.generator.statement.release_id or ""
        self._service, self._begin = service, begin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._service.place():
            pieces = self._begin()
            try:
                piece = await to_thread.run_sync(_next, pieces)
            except InputError as error:
                await _bad_request(Request(scope), error)(scope, receive, send)
                return
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            asking = Request(scope, receive)
            while piece is not None and not await asking.is_disconnected():
                body = {"type": "http.response.body", "body": piece, "more_body": True}
                await asyncio.wait_for(send(body), PATIENCE)
                piece = await to_thread.run_sync(_next, pieces)
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


def _bad_request(request: Request, error: Exception) -> Response:
    """What is wrong, in the words of the command's options without their dashes."""
    return JSONResponse({"error": str(error).removeprefix("--")}, 400)
