"""No proxy of the surroundings hears a word of a study."""

import socket
import threading

import pytest

from fedsynth_common.errors import InputError
from fedsynth_server.study.folder import SuperLinkAddress
from fedsynth_server.superlink.control import SuperLink, UnreachableError
from fedsynth_server.superlink.no_proxy import refuse_proxy

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture
def overheard(monkeypatch):
    """A proxy that every variable names; what it is sent."""
    for name in (*VARIABLES, "NO_PROXY"):
        for spelt in (name, name.lower()):
            monkeypatch.delenv(spelt, raising=False)
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_listen, args=(server, heard), daemon=True).start()
        for name in VARIABLES:
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.getsockname()[1]}")
        yield heard


def _listen(server, heard):
    while True:
        try:
            caller, _ = server.accept()
        except OSError:  # the test is over
            return
        with caller:
            heard.append(caller.recv(4096))


@pytest.mark.parametrize("insecure", [True, False])
def test_the_commands_go_straight_to_the_superlink(overheard, tmp_path, insecure):
    where = SuperLinkAddress(address="127.0.0.1:1", insecure=insecure)
    with SuperLink(where) as link:
        with pytest.raises(UnreachableError):
            link.start(b"bundle", tmp_path)
        with pytest.raises(UnreachableError):
            link.status(1)
        with pytest.raises(UnreachableError):
            link.stop(1)
    assert overheard == []


class Remote:
    """What is looked at of Flower's HttpGrid."""

    def __init__(self, address):
        self._addr = address


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "[::1]:8000", "superlink:8000"])
def test_a_serverapp_behind_a_proxy_is_refused(overheard, address):
    with pytest.raises(InputError, match="all_proxy, http_proxy, https_proxy.*NO_PROXY"):
        refuse_proxy(Remote(address))


@pytest.mark.parametrize("exempt", ["*", "127.0.0.1,localhost"])
def test_a_serverapp_that_is_exempt_may_run(overheard, monkeypatch, exempt):
    monkeypatch.setenv("NO_PROXY", exempt)
    refuse_proxy(Remote("127.0.0.1:8000"))


def test_flowers_grid_still_has_the_address():
    from flwr.superlink.grid import HttpGrid

    assert HttpGrid("127.0.0.1:8000", insecure=True, token="-")._addr == "127.0.0.1:8000"  # noqa: S106


def test_a_grid_in_the_same_process_has_no_proxy(overheard):
    refuse_proxy(object())
