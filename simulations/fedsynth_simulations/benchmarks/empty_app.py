"""A Flower app that does nothing, to measure what an exchange of messages costs by itself.

An exchange works as in a study: push a message to every node, look for the replies every half
second, then begin the next exchange. Request and reply are empty. `study` in the run configuration
names the file for the durations, a JSON list of seconds.
"""

import json
import time
from pathlib import Path

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

POLL = 0.5  # seconds, as in `fedsynth_server.study.folder`
DEADLINE = 600.0

client = ClientApp()
server = ServerApp()


@client.query("nothing")
def nothing(message: Message, context: Context) -> Message:
    """Reply with nothing."""
    return Message(RecordDict({"reply": ConfigRecord({"body": b""})}), reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Exchange nothing, as often as the file asks for with its first number, with as many nodes."""
    target = Path(str(context.run_config["study"]))
    exchanges, sites = json.loads(target.read_text())
    while len(nodes := sorted(grid.get_node_ids())) < sites:
        time.sleep(POLL)
    target.write_text(json.dumps([_exchange(grid, nodes) for _ in range(exchanges)]))


def _exchange(grid: Grid, nodes: list[int]) -> float:
    """Seconds from the first push to the last reply."""
    begun = time.monotonic()
    content = RecordDict({"request": ConfigRecord({"body": b""})})
    messages = [
        Message(content, dst_node_id=node, message_type="query.nothing", ttl=DEADLINE)
        for node in nodes
    ]
    waiting = set(grid.push_messages(messages))
    while waiting:
        for reply in grid.pull_messages(waiting):
            waiting.discard(reply.metadata.reply_to_message_id)
        if time.monotonic() - begun > DEADLINE:
            raise TimeoutError("a node does not answer")
        time.sleep(POLL if waiting else 0.0)
    return time.monotonic() - begun
