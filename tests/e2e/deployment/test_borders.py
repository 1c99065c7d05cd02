"""What the coordinator publishes, whom it lets in, and what a site's processes can reach."""

import http.client
import os
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from deployed.coordinator import BIN, make_certificates
from deployed.process import Process
from deployed.separation import COURIER, SOCKET_GROUP, VAULT, separation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
as_users = pytest.mark.skipif(not separation().users, reason="needs root, for users of the site")
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}  # 127.0.0.1, also as the kernel maps it
networkless = pytest.mark.skipif(
    not separation().networkless, reason="needs the right to make network namespaces"
)


def ask(coordinator, method, path, port=None, body=b""):
    context = ssl.create_default_context(cafile=str(coordinator.ca))
    port = port or coordinator.public_port
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=30)
    connection.request(method, path, body, {"Content-Type": "application/protobuf"})
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    "path",
    [
        "/v1/control/start-run",
        "/v1/control/register-node",
        "/v1/control/list-runs",
        "/v1/runtime/acquire-task",
        "/v1/fleet/../control/list-runs",
        "/v1/fleet/..%2fcontrol/list-runs",
        "//v1/control/list-runs",
        "/docs",
        "/openapi.json",
        "/health",
        "/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_proxy_publishes_the_fleet_api_alone(federation, method, path):
    assert ask(federation.coordinator, method, path) in {403, 404}


def test_the_control_api_is_there_but_only_inside(federation):
    """Otherwise the test above would prove nothing."""
    inside = federation.coordinator.superlink_port
    assert ask(federation.coordinator, "POST", "/v1/control/list-runs", inside) == 200


def test_strangers_get_no_answer_of_the_fleet_api(federation):
    for path in ("register-node", "activate-node", "pull-messages", "get-fab", "push-messages"):
        assert ask(federation.coordinator, "POST", f"/v1/fleet/{path}") in {400, 401, 403}
    assert ask(federation.coordinator, "GET", "/v1/fleet/pull-messages") == 403


def test_work_is_given_only_to_who_knows_the_secret(federation):
    inside = federation.coordinator.superlink_port
    assert ask(federation.coordinator, "POST", "/v1/runtime/acquire-task", inside) in {401, 403}


def test_plaintext_is_refused(federation):
    connection = http.client.HTTPConnection(
        "localhost", federation.coordinator.public_port, timeout=10
    )
    connection.request("POST", "/v1/fleet/pull-messages", b"")
    assert connection.getresponse().status == 400


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
def test_old_tls_is_refused(federation):
    context = ssl.create_default_context(cafile=str(federation.coordinator.ca))
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("localhost", federation.coordinator.public_port)) as plain,
        pytest.raises(OSError, match=r"(?i)ssl|reset|closed"),
    ):
        context.wrap_socket(plain, server_hostname="localhost").close()


def stranger(federation, folder, certificate, key=None):
    """A courier that connects as dayton's does, with another certificate or key."""
    site = federation.sites["dayton"]
    shutil.copytree(site.outside, folder, symlinks=True)
    shutil.copy(certificate, folder / "ca.crt")
    if key:
        (folder / "node.key").write_bytes(key)
    settings = folder / "courier.toml"
    text = settings.read_text()
    settings.write_text(text[: text.index("runtime_port =", text.index("socket"))])
    for path in (folder, *folder.iterdir()):
        if path.name != "flower":
            separation().own(path, COURIER, 0o700 if path.is_dir() else 0o600)
    return Process(
        folder.name,
        [str(BIN / "fedsynth"), "site", "connect", "--courier", str(settings)],
        folder.parent / f"{folder.name}.log",
        env=site.environment,
        ready=lambda: False,
        prefix=separation().prefix(COURIER, site.folder / "python", network=True),
    )


def said(process, federation, words):
    process.start(wait=0)
    try:
        federation.wait_for(
            lambda: any(word in process.text for word in words), 120, f"{words}: {process.text}"
        )
        assert "SuperNode ID" not in process.text
    finally:
        process.stop(5)


def test_a_coordinator_with_another_authority_is_not_trusted(federation):
    other = make_certificates(federation.folder / "other") / "ca.crt"
    process = stranger(federation, federation.folder / "misled", other)
    said(process, federation, ["CERTIFICATE_VERIFY_FAILED", "certificate verify failed"])


def test_a_key_that_is_not_registered_is_refused(federation):
    key = ec.generate_private_key(ec.SECP384R1())
    text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    process = stranger(federation, federation.folder / "unknown", federation.coordinator.ca, text)
    said(process, federation, ["ask the coordinator to register"])


# --- what a site's processes can reach ---------------------------------------------------------


def inside(pid, *command):
    """Run a command in the network of a process."""
    return subprocess.run(
        ["nsenter", "--target", str(pid), "--net", *command], capture_output=True, text=True
    )


@networkless
@as_users
def test_the_vault_has_no_network(federation):
    for site in federation.sites.values():
        pid = site.vault.pid
        assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
        assert Path(f"/proc/{pid}/net/route").read_text().splitlines()[1:] == []  # but the heading
        assert inside(pid, "ip", "route").stdout == ""
        assert "state UP" not in inside(pid, "ip", "link").stdout
        for target in (("1.1.1.1", 443), ("127.0.0.1", federation.coordinator.public_port)):
            code = f"import socket; socket.create_connection({target!r}, 5)"
            refused = inside(pid, "/usr/bin/env", "python3", "-c", code)
            assert "Network is unreachable" in refused.stderr


def status_of(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


@as_users
def test_vault_and_courier_are_two_users_without_capabilities(federation):
    for site in federation.sites.values():
        couriers = [site.courier.pid, *site.flower_pids().values()]
        assert len(couriers) == 3
        for pid, user in [(site.vault.pid, VAULT), *((pid, COURIER) for pid in couriers)]:
            status = status_of(pid)
            assert status["Uid"] == [str(user)] * 4
            assert status["Gid"] == [str(SOCKET_GROUP)] * 4
            assert status.get("Groups", []) == []
            for kind in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
                assert int(status[kind][0], 16) == 0
            assert status["NoNewPrivs"] == ["1"]


@as_users
def test_the_courier_can_neither_read_the_vaults_files_nor_write_its_own_code(federation):
    user = [f"--reuid={COURIER}", f"--regid={SOCKET_GROUP}", "--clear-groups"]
    for site in federation.sites.values():
        for test, path in [
            *(("-r", site.files / name) for name in ("site.toml", "site.key", "ledger.db")),
            ("-r", site.data),
            ("-w", site.home),
            ("-w", site.home / "apps"),
            ("-w", BIN),
        ]:
            code = subprocess.run(["setpriv", *user, "test", test, str(path)]).returncode
            assert code == 1, (test, path)


def test_a_site_listens_on_the_loopback_interface_alone(federation):
    for site in federation.sites.values():
        pids = [*site.flower_pids().values(), site.courier.pid]
        addresses = {address for pid in pids for address in listening(pid)}
        assert len(addresses) == 2  # runtime and health
        assert {address.split(":")[0] for address in addresses} <= LOOPBACK


def listening(pid):
    """Local addresses of a process's TCP sockets that listen, in the kernel's notation."""
    own = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in own:
                found.append(words[1])
    return found


def test_a_superexec_that_dies_is_started_again(federation):
    site = federation.sites["seattle"]
    before = site.flower_pids()["flower-superexec"]
    os.kill(before, 9)
    federation.wait_for(
        lambda: site.flower_pids().get("flower-superexec", before) != before, 60, "superexec"
    )
    assert "superexec ended: exit code -9" in site.courier.text
