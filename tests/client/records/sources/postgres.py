"""A real PostgreSQL server on a free loopback port, for as long as the tests need one."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

USER, PASSWORD = "vault", "correct horse"


def binaries() -> Path:
    """The folder of Debian's postgresql package, or of whatever is on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [
        Path(path) for path in [shutil.which("initdb")] if path
    ]
    if not found:
        pytest.skip("PostgreSQL's server is not installed (Debian: postgresql)")
    return found[-1].parent


@contextmanager
def server() -> Iterator[str]:
    """The address of a fresh server's database, with the password in it."""
    folder = Path(tempfile.mkdtemp(prefix="fedsynth-pg-"))
    owner = _owner(folder)
    bins, data, port = binaries(), folder / "data", _free_port()
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    try:
        _run(
            owner,
            [
                *(bins / "initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", "-E", "UTF8"),
                *("--locale=C", f"--pwfile={folder / 'password'}", "--no-sync"),
            ],
        )
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        )
        _run(
            owner, [bins / "pg_ctl", "-D", data, "-w", "-o", options, "-l", folder / "log", "start"]
        )
        try:
            password = PASSWORD.replace(" ", "%20")
            yield f"postgresql+psycopg://{USER}:{password}@127.0.0.1:{port}/postgres"
        finally:
            _run(owner, [bins / "pg_ctl", "-D", data, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _owner(folder: Path) -> int | None:
    """PostgreSQL refuses to run as root: the user `nobody` then owns the folder."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(folder, nobody, -1)
    folder.chmod(0o755)
    return nobody


def _run(owner: int | None, command: list[object]) -> None:
    subprocess.run(
        [str(part) for part in command],
        check=True,
        user=owner,
        stdout=subprocess.DEVNULL,
        timeout=120,
        cwd="/",
    )


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
