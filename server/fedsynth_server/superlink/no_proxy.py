"""What a study says passes no HTTP proxy, whatever the surroundings say.

`HTTP_PROXY` and its like are set on many computers for people who browse, and HTTP clients obey them
even for 127.0.0.1: a study over plaintext on the loopback interface would pass through another machine.
The SuperLink's APIs belong to the coordinator's own computer or network: there is no case for a proxy.

The commands build their own client, which looks at no such variable. The ServerApp's client is Flower's,
made before our code runs: there the study is refused before it sends anything, with what to do.
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
