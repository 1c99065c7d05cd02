"""The courier of a FLARE client: bytes to the vault and back, and failures as codes without text."""

import grpc
import pytest
from fedsynth_flare import carrying
from small_site import Site

from fedsynth_client.vault.callers import REPLIES
from fedsynth_client.vault.socket_server import start_server


@pytest.fixture
def vault(tmp_path, monkeypatch):
    """A real vault that serves on a socket in a folder of the client's name."""
    (tmp_path / "dayton").mkdir()
    monkeypatch.setenv(carrying.SOCKET, str(tmp_path / "{client}/vault.sock"))
    return tmp_path / "dayton/vault.sock"


def status(method, reply):
    return REPLIES[method].FromString(reply).status


def test_a_request_reaches_the_vault_and_its_reply_comes_back_untouched(vault):
    site = Site().enrolled()
    server = start_server(site.vault, vault)
    try:
        body = site.measure_request().SerializeToString()
        reply = carrying.carried("measure", body, "dayton")
        assert status("measure", reply) == "OK"
        assert site.vault.call("measure", body) == reply  # from the outbox: the same bytes
    finally:
        server.stop(0)


@pytest.mark.parametrize("method", REPLIES)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("ZZCANARY"), "ERR_INTERNAL"),
        (OSError("ZZCANARY"), "ERR_UNAVAILABLE"),
        (grpc.RpcError("ZZCANARY"), "ERR_UNAVAILABLE"),
    ],
)
def test_failures_become_codes_without_text(monkeypatch, vault, method, error, code):
    def broken(place):
        raise error

    monkeypatch.setattr(carrying, "SocketVault", broken)
    reply = carrying.carried(method, b"", "dayton")
    assert status(method, reply) == code
    assert b"ZZCANARY" not in reply


@pytest.mark.parametrize("body", [None, "a text", 7, {"body": b""}])
def test_what_is_no_message_is_refused_unseen(vault, body):
    assert status("measure", carrying.carried("measure", body, "dayton")) == "ERR_PAYLOAD"


@pytest.mark.parametrize("client", ["../dayton", "a/b", "", ".", "x" * 65, "a\n"])
def test_a_name_that_is_no_part_of_a_path_finds_no_vault(vault, client):
    with pytest.raises(OSError, match="cannot be part of a path"):
        carrying.socket_of(client)
    assert status("enroll", carrying.carried("enroll", b"", client)) == "ERR_UNAVAILABLE"


def test_without_a_socket_the_vault_is_unavailable(monkeypatch):
    monkeypatch.delenv(carrying.SOCKET, raising=False)
    assert status("enroll", carrying.carried("enroll", b"", "dayton")) == "ERR_UNAVAILABLE"
