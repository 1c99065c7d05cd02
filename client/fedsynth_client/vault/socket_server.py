"""Serves the vault on a unix socket by gRPC, with the standard health service.

The socket lies in a directory that only the courier's group may enter, and the socket itself is closed
to everybody else. There is no network port. Requests are computed one at a time (the vault has a lock),
and health checks are answered meanwhile, because requests may use all but a few of the threads. A
request beyond this number is refused (RESOURCE_EXHAUSTED), which costs nothing and can be repeated.
Only a few of the requests that wait are read, because everything that is in memory at the same time
must fit (`vault.memory`). On SIGTERM the running call is finished first.
"""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import grpc
import torch
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from fedsynth_client.vault.callers import CHANNEL_OPTIONS, REPLIES, SERVICE, VaultCaller
from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_MESSAGE_BYTES

_THREADS = 16
_COURIERS = 12  # requests computed or waiting at once; the other threads answer health checks
_READ = 3  # requests whose bytes are in memory at once; the others are still with their couriers
# of a request that is not read, no more than 64 KiB come; else gRPC takes more the faster they come
_OPTIONS = (
    *CHANNEL_OPTIONS,
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 64 << 10),
)
WAITING_BYTES = 3 * _READ * MAX_MESSAGE_BYTES
"""Memory of requests and replies in transit: gRPC holds up to two copies and this process one."""
_GRACE_SECONDS = 600.0


def start_server(vault: VaultCaller, socket: Path, mode: int = 0o660) -> grpc.Server:
    """Listen on `socket` (created with permissions `mode`) and return the running server.

    Raises:
        InputError: if the socket's directory does not exist or cannot be used.
    """
    socket = socket.absolute()
    threads = ThreadPoolExecutor(_THREADS, initializer=_flush_denormals)
    server = grpc.server(threads, options=_OPTIONS, maximum_concurrent_rpcs=_THREADS)
    server.add_generic_rpc_handlers((_handlers(vault),))
    checker = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checker, server)
    with _permissions(mode):
        try:
            server.add_insecure_port(f"unix:{socket}")
            server.start()
        except RuntimeError:
            raise InputError(f"socket {socket}: cannot be created; check its directory") from None
    checker.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    return server


def serve(vault: VaultCaller, socket: Path, mode: int = 0o660) -> None:
    """Serve until SIGTERM or SIGINT, then let the running call finish."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = start_server(vault, socket, mode)
    stop.wait()
    server.stop(_GRACE_SECONDS).wait()
    socket.unlink(missing_ok=True)


def _handlers(vault: VaultCaller) -> "grpc.GenericRpcHandler[bytes, bytes]":
    """The methods on raw bytes, so that a malformed message also gets one of our codes.

    They are declared as streams of requests, and a courier sends a stream of one. The reason is that
    gRPC reads a single request before it calls us, but reads a stream only when we ask for the next.
    """
    places, read = threading.Semaphore(_COURIERS), threading.Semaphore(_READ)

    def answer(method: str, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        if not places.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many requests at once")
        try:
            with read:
                return vault.call(method, next(requests, b""))
        finally:
            places.release()

    methods = {
        name.capitalize(): grpc.stream_unary_rpc_method_handler(
            partial(answer, name), request_deserializer=bytes, response_serializer=bytes
        )
        for name in REPLIES
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)


def _flush_denormals() -> None:
    """Make numbers that are too small for a normal float 0 in this thread and those that it starts.

    Arithmetic on such numbers takes many times as long. With weights that are chosen for it, the
    values of a record could otherwise decide how long a step takes.
    """
    torch.set_flush_denormal(True)


@contextmanager
def _permissions(mode: int) -> Iterator[None]:
    """Files created within have at most these permissions."""
    before = os.umask(0o777 & ~mode)
    try:
        yield
    finally:
        os.umask(before)
