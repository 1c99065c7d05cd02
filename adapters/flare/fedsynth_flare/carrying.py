"""What a site's courier in a FLARE network does with a message; it needs nothing of FLARE.

It stands for `fedsynth_client.courier`. It holds no record, it does not look into the bytes that it
carries, and every failure becomes a fixed code, since texts would travel to the coordinator.
"""

import os
import re
from pathlib import Path

import grpc

from fedsynth_client.vault.callers import SocketVault, refusal
from fedsynth_common.errors import ErrorCode

SOCKET = "FEDSYNTH_VAULT_SOCKET"
"""The environment variable that names the vault's socket. `{client}` in it becomes the name of this
FLARE client, for computers that run several."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def socket_of(client: str) -> Path:
    """The vault's socket, as the site's operator named it.

    Raises:
        OSError: there is no such variable, or the client's name is no part of a path.
    """
    place = os.environ.get(SOCKET, "")
    if not place:
        raise OSError(f"{SOCKET} is not set")
    if "{client}" in place and not _NAME.fullmatch(client):
        raise OSError("the name of this client cannot be part of a path")
    return Path(place.replace("{client}", client))


def carried(method: str, body: object, client: str) -> bytes:
    """The vault's serialised reply, or the refusal that stands for what went wrong.

    Args:
        method: of `fedsynth_client.vault.callers.REPLIES`.
        body: the serialised request; anything else than bytes is refused.
        client: the name of this FLARE client.
    """
    try:
        if not isinstance(body, bytes):
            return refusal(method, ErrorCode.PAYLOAD)
        return SocketVault(str(socket_of(client))).call(method, body)
    except (grpc.RpcError, OSError):
        return refusal(method, ErrorCode.UNAVAILABLE)
    except Exception:  # its text would travel to the coordinator
        return refusal(method, ErrorCode.INTERNAL)
