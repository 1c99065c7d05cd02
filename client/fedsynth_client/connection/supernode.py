"""Flower's SuperNode, in a process that ends when SuperNode does.

    python -P -m fedsynth_client.connection.supernode [options of flower-supernode]

When Flower 1.41 gives a connection up (a TLS handshake that times out during a silent network does it,
after thirty seconds), its main thread ends with a traceback, but its other threads keep the process
alive: the site looks alive and is not connected, and nothing starts it again because nothing ended.
Here the process ends when its main thread ends, so that `flower_processes` starts it again. The exit
code says when starting again is of no use (`untrusted_certificate`).

What Flower says of its connection is listened to (`coordinator_watch`), and its health service is
replaced by one that knows whether there is a connection. An answer that refuses the site's signature is
looked at before Flower ends without a word.
"""

import logging
import os
import sys
import traceback
from http import HTTPStatus
from typing import Any

from flwr.supercore.logger import FLOWER_LOGGER
from flwr.supercore.protobuf.client import ProtobufCall, ProtobufRequestContext
from flwr.supernode import start_client_internal
from flwr.supernode.cli import flower_supernode
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from fedsynth_client.connection.coordinator_watch import (
    NOT_REGISTERED,
    REFUSED,
    CoordinatorWatch,
    not_replaced,
    unregistered,
)
from fedsynth_client.connection.untrusted_certificate import certificate_fault
from fedsynth_common.cli.logs import log_to_stderr


def _watch() -> CoordinatorWatch:
    """Listen to Flower's logger, and answer health checks in Flower's place."""
    log_to_stderr()
    option = "--superlink="
    superlink = next(
        (word.removeprefix(option) for word in sys.argv if word.startswith(option)), ""
    )
    watch = CoordinatorWatch(superlink)
    for handler in FLOWER_LOGGER.handlers:
        handler.addFilter(not_replaced)
    FLOWER_LOGGER.setLevel(logging.DEBUG)
    FLOWER_LOGGER.addHandler(watch)
    start_client_internal.run_health_server_grpc_no_tls = watch.serve  # type: ignore[attr-defined]
    _look_at_answers(watch)
    return watch


def _look_at_answers(watch: CoordinatorWatch) -> None:
    """Tell `watch` of every answer that refuses the site's signature."""
    signed = NodeAuthHttpInterceptor.intercept

    def intercept(
        one: NodeAuthHttpInterceptor, context: ProtobufRequestContext, call_next: ProtobufCall
    ) -> Any:  # httpx's response, which is Flower's dependency and not ours
        answer = signed(one, context, call_next)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            watch.refuse(answer.headers.get("date", ""))
        return answer

    NodeAuthHttpInterceptor.intercept = intercept  # type: ignore[method-assign, assignment]


def main() -> None:
    """Run SuperNode; never returns."""
    code, watch = 1, None
    try:
        watch = _watch()
        flower_supernode()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
        code = NOT_REGISTERED if unregistered(ended) else certificate_fault(ended) or code
    except BaseException:
        traceback.print_exc()
    if watch is not None and watch.refused:
        code = REFUSED
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
