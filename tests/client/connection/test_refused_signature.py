"""The real SuperLink refuses the real SuperNode's signature, and the site is told why."""

import re
import subprocess
import sys
import time

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_public_key,
)
from small_invitations import done

from fedsynth_client.connection.coordinator_watch import NOT_REGISTERED, REFUSED
from fedsynth_client.connection.node_key import make_node_key, public_path
from fedsynth_common.child_process import end
from fedsynth_common.local_ports import free_from, is_free
from fedsynth_server.coordinator.entry import superlink_of
from fedsynth_server.coordinator.folder import CoordinatorFolder
from fedsynth_server.coordinator.processes import commands, environment
from fedsynth_server.superlink.control import SuperLink

pytestmark = pytest.mark.slow
CLOCK = """
from datetime import timedelta
from flwr.supernode import node_auth_http_interceptor as signing
right = signing.now
signing.now = lambda: right() + timedelta(seconds={ahead})
import fedsynth_client.connection.coordinator_watch as watch
own = watch._seconds_ahead
watch._seconds_ahead = lambda answered_at: own(answered_at) + {ahead}
from fedsynth_client.connection.supernode import main
main()
"""


def pem_of(line):
    key = load_ssh_public_key(line.read_bytes())
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    place = tmp_path_factory.mktemp("hub") / "hub"
    done("coordinator", "init", place, "--host", "localhost", "--port", free_from(23_000))
    folder = CoordinatorFolder(place)
    command = commands(folder, proxy=False)["superlink"]
    process = subprocess.Popen(command, env=environment(folder), stderr=subprocess.DEVNULL)
    while is_free(folder.settings().superlink_port):
        assert process.poll() is None
        time.sleep(0.2)
    yield folder
    end(process, 20)


@pytest.fixture
def courier(hub, courier_to, tmp_path):
    """A SuperNode whose clock is wrong by some seconds; its key is let in."""

    def start(ahead=0):
        started = courier_to(hub.settings().superlink_port, hub.ca)
        words = [word for word in started.supernode if word.startswith("--")]
        code = CLOCK.format(ahead=ahead)
        return subprocess.Popen(
            [sys.executable, "-P", "-c", code, *words],
            env=started.environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    key = tmp_path / "node.key"
    make_node_key(key, "north")
    with SuperLink(superlink_of(hub)) as link:
        link.register(pem_of(public_path(key)), "north")
    return start


@pytest.mark.parametrize(("ahead", "way"), [(60, "ahead of"), (-400, "behind")])
def test_a_clock_that_is_wrong_is_named_with_the_difference(courier, ahead, way):
    process = courier(ahead)
    _, log = process.communicate(timeout=120)
    assert process.returncode == REFUSED
    said = re.search(rf"this computer's clock is (\d+) s {way} the coordinator's", log)
    assert said, log
    assert abs(int(said[1]) - abs(ahead)) <= 10


def test_a_site_that_is_removed_while_it_is_connected_is_told(hub, courier):
    process = courier()
    with SuperLink(superlink_of(hub)) as link:
        while not (there := [one for one in link.couriers() if one.status == "online"]):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.2)
        link.unregister(there[0].node)
    _, log = process.communicate(timeout=120)
    assert process.returncode == REFUSED
    assert "it has removed this site's key" in log
    again = courier()
    again.communicate(timeout=120)
    assert again.returncode == NOT_REGISTERED


def test_a_coordinator_that_says_no_time_is_not_called_wrong():
    from fedsynth_client.connection.coordinator_watch import CoordinatorWatch

    watch = CoordinatorWatch("localhost:1")
    watch.refuse("")
    assert watch.refused
    assert "clock" not in watch._said
