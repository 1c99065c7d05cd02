"""Makes one archive with which a role is installed on a computer without a network.

    python distribution/make_offline.py site --key release.key      (make offline ROLE=site KEY=...)

The archive fits computers with the operating system and the Python of the one that made it. It holds:

    wheels/             everything that the role needs, PyTorch included
    requirements.txt    every wheel by name, version and hash: pip takes these files and no other
    systemd/ docs/ sbom/    units, the first pages to read, bills of materials (after `make sbom`)
    install.sh          checks hashes and signature, makes the environment, installs
    SHA256SUMS, SHA256SUMS.sig, publisher.pub    the hash of each file, signed with Ed25519

pip checks the hash of each wheel of others against locks/ while it is fetched; this is where the trust
in them comes from. Whoever installs compares the fingerprint of publisher.pub by another way.
"""

import argparse
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import make_dist
import versions
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = versions.ROOT
TORCH = ("torch-cpu", "torch")
"""The locks of PyTorch: its CPU build, and that with CUDA."""


@dataclass(frozen=True)
class Role:
    """What a role installs: locks, our own members, units, and pages to read first."""

    locks: tuple[str, ...]
    members: tuple[str, ...]
    units: tuple[str, ...]
    pages: tuple[str, ...]


ROLES = {
    "site": Role(
        ("vault", "courier"),
        ("common", "client"),
        ("fedsynth-vault@.service", "fedsynth-courier@.service"),
        ("client/README.md", "docs/SITE.md", "docs/RUNBOOK.md", "systemd/README.md"),
    ),
    "coordinator": Role(
        ("coordinator",),
        ("common", "common/release", "server"),
        ("fedsynth-coordinator.service",),
        ("server/README.md", "docs/COORDINATOR.md", "docs/RUNBOOK.md", "systemd/README.md"),
    ),
    "analyst": Role(("analyst",), ("common", "common/release", "."), (), ("docs/PYTHON.md",)),
}


def fetch(role: Role, torch: str, wheels: Path) -> None:
    """Download what others have made, each file with a hash of the locks.

    Raises:
        SystemExit: pip failed, because a file is nowhere to be had or has another hash.
    """
    names = [*role.locks, torch]
    listed = [word for name in names for word in ("-r", str(ROOT / f"locks/{name}.txt"))]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"]
    done = subprocess.run([*command, "--dest", str(wheels), *listed])  # noqa: S603 - our own locks
    if done.returncode:
        sys.exit(f"pip download of locks/{', locks/'.join(names)}: failed")


def build_own(role: Role, wheels: Path) -> None:
    """Build the wheels of our own members."""
    with tempfile.TemporaryDirectory() as scratch:
        for wheel in make_dist.build_all(role.members, Path(scratch)).glob("*.whl"):
            shutil.copy(wheel, wheels)


def requirements(wheels: Path) -> str:
    """A line for each wheel, with its hash."""
    lines = ["# Written by distribution/make_offline.py: these files and no others.\n"]
    for wheel in sorted(wheels.glob("*.whl")):
        name, version, _, _ = parse_wheel_filename(wheel.name)
        lines.append(
            f"{canonicalize_name(name)}=={version} --hash=sha256:{make_dist.digest(wheel)}\n"
        )
    return "".join(lines)


def complete(role: Role, folder: Path) -> None:
    """Put everything beside the wheels that a person needs."""
    (folder / "requirements.txt").write_text(requirements(folder / "wheels"), encoding="utf-8")
    for kind, names in (
        ("systemd", [f"systemd/{unit}" for unit in role.units]),
        ("docs", list(role.pages)),
        ("sbom", [f"out/sbom/{name}.cdx.json" for name in role.locks]),
    ):
        for name in names:
            if (ROOT / name).exists():
                (folder / kind).mkdir(exist_ok=True)
                shutil.copy(ROOT / name, folder / kind / name.replace("/", "-"))
    for unit in role.units:
        (folder / "systemd" / f"systemd-{unit}").rename(folder / "systemd" / unit)
    shutil.copy(ROOT / "LICENSE", folder)
    shutil.copy(ROOT / "distribution/install.sh", folder)
    (folder / "install.sh").chmod(0o755)


def sign(folder: Path, key: Ed25519PrivateKey) -> None:
    """Hash every file, and sign the list."""
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "publisher.pub").write_bytes(public)
    text = make_dist.sums(folder)
    (folder / "SHA256SUMS").write_text(text, encoding="utf-8")
    (folder / "SHA256SUMS.sig").write_bytes(key.sign(text.encode()))


def archive(folder: Path, out: Path) -> None:
    """Pack the folder; the same files give the same archive to the byte."""
    moment = int(make_dist.last_commit())

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = moment
        return member

    with tarfile.open(out, "w") as packed:
        for path in sorted(folder.rglob("*")):
            name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            packed.add(path, name, recursive=False, filter=plain)


def _key(path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        sys.exit(f"{path}: expected an Ed25519 key: openssl genpkey -algorithm ed25519 -out {path}")
    return key


def main() -> None:
    """Make the archive; none is replaced."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("role", choices=sorted(ROLES))
    parser.add_argument("--key", type=Path, required=True, help="Ed25519 key in PEM that signs")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "out/offline", help="folder of the result"
    )
    parser.add_argument("--torch", choices=TORCH, default=TORCH[0], help="which lock of PyTorch")
    told = parser.parse_args()
    role, key = ROLES[told.role], _key(told.key)
    if found := versions.differences():
        sys.exit("\n".join(found))
    place = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    version = f"{sys.version_info.major}{sys.version_info.minor}"
    name = f"fedsynth-{told.role}-{versions.version()}-cp{version}-{place}"
    out = told.out.resolve() / f"{name}.tar"
    if out.exists():
        sys.exit(f"{out}: exists, and is not replaced")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / name
        (folder / "wheels").mkdir(parents=True)
        fetch(role, told.torch, folder / "wheels")
        build_own(role, folder / "wheels")
        complete(role, folder)
        sign(folder, key)
        archive(folder, out)
        print(
            f"{out}\nfingerprint of the publisher's key: {make_dist.digest(folder / 'publisher.pub')}"
        )


if __name__ == "__main__":
    main()
