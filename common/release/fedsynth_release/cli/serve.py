"""`fedsynth serve` gives out records of a finished generator over HTTP."""

import socket
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from fedsynth_common.errors import InputError
from fedsynth_common.extras import how_to_install

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

EPILOG = (
    "Examples:\n\n"
    "fedsynth serve covid-release --port 8080\n\n"
    "curl 'http://127.0.0.1:8080/rows?rows=1000&format=csv&where=age>=65'"
)


@app.command(epilog=EPILOG)
def serve(
    release: Annotated[Path, typer.Argument(help="Folder of a release or of a generator.")],
    host: Annotated[str, typer.Option(help="The address of this computer to listen on.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 8080,
    max_rows: Annotated[
        int, typer.Option(min=1, help="Records that one request may ask for.")
    ] = 1_000_000,
    at_once: Annotated[
        int, typer.Option(min=1, max=64, help="Requests answered at the same time; others wait.")
    ] = 4,
) -> None:
    """Serve records, model card, privacy statement and report over HTTP, until stopped.

    Nobody has to log in, since all of it is in the release. The service speaks no TLS: to publish it,
    put a proxy with a certificate before it.
    """
    try:
        import uvicorn

        from fedsynth_release.serving.app import Service
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"uvicorn", "starlette", "anyio"}:
            raise
        raise InputError(
            f"{error.name}, which serves over HTTP, is not installed; run: {how_to_install('serve')}"
        ) from None
    service = Service(release, version("fedsynth-release"), max_rows, at_once)
    try:
        listening = socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise InputError(
            f"--host {host} --port {port}: cannot listen there ({error.strerror}); choose another"
        ) from None
    typer.echo(f"serving {release} on http://{host}:{port}/")
    settings = uvicorn.Config(
        service.app(), log_level="warning", access_log=False, timeout_keep_alive=5, lifespan="off"
    )
    uvicorn.Server(settings).run(sockets=[listening])
