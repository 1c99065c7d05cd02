"""The vault behind its socket: the same answers, closed permissions, health, a clean end."""

import contextlib
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import pytest
import torch
from grpc_health.v1 import health_pb2, health_pb2_grpc
from small_site import SCHEMA, Site, make_plan

from fedsynth_client.vault.callers import SERVICE, LocalVault, SocketVault
from fedsynth_client.vault.socket_server import WAITING_BYTES, start_server
from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_MESSAGE_BYTES
from fedsynth_common.protocol import PROTOCOL_VERSION
from fedsynth_common.protocol import vault_pb2 as pb


@pytest.fixture
def served(tmp_path):
    site = Site()
    server = start_server(site.vault, tmp_path / "vault.sock")
    yield site, str(tmp_path / "vault.sock")
    server.stop(None).wait()


@pytest.fixture(params=["local", "socket"])
def caller(request, served):
    site, path = served
    return site, LocalVault(site.vault) if request.param == "local" else SocketVault(path)


def test_both_ways_of_calling_answer_alike(caller):
    site, vault = caller
    enrolment = pb.EnrollRequest(protocol_version=PROTOCOL_VERSION, plan_json=site.plan.to_json())
    reply = pb.EnrollReply.FromString(vault.call("enroll", enrolment.SerializeToString()))
    assert reply.status == "OK"
    body = site.discriminate_request().SerializeToString()
    assert pb.DiscriminateReply.FromString(vault.call("discriminate", body)).status == "OK"
    assert vault.call("discriminate", body) == site.vault.call("discriminate", body)
    assert pb.MeasureReply.FromString(vault.call("measure", b"\xff")).status == "ERR_PAYLOAD"


def test_the_socket_is_closed_to_others(served):
    mode = stat.S_IMODE(Path(served[1]).stat().st_mode)
    assert mode & 0o007 == 0


def test_health_is_answered_while_a_request_is_computed(served):
    site, path = served
    busy = threading.Event()
    site.vault._turn.acquire()
    try:
        caller = threading.Thread(
            target=lambda: (busy.set(), SocketVault(path).call("enroll", b"")), daemon=True
        )
        caller.start()
        busy.wait()
        with grpc.insecure_channel(f"unix:{path}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            for service in ("", SERVICE):
                request = health_pb2.HealthCheckRequest(service=service)
                assert stub.Check(request, timeout=10).status == 1  # SERVING
    finally:
        site.vault._turn.release()
        caller.join()


def test_numbers_too_small_to_compute_fast_are_zero_in_the_vault(tmp_path):
    class Computer:
        def call(self, method, request):
            return b"flushed" if torch.tensor([1e-40]).mul(0.5).item() == 0.0 else b"computed"

    server = start_server(Computer(), tmp_path / "vault.sock")
    assert Computer().call("measure", b"") == b"computed"
    assert SocketVault(str(tmp_path / "vault.sock")).call("measure", b"") == b"flushed"
    server.stop(None).wait()


def test_messages_of_16_mib_pass(served):
    big = pb.EnrollRequest(protocol_version=PROTOCOL_VERSION, plan_json=b"x" * 2**24)
    answer = SocketVault(served[1]).call("enroll", big.SerializeToString())
    assert pb.EnrollReply.FromString(answer).status == "ERR_PLAN"


def test_a_directory_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        start_server(Site().vault, tmp_path / "nowhere" / "vault.sock")


def write_site(tmp_path):
    rows = ["a,true,w", "b,false,x", "c,true,y"] * 100
    (tmp_path / "t.csv").write_text("\n".join(["ward,smoker,outcome", *rows]))
    SCHEMA.save(tmp_path / "schema.json")
    (tmp_path / "policy.toml").write_text(
        'dataset = "people"\nmax_epsilon = 10\nmax_delta = 1e-5\n'
        'min_records = 100\napproved_plans = "any"\n'
    )
    places = {"data": "t.csv", "schema": "schema.json", "policy": "policy.toml"}
    places |= {"ledger": "ledger.db", "key": "site.key", "socket": "vault.sock"}
    config = tmp_path / "site.toml"
    config.write_text("\n".join(f'{name} = "{place}"' for name, place in places.items()))
    return ["--config", str(config)]


def answered(vault, method, request):
    for _ in range(300):
        try:
            return vault.call(method, request.SerializeToString())
        except grpc.RpcError:
            time.sleep(0.1)
    raise AssertionError("the vault never came up")


def test_the_command_serves_until_sigterm_and_finishes_the_running_call(tmp_path):
    code = "import sys; from fedsynth_client.cli import app; app()"
    command = [sys.executable, "-c", code, "serve", *write_site(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    vault = SocketVault(str(tmp_path / "vault.sock"))
    plan = make_plan(training={"steps_per_message": 500, "noise_multiplier": 30.0})
    enrolment = pb.EnrollRequest(protocol_version=PROTOCOL_VERSION, plan_json=plan.to_json())
    assert pb.EnrollReply.FromString(answered(vault, "enroll", enrolment)).status == "OK"
    replies = []
    request = Site(plan=plan).discriminate_request().SerializeToString()
    caller = threading.Thread(target=lambda: replies.append(vault.call("discriminate", request)))
    caller.start()
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    caller.join()
    assert pb.DiscriminateReply.FromString(replies[0]).status == "OK"
    assert process.wait(timeout=30) == 0
    assert not (tmp_path / "vault.sock").exists()


SLOW = """
import sys, time
from pathlib import Path
from fedsynth_client.vault.socket_server import serve
class Slow:
    def call(self, method, request):
        time.sleep(0.0 if method == "receipt" else 6.0)
        return b""
serve(Slow(), Path(sys.argv[1]))
"""


def test_only_a_few_requests_are_in_memory_while_others_wait(tmp_path):
    """Twelve couriers send 32 MiB each; most of it stays with them while three are computed."""
    path = str(tmp_path / "vault.sock")
    process = subprocess.Popen([sys.executable, "-c", SLOW, path])
    size = 32 << 20
    try:
        for _ in range(600):
            with contextlib.suppress(grpc.RpcError):
                SocketVault(path).call("receipt", b"")
                break
            time.sleep(0.1)
        before = resident(process.pid)
        couriers = [
            threading.Thread(target=SocketVault(path).call, args=("discriminate", bytes(size)))
            for _ in range(12)
        ]
        for courier in couriers:
            courier.start()
        most = 0
        while any(courier.is_alive() for courier in couriers):
            most = max(most, resident(process.pid) - before)
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert 3 * size < most < 3 * 3 * size
    assert 3 * 3 * MAX_MESSAGE_BYTES == WAITING_BYTES


def resident(pid):
    return 4096 * int(Path(f"/proc/{pid}/statm").read_text().split()[1])
