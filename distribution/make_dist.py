"""Builds every distribution as a wheel and as an sdist, with what an installation is checked by.

`make dist` runs this after `make sbom`. The result is out/dist:

    wheels/ sdists/    all distributions, each wheel built from its own sdist
    locks/             for each role every other package with version and hashes
    sbom/              for each role a software bill of materials (CycloneDX)
    SHA256SUMS         the hashes of all of these, for `sha256sum --check`

Each distribution is built in a folder of its own, from a copy of its sources with the licence, so
that leftovers of earlier builds cannot enter it. Times in the archives are the last commit's, so
that the same commit gives the same wheels to the byte.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import versions

ROOT = versions.ROOT
LEFTOVERS = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "*.pyc", ".*_cache")
FILES = ("pyproject.toml", "README.md")


def packages(member: Path) -> list[Path]:
    """The folders of a distribution's Python packages."""
    return sorted(
        path.parent for path in member.glob("fedsynth*/__init__.py") if not path.parent.is_symlink()
    )


def stage(member: Path, place: Path) -> None:
    """Copy what belongs to one distribution, and the licence, into a new folder.

    Raises:
        SystemExit: a package lacks `py.typed`, so that type checkers would ignore its types.
    """
    place.mkdir(parents=True)
    for name in FILES:
        shutil.copy(member / name, place)
    shutil.copy(ROOT / "LICENSE", place)
    for package in packages(member):
        if not (package / "py.typed").is_file():
            sys.exit(f"{package}: has no py.typed; add the empty file")
        shutil.copytree(package, place / package.name, ignore=LEFTOVERS)


def last_commit() -> str:
    """Seconds since 1970 of the last commit; outside of a repository, of 2024."""
    command = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)  # noqa: S603
    return done.stdout.strip() or "1704067200"


def build(place: Path, out: Path) -> None:
    """Build the sdist of a staged distribution, and the wheel from it."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(place)]
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or last_commit()
    done = subprocess.run(  # noqa: S603 - build of this environment
        command,
        cwd=place,
        capture_output=True,
        text=True,
        env=os.environ | {"SOURCE_DATE_EPOCH": epoch},
    )
    if done.returncode:
        sys.exit(f"{place.name} cannot be built:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def build_all(members: Iterable[str], scratch: Path) -> Path:
    """Build distributions in folders of their own below `scratch`; returns where they are."""
    for member in members:
        name = member.replace("/", "-") if member != "." else "fedsynth"
        stage(ROOT / member, scratch / name)
        build(scratch / name, scratch / "built")
    return scratch / "built"


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sums(folder: Path) -> str:
    """The hash of every file of a folder, a line each, for `sha256sum --check`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(f"{digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)


def collect(out: Path) -> None:
    """Put the locks and the bills of materials beside the distributions, and hash every file."""
    shutil.copytree(ROOT / "locks", out / "locks", ignore=shutil.ignore_patterns("*.py", "__*"))
    bills = ROOT / "out/sbom"
    if bills.is_dir():
        shutil.copytree(bills, out / "sbom")
    (out / "SHA256SUMS").write_text(sums(out), encoding="utf-8")


def main() -> None:
    """Build everything; an older result in the folder is replaced."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "out/dist", help="folder of the result")
    out = parser.parse_args().out.resolve()
    if found := versions.differences():
        sys.exit("\n".join(found))
    if out.exists() and any(out.iterdir()) and not (out / "SHA256SUMS").exists():
        sys.exit(f"{out}: holds something else; name a new or empty folder with --out")
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        built = build_all(versions.MEMBERS, Path(scratch))
        for kind, pattern in (("wheels", "*.whl"), ("sdists", "*.tar.gz")):
            (out / kind).mkdir(parents=True)
            for path in sorted(built.glob(pattern)):
                shutil.copy(path, out / kind)
                print(f"{kind}/{path.name}")
    collect(out)
    print(f"{out}: {versions.version()}")


if __name__ == "__main__":
    main()
