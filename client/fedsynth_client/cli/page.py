"""`fedsynth site page`: what `status` says, as a page in a browser of this computer."""

from contextlib import suppress
from typing import Annotated

import typer

from fedsynth_client.cli.options import ConfigPath


def page(
    config: ConfigPath,
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="The port of the loopback interface; 0: a free one."),
    ] = 9097,
) -> None:
    """Show on this computer alone what runs, what was spent and is left, until stopped.

    The address that is printed holds a token; whoever has it can look and do nothing. /metrics has the
    same numbers for Prometheus, which passes the token of DIR/page.token as a bearer token.

    For example:

      fedsynth site page --config dayton/site.toml
    """
    from fedsynth_client.cli.status import facts_of
    from fedsynth_client.steward_page import steward_view
    from fedsynth_common.errors import InputError

    try:
        from fedsynth_common.local_page.server import LocalPage
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"uvicorn", "starlette", "anyio"}:
            raise
        raise InputError(
            f"{error.name}, which Flower brings, is not installed, as in the image of the vault: use "
            "fedsynth site status here, or the page where fedsynth-client is installed whole"
        ) from None
    from fedsynth_common.local_page.token import token_of

    token = token_of(config.absolute().parent / "page.token")
    title = f"fedsynth: {facts_of(config)['dataset']}"  # a faulty configuration is said now
    shown = LocalPage(steward_view(title, lambda: facts_of(config)), token, port)
    typer.echo(f"page: {shown.address}")
    with suppress(KeyboardInterrupt):
        shown.serve()
