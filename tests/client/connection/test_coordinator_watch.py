"""The courier says to whom it is connected, and what keeps it from it."""

import logging
import socket
import threading
import time

import grpc
import httpx
import pytest
from certificates import certificate
from grpc_health.v1 import health_pb2, health_pb2_grpc

from fedsynth_client.connection import flower_processes
from fedsynth_client.connection.coordinator_watch import (
    COORDINATOR,
    NOT_REGISTERED,
    CoordinatorWatch,
    unregistered,
)
from fedsynth_client.connection.flower_processes import commands, keep_running
from fedsynth_client.settings.site_config import CourierConfig
from fedsynth_common.local_ports import free_from, is_free, taken_ports


@pytest.fixture
def courier_log(caplog):
    logger = logging.getLogger("fedsynth.courier")
    logger.addHandler(caplog.handler)
    logger.setLevel(logging.INFO)
    yield caplog
    logger.removeHandler(caplog.handler)


def record(text, *arguments):
    return logging.LogRecord("flwr", logging.DEBUG, "", 0, text, arguments, None)


def said(log):
    return list(dict.fromkeys(line.getMessage() for line in log.records))


def serving(watch, service):
    request = health_pb2.HealthCheckRequest(service=service)
    return watch.servicer.Check(request, None).status == health_pb2.HealthCheckResponse.SERVING


def test_address_and_reason_are_named_once_a_minute(courier_log):
    now = [100.0]
    watch = CoordinatorWatch("fed.example.org:444", lambda: now[0])
    refused = httpx.ConnectError("[Errno 111] Connection refused")
    for _ in range(5):
        watch.handle(record("Connection attempt failed with exception: %s", refused))
        now[0] += 5
    (line,) = said(courier_log)
    assert line.startswith("fed.example.org:444 cannot be reached ([Errno 111] Connection refused)")
    assert not serving(watch, COORDINATOR)
    assert serving(watch, "")
    now[0] += 60
    courier_log.clear()
    watch.handle(record("Connection attempt failed with exception: %s", refused))
    assert len(said(courier_log)) == 1


def test_health_follows_the_connection(courier_log):
    watch = CoordinatorWatch("fed.example.org:443")
    watch.handle(record("SuperNode ID: %s", 7))
    assert serving(watch, COORDINATOR)
    watch.handle(record("Connection attempt failed with exception: %s", httpx.ReadError("gone")))
    assert not serving(watch, COORDINATOR)
    watch.handle(record("Connection successful after %.2f seconds and %s tries.", 1.0, 2))
    assert serving(watch, COORDINATOR)
    assert said(courier_log)[0] == "connected to fed.example.org:443"


def answered(status, body):
    request = httpx.Request("POST", "https://fed.example.org")
    response = httpx.Response(status, json=body, request=request)
    return httpx.HTTPStatusError("refused", request=request, response=response)


def test_an_unregistered_key_is_told_from_other_refusals():
    exit_of_flower = SystemExit(1)
    exit_of_flower.__context__ = answered(400, {"code": 2004, "message": "no"})
    assert unregistered(exit_of_flower)
    assert not unregistered(answered(400, {"code": 2003}))
    assert not unregistered(answered(400, [2004]))
    assert not unregistered(None)


def test_the_courier_says_what_to_ask_of_the_coordinator(tmp_path, courier_to):
    started = courier_to(443, certificate(tmp_path / "authority"))
    config = CourierConfig(
        superlink="fed.example.org:443",
        root_certificates=tmp_path / "authority/cert.pem",
        node_key=tmp_path / "node.key",
        home=tmp_path,
        socket=tmp_path / "vault.sock",
    )
    words = commands(config, tmp_path, tmp_path / "secret", plaintext=False).meanings[
        NOT_REGISTERED
    ]
    assert f"ask the coordinator to register {tmp_path}/node.key.pub" in words
    assert started.meanings == {}


def test_the_real_supernode_says_that_nobody_answers(tmp_path, handlers, courier_to, capfd):
    """A wrong port: the log names address and reason, and health says that there is no connection."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    started = courier_to(port, certificate(tmp_path / "authority"))
    (health,) = [word for word in started.supernode if word.startswith("--health-server-address=")]
    runner = threading.Thread(target=keep_running, args=(started,))
    runner.start()
    said_so, states = "", {}
    until = time.monotonic() + 60
    try:
        while time.monotonic() < until and "cannot be reached" not in said_so:
            time.sleep(0.5)
            said_so += capfd.readouterr().err
        for service in ("", COORDINATOR):
            with grpc.insecure_channel(health.partition("=")[2]) as channel:
                request = health_pb2.HealthCheckRequest(service=service)
                states[service] = (
                    health_pb2_grpc.HealthStub(channel).Check(request, timeout=5).status
                )
    finally:
        handlers[flower_processes.signal.SIGTERM]()
        runner.join(30)
    assert f"127.0.0.1:{port} cannot be reached" in said_so
    assert "Connection refused" in said_so
    assert "retrying in" not in said_so
    assert states == {"": 1, COORDINATOR: 2}


def test_a_port_that_is_taken_is_named_with_a_free_one():
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        assert not is_free(taken)
        free = free_from(taken)
        assert free != taken
        (line,) = taken_ports({"runtime_port": taken, "health_port": free}, "courier.toml")
        assert line.startswith(f"runtime_port {taken}: another program on this computer uses it")
        assert "write a free one into courier.toml, for example runtime_port = " in line
    assert taken_ports({"runtime_port": free, "health_port": free}, "courier.toml") == [
        "runtime_port and health_port: must be different ports; correct courier.toml"
    ]


def test_a_courier_whose_port_is_taken_does_not_start(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        config = CourierConfig(
            superlink="fed.example.org:443",
            root_certificates=tmp_path / "ca.crt",
            node_key=tmp_path / "node.key",
            home=tmp_path,
            socket=tmp_path / "vault.sock",
            runtime_port=(taken := other.getsockname()[1]),
        )
        named = [reason for reason in flower_processes.unsafe(config) if str(taken) in reason]
    assert [reason.split(";")[0] for reason in named] == [
        f"runtime_port {taken}: another program on this computer uses it"
    ]
