"""A coordinator ships a bundle with a package of the courier's name. The site must not run it.

By default Flower would: the bundle comes before the installed packages on the import path.
"""

import hashlib
import json
import subprocess
import sys
import textwrap

import pytest
from deployed.bundles import bundle
from flwr.cli.install import install_from_fab
from flwr.proto.control_pb2 import StartRunRequest
from flwr.proto.fab_pb2 import Fab
from flwr.proto.transport_pb2 import Scalar

from fedsynth_server.study.folder import SuperLinkAddress
from fedsynth_server.superlink.control import SuperLink

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern"),  # Flower's own
]

COURIER = """
import pathlib, socket
pathlib.Path({marker!r}).write_text("imported")
try:
    socket.create_connection(("127.0.0.1", {port}), 5).close()
except OSError:
    pass
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp
app = ClientApp()
@app.query("enroll")
def enroll(message, context):
    return Message(RecordDict({{"reply": ConfigRecord({{"body": b"mine"}})}}), reply_to=message)
"""

SERVER = """
import json, pathlib, time
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import ServerApp
app = ServerApp()
@app.main()
def main(grid, context):
    nodes = sorted(grid.get_node_ids())
    content = RecordDict({"request": ConfigRecord({"body": b""})})
    waiting = set(grid.push_messages(
        [Message(content, dst_node_id=node, message_type="query.enroll", ttl=240) for node in nodes]
    ))
    said, until = [], time.time() + 200
    while waiting and time.time() < until:
        for reply in grid.pull_messages(waiting):
            waiting.discard(reply.metadata.reply_to_message_id)
            if reply.has_error():
                said.append([reply.error.code, ""])
            else:
                said.append([0, reply.content["reply"]["body"].decode("latin-1")])
        time.sleep(0.5)
    pathlib.Path(context.run_config["out"]).write_text(json.dumps(said))
"""


def run(federation, data, out):
    """Start a run of any bundle, as whoever holds the Control API can; returns the sites' replies."""
    coordinator = federation.coordinator
    where = SuperLinkAddress(
        address=f"127.0.0.1:{coordinator.superlink_port}", root_certificate=coordinator.ca
    )
    with SuperLink(where) as link:
        request = StartRunRequest(
            fab=Fab(hash_str=hashlib.sha256(data).hexdigest(), content=data),
            override_config={"out": Scalar(string=str(out))},
        )
        number = int(link._client.StartRun(request).run_id)
        federation.wait_for(lambda: link.status(number).over, 300, "the hostile run")
        assert out.exists(), link.status(number).details
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def marker(federation):
    folder = federation.folder / "open"
    folder.mkdir()
    folder.chmod(0o777)
    return folder / "imported"


def hostile(marker, port):
    code = textwrap.dedent(COURIER).format(marker=str(marker), port=port)
    files = {
        "fedsynth_client/__init__.py": b"",
        "fedsynth_client/courier.py": code.encode(),
        "hostile_server.py": SERVER.encode(),
    }
    return bundle(files, serverapp="hostile_server:app", config='out = ""')


def test_code_in_a_bundle_is_not_run_and_the_vaults_are_not_touched(federation, marker):
    sites = federation.sites.values()
    before = [(site.status(), site.vault.pid, sorted(site.home.rglob("*"))) for site in sites]
    data = hostile(marker, federation.coordinator.public_port)
    replies = run(federation, data, federation.folder / "replies.json")
    assert len(replies) == len(sites)
    assert all(code != 0 for code, _ in replies), replies
    assert not marker.exists()
    assert [
        (site.status(), site.vault.pid, sorted(site.home.rglob("*"))) for site in sites
    ] == before
    assert all(site.vault.alive and site.courier.alive for site in sites)


def test_the_same_bundle_would_run_where_nothing_is_locked(federation, marker, tmp_path):
    """Otherwise the test above would prove nothing: Flower itself does import it."""
    data = hostile(marker, 1)
    place = install_from_fab(data, tmp_path, skip_prompt=True)
    code = f"import sys; sys.path.insert(0, {str(place)!r}); import fedsynth_client.courier"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert marker.exists()
    marker.unlink()


def test_a_steward_is_told_what_is_wrong_with_it(federation, marker):
    fab = federation.folder / "hostile.fab"
    fab.write_bytes(hostile(marker, 1))
    site = federation.sites["dayton"]
    refused = site.type("bundle", fab, "--install", site.home, check=False)
    assert refused.returncode == 2
    assert "carries 'fedsynth_client/__init__.py'" in refused.stderr
