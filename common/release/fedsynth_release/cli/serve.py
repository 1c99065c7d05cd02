"""`fedsynth serve` gives out records of a finished generator over HTTP, with or without TLS."""

import socket
import ssl
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
    "curl 'http://127.0.0.1:8080/rows?rows=1000&format=csv&where=age>=65'\n\n"
    "fedsynth serve covid-release --host 0.0.0.0 --port 443 --certificate chain.pem --key host.key"
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
    certificate: Annotated[
        Path | None,
        typer.Option(help="Certificate chain of --host (PEM), for HTTPS; --key goes with it."),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Private key of --certificate (PEM).")] = None,
) -> None:
    """Serve records, model card, privacy statement and report over HTTP, until stopped.

    Nobody has to log in, since all of it is in the release. To publish it, pass --certificate and
    --key, or put a proxy with a certificate before it.
    """
    _check_certificate(certificate, key)
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
    scheme = "https" if certificate else "http"
    typer.echo(f"serving {release} on {scheme}://{host}:{port}/")
    settings = uvicorn.Config(
        service.app(),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=5,
        lifespan="off",
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    uvicorn.Server(settings).run(sockets=[listening])


def _check_certificate(certificate: Path | None, key: Path | None) -> None:
    """Refuse half of the two files, and files that do not belong together.

    Raises:
        InputError: naming the option and the file.
    """
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        raise InputError("--certificate and --key: give both for HTTPS, or neither")
    for option, path in (("--certificate", certificate), ("--key", key)):
        if not path.is_file():
            raise InputError(f"{option} {path}: no such file")
    if key.stat().st_mode & 0o077:
        raise InputError(f"--key {key}: others may read it; close it with: chmod 600")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, "")
    except OSError as error:  # ssl.SSLError is one
        reason = getattr(error, "reason", None) or error.strerror
        raise InputError(
            f"--certificate {certificate} and --key {key}: expected PEM files without a password that "
            f"belong together ({reason})"
        ) from None
