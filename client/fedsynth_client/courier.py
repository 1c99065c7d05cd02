"""The courier: the Flower ClientApp of a site, which carries bytes to the vault and back.

Flower runs code that the coordinator ships, in a new process per message, and sends exception texts
to the coordinator. So this process holds no records, no policy and no ledger; it does not look into
the bytes it carries; and every failure becomes a fixed code. It imports neither
torch nor pandas, which also makes it start fast.

Message content: `RecordDict({"request": ConfigRecord({"body": bytes})})`, the reply alike under
"reply". The vault's socket is `vault-socket` in the node configuration, set by the site.
"""

from collections.abc import Callable

import grpc
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fedsynth_client.vault.callers import REPLIES, SocketVault, VaultCaller, refusal
from fedsynth_common.errors import ErrorCode

Connect = Callable[[Context], VaultCaller]


def make_courier(connect: Connect) -> ClientApp:
    """A ClientApp that forwards the messages of a study to the vault of `connect`."""
    app = ClientApp()

    for method in REPLIES:
        register = app.train if method == "discriminate" else app.query
        register(method)(_carrier(method, connect))
    return app


def _carrier(method: str, connect: Connect) -> Callable[[Message, Context], Message]:
    def carry(message: Message, context: Context) -> Message:
        return _carry(method, connect, message, context)

    return carry


def _carry(method: str, connect: Connect, message: Message, context: Context) -> Message:
    body = _answer(method, connect, message, context)
    content = RecordDict({"reply": ConfigRecord({"body": body})})
    return Message(content, reply_to=message)


def _answer(method: str, connect: Connect, message: Message, context: Context) -> bytes:
    try:
        record = message.content.config_records.get("request", ConfigRecord())
        body = record.get("body")
        if not isinstance(body, bytes):
            return refusal(method, ErrorCode.PAYLOAD)
        return connect(context).call(method, body)
    except (grpc.RpcError, OSError):
        return refusal(method, ErrorCode.UNAVAILABLE)
    except Exception:  # its text would travel to the coordinator
        return refusal(method, ErrorCode.INTERNAL)


def connect_to_socket(context: Context) -> SocketVault:
    """The vault of this site, at the socket its operator configured."""
    return SocketVault(str(context.node_config["vault-socket"]))


app = make_courier(connect_to_socket)
