"""The version of all distributions has one source: `version` in the pyproject.toml at the top.

    python distribution/versions.py            prints it, and fails if a member has another one
    python distribution/versions.py 0.2.0      writes a new one into every pyproject.toml

The members repeat it, since each is built and installed alone, and require each other in exactly
this version. A test compares them, and `make dist` builds nothing while they differ.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
MEMBERS = ("common", "common/release", "client", "server", "simulations", "adapters/flare", ".")
"""Folders of the distributions, in the order in which they need each other."""

_VERSION = re.compile(r'^version = "([^"]+)"$', re.MULTILINE)
_REQUIRED = re.compile(r'("fedsynth-\w+(?:\[[\w,]+\])?==)([^"]+)"')
_WELL_FORMED = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")


def version() -> str:
    """The version of the top-level pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def differences() -> list[str]:
    """A line for each place that names another version."""
    wanted, found = version(), []
    for member in MEMBERS:
        text = (ROOT / member / "pyproject.toml").read_text(encoding="utf-8")
        named = [*_VERSION.findall(text), *(match[1] for match in _REQUIRED.findall(text))]
        found += [
            f"{member}/pyproject.toml: names {one}, and the version is {wanted}"
            for one in named
            if one != wanted
        ]
    return found


def write(new: str) -> None:
    """Write a new version into every pyproject.toml.

    Raises:
        SystemExit: the version is not of the form 1.2.3 or 1.2.3rc1.
    """
    if not _WELL_FORMED.fullmatch(new):
        sys.exit(f"{new!r} is no version: expected a form like 1.2.3 or 1.2.3rc1")
    for member in MEMBERS:
        path = ROOT / member / "pyproject.toml"
        text = path.read_text(encoding="utf-8")
        text = _VERSION.sub(f'version = "{new}"', text, count=1)
        path.write_text(_REQUIRED.sub(rf'\g<1>{new}"', text), encoding="utf-8")


def main() -> None:
    """Print or set the version."""
    if len(sys.argv) > 1:
        write(sys.argv[1])
    if found := differences():
        sys.exit("\n".join(found))
    print(version())


if __name__ == "__main__":
    main()
