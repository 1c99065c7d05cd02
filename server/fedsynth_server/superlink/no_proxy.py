"""No message of a study goes through an HTTP proxy, whatever the environment variables say.

`HTTP_PROXY` and similar variables are set on many computers for web browsing, and HTTP clients obey them
even for 127.0.0.1: the plaintext messages of a study on one computer would then pass through another
machine. The SuperLink's APIs are on the coordinator's own computer or network, so no proxy is needed.

The commands use a client that ignores these variables. The ServerApp's client is made by Flower before
our code runs, so there the study stops before it sends anything, and the message says what to do.
"""

import ssl
from collections.abc import Sequence
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx
from flwr.serverapp import Grid
from flwr.supercore.control import ControlHttpClient

from fedsynth_common.errors import InputError


class DirectControlClient(ControlHttpClient):
    """Flower's client of the Control API, without a proxy."""

    def __init__(
        self,
        base_url: str,
        *,
        interceptors: Sequence[Any] = (),
        verify: ssl.SSLContext | bool | str = True,
        timeout: float = 30.0,
        **others: Any,
    ) -> None:
        super().__init__(
            base_url, interceptors=interceptors, verify=verify, timeout=timeout, **others
        )
        self._client.close()
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(verify=verify),  # given one, httpx mounts no proxy
            timeout=timeout,
            follow_redirects=True,
            trust_env=False,
        )


def refuse_proxy(grid: Grid) -> None:
    """Refuse a ServerApp whose messages Flower would send through a proxy.

    Raises:
        InputError: a proxy variable is set that holds for the SuperLink's address.
    """
    address = str(getattr(grid, "_addr", ""))  # of Flower 1.41's HttpGrid; others have no socket
    host = address.rpartition(":")[0].strip("[]")
    schemes = {"http", "https", "all"} & set(getproxies())
    if host and schemes and not proxy_bypass(host):
        names = ", ".join(sorted(f"{scheme}_proxy" for scheme in schemes))
        raise InputError(
            f"the ServerApp's environment sets {names}, so that messages to {address} would pass a "
            "proxy; start flower-superexec with NO_PROXY='*' no_proxy='*'"
        )
