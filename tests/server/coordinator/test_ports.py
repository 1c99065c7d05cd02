"""A coordinator whose ports are taken does not start, and says which setting to change."""

import re
import socket

import pytest
from command import fedsynth
from small_invitations import done

from fedsynth_common.errors import InputError
from fedsynth_common.local_ports import free_from, taken_ports
from fedsynth_server.coordinator.folder import CoordinatorFolder
from fedsynth_server.coordinator.processes import refuse_taken_ports


@pytest.fixture
def ports():
    first = free_from(21_000)
    second = free_from(first + 1)
    return {"port": first, "superlink_port": second, "health_port": free_from(second + 1)}


@pytest.fixture
def hub(tmp_path, ports):
    options = [
        word for name, port in ports.items() for word in (f"--{name.replace('_', '-')}", port)
    ]
    place = tmp_path / "hub"
    done("coordinator", "init", place, "--host", "localhost", "--listen", "127.0.0.1", *options)
    return CoordinatorFolder(place)


@pytest.mark.parametrize("name", ["port", "superlink_port", "health_port"])
def test_a_port_that_is_taken_is_named_and_nothing_starts(hub, ports, name, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_, **__: "/usr/sbin/nginx")
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("something was started"))
    with socket.create_server(("127.0.0.1", ports[name])):
        ended = fedsynth("coordinator", "start", hub.path)
    assert ended.returncode == 1
    assert "the coordinator cannot start:" in ended.stderr
    (line,) = re.findall(rf"\b{name} {ports[name]}: (.*)", ended.stderr)
    assert line.startswith("another program on this computer uses it")
    free = int(re.search(rf"coordinator.toml, for example {name} = (\d+)", line)[1])
    assert free not in ports.values()


def test_without_the_proxy_its_port_is_nobodys_business(hub, ports):
    with socket.create_server(("127.0.0.1", ports["port"])):
        refuse_taken_ports(hub.settings(), proxy=False)


def test_free_ports_are_no_reason(hub):
    refuse_taken_ports(hub.settings(), proxy=True)


def test_an_address_of_another_computer_is_not_called_taken():
    (line,) = taken_ports({"port": 8443}, "coordinator.toml", {"port": "192.0.2.1"})
    assert "nobody can listen there (Cannot assign requested address)" in line


def test_a_port_that_was_changed_is_changed_for_the_proxy_too(hub, ports):
    hub.check_proxy()
    other = free_from(ports["health_port"] + 1)
    text = hub.settings_file.read_text()
    hub.settings_file.write_text(text.replace(f"= {ports['superlink_port']}", f"= {other}"))
    with pytest.raises(InputError, match=f"does not name 127.0.0.1:{other} of coordinator.toml"):
        hub.check_proxy()
    hub.proxy.unlink()
    hub.check_proxy()
    assert f"https://127.0.0.1:{other};" in hub.proxy.read_text()


def test_a_second_coordinator_gets_ports_of_its_own(tmp_path):
    with socket.create_server(("127.0.0.1", free_from(8000))) as first:
        taken = first.getsockname()[1]
        done("coordinator", "init", tmp_path / "two", "--host", "localhost")
        settings = CoordinatorFolder(tmp_path / "two").settings()
    assert settings.superlink_port > taken
    assert len({settings.port, settings.superlink_port, settings.health_port}) == 3
