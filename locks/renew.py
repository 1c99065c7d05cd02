"""Writes the lock files: for each role every package with its version and the hashes of its files.

`make lock` runs this after a change of constraints.txt or of a pyproject.toml. uv resolves what the
role's pyproject.toml files ask for, at the versions of constraints.txt, for all platforms and for
Python 3.11 and later, and asks the package index for the hashes. No index is named in the result.

PyTorch exists in several builds, whose files have different hashes. Therefore it stands in files of
its own, together with the CUDA libraries that only one of the builds needs: see README.md here.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "locks"

ROLES: dict[str, tuple[tuple[str, ...], str]] = {
    "vault": (("common", "client"), "flwr"),  # the process with the records never loads Flower
    "courier": (("client",), "opacus"),  # the process with the network never loads PyTorch
    "coordinator": (("common", "common/release", "server"), ""),
    "analyst": (("common", "common/release"), ""),
    "researcher": (("common", "common/release", "client", "server", "simulations"), ""),
}
"""The members whose dependencies a role installs, and the one dependency that it does without."""

TOOLS = {
    "build": ["setuptools"],  # what our own packages are built with
    "sbom": ["cyclonedx-bom>=7.5,<8"],  # what `make sbom` runs
}

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[.*\])?==", re.MULTILINE)


def normal(name: str) -> str:
    """A package's name as indexes compare it (PEP 503).

    >>> normal("typing_extensions")
    'typing-extensions'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(text: str) -> set[str]:
    """The names of the packages that a lock file or constraints.txt pins."""
    return {normal(name) for name in _PINNED.findall(text)}


def project(member: str) -> dict[str, Any]:
    """The [project] table of a member's pyproject.toml."""
    text = (ROOT / member / "pyproject.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text)["project"])


def dependencies(role: str) -> list[str]:
    """What a role installs from an index: the requirements of its members, without our own."""
    members, unused = ROLES[role]
    return [
        line
        for member in members
        for line in project(member)["dependencies"]
        if not line.startswith("fedsynth") and re.split(r"[^\w-]", line)[0] != unused
    ]


def compiled(requirements: list[str], hidden: set[str]) -> str:
    """The lock file's lines for these requirements, without the hidden packages."""
    command = [
        *(str(Path(sys.executable).with_name("uv")), "pip", "compile", "-", "--quiet"),
        *("--universal", "--python-version", "3.11", "--constraint", "constraints.txt"),
        *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url"),
        *("--only-binary", ":all:"),
        *(part for name in sorted(hidden) for part in ("--no-emit-package", name)),
    ]
    done = subprocess.run(  # noqa: S603 - uv of this environment
        command, cwd=ROOT, input="\n".join(requirements), capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"uv cannot resolve {', '.join(requirements)}:\n{done.stderr}")
    # uv ends with the names that it was told to leave out; README.md says it for the reader
    return done.stdout.split("\n# The following packages were excluded")[0].rstrip() + "\n"


HEADER = """\
# {title}. Written by `make lock`, not by hand; see README.md.
# Wheels alone: a source distribution would fetch its build tools without hashes.
--only-binary :all:

"""


def write(name: str, title: str, requirements: list[str], hidden: set[str]) -> None:
    """Write one lock file."""
    lines = compiled(requirements, hidden)
    (LOCKS / f"{name}.txt").write_text(HEADER.format(title=title) + lines, encoding="utf-8")
    print(f"locks/{name}.txt: {len(pinned(lines))} packages")


def main() -> None:
    """Write every lock file but torch-cpu.txt, whose hashes no index that uv asks has."""
    tested = pinned((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    closure = pinned(compiled(["torch"], set()))
    accelerators = closure - tested
    write(
        "torch",
        "PyTorch as on PyPI, with CUDA on Linux",
        ["torch"],
        closure - accelerators - {"torch"},
    )
    elsewhere = accelerators | {"torch"}
    for role in ROLES:
        write(role, f"What the {role} installs besides PyTorch", dependencies(role), elsewhere)
    sql = project("client")["optional-dependencies"]["sql"]
    write("sql", "Records in a database: the client's extra", sql, elsewhere)
    for tool, requirements in TOOLS.items():
        write(tool, f"Tools: {', '.join(requirements)}", requirements, elsewhere)


if __name__ == "__main__":
    main()
