"""A site is installed from one archive, without a network; a changed file installs nothing."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The archive of a site, unpacked, and the fingerprint that was told by another way."""
    place = tmp_path_factory.mktemp("offline")
    key, out = place / "release.key", place / "out"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    command = [sys.executable, ROOT / "distribution/make_offline.py", "site", "--key", key]
    done = subprocess.run([*command, "--out", out], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (archive,) = out.glob("*.tar")
    with tarfile.open(archive) as packed:
        packed.extractall(place, filter="data")
    archive.unlink()
    return place / archive.stem, done.stdout.split()[-1]


def without_network():
    """The words before a command that leave it no network, where this user may have that."""
    words = ["unshare", "--map-root-user", "--net"]
    try:
        free = subprocess.run([*words, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        free = False
    return words if free else []


def install(folder, target, fingerprint):
    """As on a fresh computer: no configuration of pip, no index, no environment of the tester."""
    home = target.parent
    surroundings = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHON": sys.executable}
    return subprocess.run(
        [*without_network(), folder / "install.sh", target, fingerprint],
        env=surroundings | {"PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
    )


def test_a_site_is_installed_and_its_commands_run(made, tmp_path):
    folder, fingerprint = made
    target = tmp_path / "env"
    done = install(folder, target, fingerprint)
    assert done.returncode == 0, done.stderr[-3000:]
    version = subprocess.run([target / "bin/fedsynth", "--version"], capture_output=True, text=True)
    assert (version.returncode, version.stdout.strip() in done.stdout) == (0, True)
    said = subprocess.run(
        [target / "bin/fedsynth", "site", "--help"], capture_output=True, text=True, env={}
    )
    assert (said.returncode, "Run a partner site" in said.stdout) == (0, True)
    loads = "import fedsynth_client.vault.service, flwr.supernode, torch"
    subprocess.run([target / "bin/python", "-c", loads], check=True)
    again = install(folder, target, fingerprint)
    assert (again.returncode, "is not replaced" in again.stderr) == (2, True)
    assert {path.name for path in (folder / "systemd").iterdir()} == {
        "fedsynth-vault@.service",
        "fedsynth-courier@.service",
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("wheel", "changed or damaged"),
        ("sums", "not signed by the publisher"),
        ("another publisher", "another fingerprint"),
        ("one more", "not among the signed files"),
    ],
)
def test_what_is_not_as_it_was_signed_is_not_installed(made, tmp_path, change, said):
    folder, fingerprint = made
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, copy_function=os.link)
    wheel = sorted((copy / "wheels").glob("fedsynth_client*"))[0]
    target = {
        "wheel": wheel,
        "sums": copy / "SHA256SUMS",
        "another publisher": copy / "publisher.pub",
        "one more": copy / "wheels/evil-1-py3-none-any.whl",
    }[change]
    content = target.read_bytes() if target.exists() else b""
    target.unlink(missing_ok=True)  # a link to the file of the other tests
    target.write_bytes(content + b"\n")
    done = install(copy, tmp_path / "env", fingerprint)
    assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "env").exists()
