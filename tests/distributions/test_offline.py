"""Each role is installed from one archive, without a network; a changed file installs nothing."""

import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_site import SCHEMA
from small_study import make_generator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """By role, its archive, unpacked, and the fingerprint that was told by another way."""
    made, place = {}, tmp_path_factory.mktemp("offline")
    key, out = place / "release.key", place / "out"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)

    def make(role):
        if role not in made:
            command = [sys.executable, ROOT / "distribution/make_offline.py", role, "--key", key]
            done = subprocess.run([*command, "--out", out], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-3000:]
            (archive,) = out.glob("*.tar")
            with tarfile.open(archive) as packed:
                packed.extractall(place, filter="data")
            archive.unlink()
            made[role] = place / archive.stem, done.stdout.split()[-1]
        return made[role]

    return make


@pytest.fixture
def made(archives):
    return archives("site")


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


@dataclass(frozen=True)
class Tried:
    """What an installed role is tried with.

    Attributes:
        group, help: a command, and what its help says.
        loads: modules that its processes load.
        units: of systemd.
        absent: a package that this role has no use for.
    """

    group: str
    help: str
    loads: str
    units: set[str]
    absent: str


ROLES = {
    "site": Tried(
        "site",
        "Run a partner site",
        "fedsynth_client.vault.service, flwr.supernode, torch",
        {"fedsynth-vault@.service", "fedsynth-courier@.service"},
        "fedsynth_server",
    ),
    "coordinator": Tried(
        "coordinator",
        "Set up the coordinator's computer",
        "fedsynth_server.app, fedsynth_release.generator, flwr.serverapp, torch",
        {"fedsynth-coordinator.service"},
        "fedsynth_client",
    ),
    "analyst": Tried(
        "sample",
        "Draw",
        "fedsynth, fedsynth_release.generator, torch, pandas",
        set(),
        "flwr",
    ),
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_installed_and_its_commands_run(archives, tmp_path, role):
    (folder, fingerprint), tried = archives(role), ROLES[role]
    target = tmp_path / "env"
    done = install(folder, target, fingerprint)
    assert done.returncode == 0, done.stderr[-3000:]
    version = typed(target, "--version")
    assert (version.returncode, version.stdout.strip() in done.stdout) == (0, True)
    said = typed(target, tried.group, "--help")
    assert (said.returncode, tried.help in said.stdout) == (0, True), said.stdout
    subprocess.run([target / "bin/python", "-c", f"import {tried.loads}"], check=True)
    absent = [target / "bin/python", "-c", f"import {tried.absent}"]
    assert subprocess.run(absent, capture_output=True).returncode == 1
    again = install(folder, target, fingerprint)
    assert (again.returncode, "is not replaced" in again.stderr) == (2, True)
    units = folder / "systemd"
    assert {path.name for path in units.glob("*.service")} == tried.units
    assert list((folder / "docs").glob("*.md"))
    WORK[role](target, tmp_path)


def typed(target, *words, folder=None):
    return subprocess.run(
        [target / "bin/fedsynth", *words], capture_output=True, text=True, env={}, cwd=folder
    )


def a_site_works(target, folder):
    """It makes its files and finds its table fit."""
    SCHEMA.save(folder / "schema.json")
    rows = ["a,true,w", "b,false,x", "c,true,y"] * 400
    (folder / "t.csv").write_text("\n".join(["ward,smoker,outcome", *rows]))
    told = ("--dataset", "people", "--site", "north", "--max-epsilon", "3")
    files = ("--data", "t.csv", "--schema", "schema.json")
    made = typed(target, "site", "init", "s", *files, *told, folder=folder)
    assert made.returncode == 0, made.stderr
    checked = typed(target, "site", "check", "--config", "s/site.toml", folder=folder)
    assert (checked.returncode, "fit to be served" in checked.stdout) == (0, True), checked.stderr


def a_coordinator_works(target, folder):
    """It makes its certificates and invites two sites."""
    SCHEMA.save(folder / "schema.json")
    made = typed(target, "coordinator", "init", "hub", "--host", "localhost", folder=folder)
    assert made.returncode == 0, made.stderr
    words = ("--schema", "schema.json", "--site", "a", "--site", "b", "--coordinator", "hub")
    size = ("--records-per-site", "500", "--epsilon", "2", "--variant", "marginals")
    made = typed(target, "study", "init", "flu", *words, *size, folder=folder)
    assert made.returncode == 0, made.stderr
    assert (folder / "flu/invitations/a.invitation").exists()


def an_analyst_works(target, folder):
    """They draw records from a generator that was fitted elsewhere."""
    (folder / "generator").mkdir()
    make_generator().save(folder / "generator")
    words = ("--rows", "30", "--out", "rows.csv")
    drawn = typed(target, "sample", "generator", *words, folder=folder)
    assert drawn.returncode == 0, drawn.stderr
    assert len((folder / "rows.csv").read_text().splitlines()) == 31


WORK = {"site": a_site_works, "coordinator": a_coordinator_works, "analyst": an_analyst_works}


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
