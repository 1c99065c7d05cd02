"""The coordinator: SuperLink, its SuperExec, and the proxy that publishes the Fleet API alone.

As in docker/: TLS, node authentication, process isolation with a shared secret, a database on disk, and
docker's own nginx.conf. Everything of Flower is quiet: no telemetry, no update check, no installation.
"""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

from deployed.process import Process, free_ports, listens
from deployed.separation import REPOSITORY
from fedsynth_common.cli.main import QUIET

CONNECTION = "deployment"
BIN = Path(sys.executable).parent


def make_certificates(folder: Path) -> Path:
    """A fresh authority and server certificate, by the script that deployers run."""
    script = REPOSITORY / "docker/make-certs.sh"
    subprocess.run([str(script), str(folder)], check=True, capture_output=True)
    return folder


def environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of the tester's own environment but the language."""
    return {
        **QUIET,
        "PATH": f"{BIN}:/usr/sbin:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }


class Coordinator:
    """The three processes and the operator's commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.certificates = make_certificates(folder / "certs")
        self.ca = self.certificates / "ca.crt"
        self.secret = folder / "superexec.secret"
        self.secret.write_bytes(secrets.token_bytes(32))
        self.superlink_port, self.health_port, self.public_port = free_ports(3)
        self.flower_home = folder / "flwr"
        self.env = environment(folder, FLWR_HOME=str(self.flower_home))
        self._write_connection()
        self.superlink = self._process("superlink", self._superlink(), self.superlink_port)
        self.superexec = self._process("superexec", self._superexec(), None)
        self.proxy = self._process("proxy", self._proxy(), self.public_port)

    @property
    def address(self) -> str:
        """What sites connect to."""
        return f"localhost:{self.public_port}"

    @property
    def processes(self) -> tuple[Process, ...]:
        return self.superlink, self.superexec, self.proxy

    def start(self) -> None:
        self.superlink.start(wait=0)  # its imports take seconds: let them run side by side
        self.superexec.start(wait=0)
        self.proxy.start()
        self.superlink.wait_ready()

    def flwr(self, *arguments: str) -> str:
        """Flower's own command line, as the operator on the coordinator's machine."""
        return self._run(str(BIN / "flwr"), *arguments)

    def fedsynth(self, *arguments: object, check: bool = True) -> str:
        """Our command line, likewise."""
        return self._run(str(BIN / "fedsynth"), *map(str, arguments), check=check)

    def register(self, public_key: Path, name: str) -> int:
        """Let a site's node key in; returns the node's number."""
        said = self.flwr(
            *("supernode", "register", str(public_key), CONNECTION),
            *("--name", name, "--format", "json"),
        )
        return int(json.loads(said[said.index("{") :])["node-id"])

    def _run(self, *command: str, check: bool = True) -> str:
        ended = subprocess.run(
            command, env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=600
        )
        if check and ended.returncode:
            raise AssertionError(f"{command}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}")
        return ended.stdout if check else ended.stdout + ended.stderr

    def _process(self, name: str, command: list[str], port: int | None) -> Process:
        def ready() -> bool:
            return port is None or listens(port)

        return Process(name, command, self.folder / f"{name}.log", env=self.env, ready=ready)

    def _superlink(self) -> list[str]:
        return [
            str(BIN / "flower-superlink"),
            f"--ssl-ca-certfile={self.ca}",
            f"--ssl-certfile={self.certificates / 'server.pem'}",
            f"--ssl-keyfile={self.certificates / 'server.key'}",
            "--enable-supernode-auth",
            f"--database={self.folder / 'state.db'}",
            "--host=127.0.0.1",
            f"--port={self.superlink_port}",
            "--isolation=process",
            f"--superexec-auth-secret-file={self.secret}",
            f"--health-server-address=127.0.0.1:{self.health_port}",
        ]

    def _superexec(self) -> list[str]:
        return [
            str(BIN / "flower-superexec"),
            f"--root-certificates={self.ca}",
            f"--runtime-api-address=127.0.0.1:{self.superlink_port}",
            f"--superexec-auth-secret-file={self.secret}",
        ]

    def _proxy(self) -> list[str]:
        run = self.folder / "nginx"
        run.mkdir()
        text = (REPOSITORY / "server/fedsynth_server/coordinator/nginx.conf").read_text()
        for name, value in (
            ("RUN", run),
            ("CERTS", self.certificates),
            ("LISTEN", f"127.0.0.1:{self.public_port}"),
            ("SUPERLINK", f"127.0.0.1:{self.superlink_port}"),
        ):
            text = text.replace(f"@{name}@", str(value))
        (run / "nginx.conf").write_text(text)
        return ["nginx", "-e", "stderr", "-c", str(run / "nginx.conf")]

    def _write_connection(self) -> None:
        self.flower_home.mkdir()
        (self.flower_home / "config.toml").write_text(
            f'[superlink]\ndefault = "{CONNECTION}"\n\n[superlink.{CONNECTION}]\n'
            f'address = "127.0.0.1:{self.superlink_port}"\nroot-certificates = "{self.ca}"\n'
        )
