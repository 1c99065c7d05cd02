"""A Flower grid inside this process: the usual ServerApp and ClientApps without SuperLink or Ray.

Messages are answered at once and in order. A study is therefore deterministic given its randomness
and starts at once, and a test can switch sites off (`down`). The grid does not serialise Flower's
own envelope; the socket test and the Ray backend do. The bodies of the messages are serialised
protobuf as everywhere.

`TaskIdentity` is private to Flower, but outside a Flower process `Message()` cannot be built
without it.
"""

import itertools
from collections.abc import Iterable, Mapping

from flwr.app import Context, Error, Message, RecordDict, UserConfigValue
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

NODE_UNAVAILABLE = 5
"""The error code that Flower uses for a node that does not answer."""


class InProcessGrid(Grid):
    """A grid that calls the ClientApp of each node directly."""

    def __init__(
        self, app: ClientApp, node_configs: Iterable[Mapping[str, UserConfigValue]]
    ) -> None:
        TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1
        self._app = app
        self._contexts = {
            node: Context(
                run_id=1, node_id=node, node_config=dict(config), state=RecordDict(), run_config={}
            )
            for node, config in enumerate(node_configs, start=2)
        }
        self._numbers = itertools.count(1)
        self._replies: dict[str, Message] = {}
        self.down: set[int] = set()
        self.exchanged = 0

    def set_run(self, run: Run) -> None:
        """Do nothing, because there is only one run."""

    @property
    def run(self) -> Run:
        """Raise an error, because there is no SuperLink run."""
        raise NotImplementedError("the in-process grid has no SuperLink run")

    def create_message(self, *args: object, **kwargs: object) -> Message:
        """Raise an error, because Flower deprecates this method."""
        raise NotImplementedError("build Message(...) instead")

    def get_node_ids(self) -> Iterable[int]:
        """The ids of the nodes that are switched on."""
        return [node for node in self._contexts if node not in self.down]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Deliver the messages, run the apps, keep the replies, and return the message ids."""
        return [self._deliver(message) for message in messages]

    def _deliver(self, message: Message) -> str:
        number = f"message-{next(self._numbers)}"
        message.metadata.__dict__["_message_id"] = number
        node = message.metadata.dst_node_id
        if node in self.down:
            self._replies[number] = Message(Error(NODE_UNAVAILABLE, "down"), reply_to=message)
        else:
            self._replies[number] = self._app(message, self._contexts[node])
        self.exchanged += 1
        return number

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies that are ready."""
        return [self._replies.pop(i) for i in list(message_ids) if i in self._replies]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Push messages and pull their replies."""
        return self.pull_messages(self.push_messages(messages))
