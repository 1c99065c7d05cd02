"""The two ways in which a courier reaches a vault: over a unix socket, or in the same process.

Both take and return the serialised messages of `vault.proto` and do not look into them. The second is
for simulations. This file imports neither torch nor pandas, so that a courier starts fast.
"""

from typing import Any, Protocol

import grpc

from fedsynth_common.errors import ErrorCode
from fedsynth_common.limits import MAX_MESSAGE_BYTES
from fedsynth_common.protocol import vault_pb2 as pb

CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),  # never use a proxy, whatever the environment says
)
SERVICE = pb.DESCRIPTOR.services_by_name["Vault"].full_name
REPLIES: dict[str, Any] = {
    "enroll": pb.EnrollReply,
    "measure": pb.MeasureReply,
    "discriminate": pb.DiscriminateReply,
    "receipt": pb.ReceiptReply,
    "keys": pb.KeysReply,
    "shares": pb.SharesReply,
    "agree": pb.AgreeReply,
    "unmask": pb.UnmaskReply,
}


class VaultCaller(Protocol):
    """What answers the methods of a vault."""

    def call(self, method: str, request: bytes) -> bytes:
        """Send a serialised request of `method`, return the serialised reply."""
        ...


def refusal(method: str, code: ErrorCode) -> bytes:
    """The serialised reply of `method` that carries a code and nothing else."""
    data: bytes = REPLIES[method](status=code.value).SerializeToString()
    return data


class SocketVault:
    """A vault behind a unix socket. Each call opens a connection, because couriers are short-lived."""

    def __init__(self, path: str, timeout: float = 3600.0) -> None:
        self._target = f"unix:{path}"
        self._timeout = timeout

    def call(self, method: str, request: bytes) -> bytes:
        """Send the request to the vault and return its reply.

        Raises:
            grpc.RpcError: the vault cannot be reached or did not answer in time.
        """
        with grpc.insecure_channel(self._target, options=CHANNEL_OPTIONS) as channel:
            answer: bytes = channel.unary_unary(
                f"/{SERVICE}/{method.capitalize()}",
                request_serializer=bytes,
                response_deserializer=bytes,
            )(request, timeout=self._timeout)
        return answer


class LocalVault:
    """A vault in this process, called without a socket."""

    def __init__(self, vault: VaultCaller) -> None:
        self._vault = vault

    def call(self, method: str, request: bytes) -> bytes:
        """Forward the bytes."""
        return self._vault.call(method, request)
