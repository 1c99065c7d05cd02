"""Makes `tests/small_site.py`, a site with a real vault, and this folder's helpers importable.

And couriers that really connect.
"""

import socket
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]


@pytest.fixture
def handlers(monkeypatch):
    """The signal handlers that `keep_running` installs, kept away from the tests' own process."""
    from fedsynth_client.connection import flower_processes

    kept = {}
    monkeypatch.setattr(
        flower_processes.signal, "signal", lambda number, act: kept.setdefault(number, act)
    )
    return kept


@pytest.fixture
def courier_to(tmp_path):
    """What `connect` would start for a coordinator at a port; instead of SuperExec something waits."""
    from fedsynth_client.connection.flower_processes import Commands, commands
    from fedsynth_client.connection.node_key import make_node_key
    from fedsynth_client.settings.site_config import CourierConfig

    make_node_key(tmp_path / "node.key", "north")
    (tmp_path / "secret").write_bytes(bytes(32))
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("", 0)) as two:
        runtime, health = one.getsockname()[1], two.getsockname()[1]

    def build(port, authority, proxy=None):
        config = CourierConfig(
            superlink=f"127.0.0.1:{port}",
            root_certificates=authority,
            node_key=tmp_path / "node.key",
            home=tmp_path,
            socket=tmp_path / "vault.sock",
            proxy=proxy,
            runtime_port=runtime,
            health_port=health,
        )
        started = commands(config, tmp_path, tmp_path / "secret", plaintext=False)
        waiting = [sys.executable, "-c", "import time; time.sleep(99)"]
        return Commands(
            supernode=started.supernode, superexec=waiting, environment=started.environment
        )

    return build
