"""What a courier says passes no proxy but the one that its configuration names."""

import socket
import threading
from contextlib import contextmanager

import pytest
from certificates import certificate, shown
from command import fedsynth

from fedsynth_client.connection import flower_processes
from fedsynth_client.connection.approved_bundle import install
from fedsynth_client.connection.flower_processes import keep_running
from fedsynth_client.connection.untrusted_certificate import CertificateFault
from fedsynth_client.settings.site_config import CourierConfig
from fedsynth_common.errors import InputError
from fedsynth_server.superlink.app_bundle import bundle


@contextmanager
def tunnel():
    """An HTTP proxy that knows CONNECT; yields its address and the lines that it was asked."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_listen, args=(server, asked), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked


def _listen(server, asked):
    while True:
        try:
            caller, _ = server.accept()
        except OSError:  # the test is over
            return
        threading.Thread(target=_connect, args=(caller, asked), daemon=True).start()


def _connect(caller, asked):
    head = b""
    while b"\r\n\r\n" not in head and (some := caller.recv(4096)):
        head += some
    asked.append(head.split(b"\r\n")[0].decode())
    host, _, port = asked[-1].split()[1].rpartition(":")
    with caller, socket.create_connection((host, int(port))) as beyond:
        caller.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        back = threading.Thread(target=_copy, args=(beyond, caller), daemon=True)
        back.start()
        _copy(caller, beyond)
        back.join(5)


def _copy(source, target):
    try:
        while some := source.recv(4096):
            target.sendall(some)
    except OSError:
        return


@pytest.mark.parametrize("named", [True, False], ids=["named", "in the surroundings"])
def test_the_real_supernode_uses_the_named_proxy_alone(
    tmp_path, monkeypatch, handlers, courier_to, named
):
    """The handshake, here with an expired certificate, passes the proxy closed."""
    authority = certificate(tmp_path / "server", ends=-1)
    with shown(authority) as port, tunnel() as (proxy, asked):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        started = courier_to(port, authority, proxy if named else None)
        stopper = threading.Timer(60, lambda: handlers[flower_processes.signal.SIGTERM]())
        stopper.start()
        try:
            assert keep_running(started) is CertificateFault.EXPIRED
        finally:
            stopper.cancel()
    assert set(asked) == ({f"CONNECT 127.0.0.1:{port} HTTP/1.1"} if named else set())


@pytest.mark.parametrize(
    "proxy", ["proxy:3128", "socks5://proxy:1", "http://proxy", "http://a b:1"]
)
def test_a_proxy_is_an_http_address_with_a_port(tmp_path, proxy):
    fedsynth("site", "init", tmp_path, "--dataset=d", "--site=north", "--superlink=fed.org:1")
    path = tmp_path / "courier/courier.toml"
    path.write_text(path.read_text() + f'proxy = "{proxy}"\n')
    with pytest.raises(InputError, match="proxy"):
        CourierConfig.load(path)


def test_connect_says_which_way_it_goes(tmp_path, monkeypatch):
    fedsynth("site", "init", tmp_path, "--dataset=d", "--site=north", "--superlink=fed.org:1")
    install(bundle(), tmp_path / "courier/flower")
    monkeypatch.setattr(flower_processes, "unsafe", lambda config: [])
    monkeypatch.setattr(flower_processes, "keep_running", lambda started: None)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    path = tmp_path / "courier/courier.toml"
    said = fedsynth("site", "connect", "--courier", path).stdout
    assert "HTTPS_PROXY is not used" in said
    path.write_text(path.read_text() + 'proxy = "http://steward:secret@proxy:3128"\n')
    said = fedsynth("site", "connect", "--courier", path).stdout
    assert "through the proxy proxy:3128" in said
    assert "secret" not in said
    assert "not used" not in said
