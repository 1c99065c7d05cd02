"""The real nginx carries large messages both ways, and none of them lies in a file on its way."""

import http.client
import http.server
import shutil
import ssl
import subprocess
import threading
import time

import pytest
from small_invitations import done

from fedsynth_common.child_process import end
from fedsynth_common.local_ports import free_from, is_free
from fedsynth_server.coordinator.folder import CoordinatorFolder
from fedsynth_server.coordinator.processes import commands, environment

LARGE = 3 << 20
pytestmark = pytest.mark.skipif(
    not shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin"), reason="needs nginx"
)


class Echo(http.server.BaseHTTPRequestHandler):
    """Stands where the SuperLink stands, and sends back what it gets."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def hub(tmp_path):
    public = free_from(24_000)
    ports = ("--port", public, "--superlink-port", free_from(public + 1))
    done("coordinator", "init", tmp_path / "hub", "--host", "localhost", *ports)
    folder = CoordinatorFolder(tmp_path / "hub")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", folder.settings().superlink_port), Echo)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder.certificates / "server.pem", folder.certificates / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = commands(folder, proxy=True)["proxy"]
    nginx = subprocess.Popen(command, env=environment(folder), stderr=subprocess.PIPE, text=True)
    while is_free(public):
        assert nginx.poll() is None, nginx.stderr.read()
        time.sleep(0.05)
    yield folder
    end(nginx, 10)
    server.shutdown()
    assert "[crit]" not in nginx.stderr.read()


def test_a_large_message_passes_both_ways_and_leaves_no_file(hub):
    context = ssl.create_default_context(cafile=str(hub.ca))
    body = bytes(range(256)) * (LARGE // 256)
    port = hub.settings().port
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=30)
    for _ in range(3):
        connection.request("POST", "/v1/fleet/push-object", body)
        reply = connection.getresponse()
        assert (reply.status, reply.read() == body) == (200, True)
    left = [path for path in (hub.path / "proxy").rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["nginx.pid"]
