"""A study in a FLARE network: a Controller that runs it, over FLARE's tasks in place of Flower's grid.

The study itself is `fedsynth_server.app.run_study`, with its plan, journal and export. `FlareGrid`
gives it what it asks of a Flower grid: who is connected, sending, and collecting replies. Flower's
message classes are used inside this process only; nothing of Flower runs.

`TaskIdentity` is private to Flower, but outside a Flower process `Message()` cannot be built
without it.
"""

import itertools
import threading
from collections.abc import Iterable
from pathlib import Path

from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from nvflare.apis.controller_spec import ClientTask, Task
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl.controller import Controller
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from fedsynth_common.errors import FedsynthError
from fedsynth_flare import BODY, TASK_PREFIX
from fedsynth_server.app import run_study
from fedsynth_server.study.folder import StudyFolder

UNANSWERED = 5
"""Flower's code for a node that did not answer, which a study takes as a failure that may pass."""


class FlareGrid(Grid):
    """The clients of a FLARE job as the nodes of a grid.

    Args:
        controller: sends the tasks.
        context: of the job's control flow.
    """

    def __init__(self, controller: Controller, context: FLContext) -> None:
        TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1
        self._controller, self._context = controller, context
        self._nodes: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self._replies: dict[str, Message] = {}
        self._lock = threading.Lock()  # FLARE answers from threads of its own

    def set_run(self, run: Run) -> None:
        """Do nothing, because a job is the only run."""

    @property
    def run(self) -> Run:
        """Raise an error, because there is no SuperLink run."""
        raise NotImplementedError("a FLARE job has no SuperLink run")

    def create_message(self, *args: object, **kwargs: object) -> Message:
        """Raise an error, because Flower deprecates this method."""
        raise NotImplementedError("build Message(...) instead")

    def get_node_ids(self) -> Iterable[int]:
        """A number for each client that is connected; a client keeps its number."""
        clients = self._context.get_engine().get_clients()
        for client in clients:
            self._nodes.setdefault(client.name, len(self._nodes) + 2)
        return [self._nodes[client.name] for client in clients]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send each message as a task to its client, and return the messages' ids."""
        return [self._send(message) for message in messages]

    def _send(self, message: Message) -> str:
        number = f"message-{next(self._numbers)}"
        message.metadata.__dict__["_message_id"] = number
        names = {node: name for name, node in self._nodes.items()}
        data = Shareable()
        data[BODY] = message.content.config_records["request"]["body"]

        def received(client_task: ClientTask, fl_ctx: FLContext) -> None:
            self._keep(number, message, client_task.result)
            client_task.result = None  # FLARE would keep it

        def done(task: Task, fl_ctx: FLContext) -> None:
            self._keep(number, message, None)

        task = Task(
            name=TASK_PREFIX + message.metadata.message_type.split(".")[1],
            data=data,
            timeout=max(1, int(message.metadata.ttl)),
            result_received_cb=received,
            task_done_cb=done,
        )
        self._controller.send(task, self._context, targets=[names[message.metadata.dst_node_id]])
        return number

    def _keep(self, number: str, message: Message, result: Shareable | None) -> None:
        """Keep the first that is known of a message: its reply, or that there will be none."""
        body = result.get(BODY) if result is not None else None
        good = result is not None and result.get_return_code() == ReturnCode.OK
        if good and isinstance(body, bytes):
            content = RecordDict({"reply": ConfigRecord({"body": body})})
            reply = Message(content, reply_to=message)
        else:
            reply = Message(Error(UNANSWERED, "no reply"), reply_to=message)
        with self._lock:
            self._replies.setdefault(number, reply)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies that are there."""
        with self._lock:
            return [self._replies.pop(i) for i in list(message_ids) if i in self._replies]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Raise an error: a study pushes and pulls."""
        raise NotImplementedError("push the messages and pull the replies")


class StudyController(Controller):  # type: ignore[misc]  # nvflare has no types
    """Runs the study of a folder on the FLARE server's computer, and writes its generator there.

    Args:
        study: the study's folder, as `fedsynth study init` makes it.
    """

    def __init__(self, study: str) -> None:
        super().__init__()
        self._study = Path(study)

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Nothing to prepare: the folder has everything."""

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        """Run the study, or resume it from its journal."""
        try:
            run_study(StudyFolder(self._study), FlareGrid(self, fl_ctx), fl_ctx.get_job_id())
        except FedsynthError as error:
            self.system_panic(f"{self._study}: {error}", fl_ctx)

    def stop_controller(self, fl_ctx: FLContext) -> None:
        """Nothing to clear up: the journal has every reply."""

    def process_result_of_unknown_task(
        self,
        client: object,
        task_name: str,
        client_task_id: str,
        result: Shareable,
        fl_ctx: FLContext,
    ) -> None:
        """Drop a reply that came too late; the vault keeps it in its outbox, at no charge."""
