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
    from fedsynth_client.steward_page import page_server, token_of

    token = token_of(config.absolute().parent / "page.token")
    facts_of(config)  # a configuration that cannot be read is said now
    server = page_server(lambda: facts_of(config), token, port)
    typer.echo(f"page: http://127.0.0.1:{server.server_address[1]}/?token={token}")
    with suppress(KeyboardInterrupt):
        server.serve_forever()
