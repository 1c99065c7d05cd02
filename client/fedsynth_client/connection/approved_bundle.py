"""The app bundle that a coordinator ships, and why it cannot bring code to a site.

Flower executes whatever the bundle's package says, and a bundle that carries a package of our name
would be imported instead of the installed one. Two protections keep such code out, and each of them is
enough by itself:

* A bundle is inspected before it is installed here. It may hold a description and a licence, and no
  code, and it must point to the packages that the site installed itself.
* It is installed read-only into a home that the courier cannot write. Flower unpacks an unknown
  bundle below that home before it imports anything, fails, and answers with an error.

Both are tested against a hostile bundle in tests/e2e/deployment.
"""

import hashlib
import re
import tomllib
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from fedsynth_common.errors import InputError
from fedsynth_common.limits import within_lines

COMPONENTS = {
    "serverapp": "fedsynth_server.app:app",
    "clientapp": "fedsynth_client.courier:app",
}
APPS = "apps"
_MANIFEST = ".info/CONTENT"
_FILES = {"pyproject.toml", "LICENSE"}
MOST_BYTES = 1 << 18
_APP = {
    "publisher",
    "fab-format-version",
    "flwr-version-target",
    "fab-include",
    "fab-exclude",
    "components",
    "config",
}
_PROJECT = {"name", "version", "description", "license", "dependencies", "requires-python"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]{0,31}")
_OURS = re.compile(r"(flwr|fedsynth(-[a-z]+)?)(\[[a-z,]+\])?\s*([<>=!~].*)?")


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What an inspected bundle is called, its SHA-256, and the run settings that it declares."""

    publisher: str
    name: str
    version: str
    digest: str
    settings: dict[str, Any]

    @property
    def folder(self) -> str:
        """Flower's name for the installed bundle."""
        return f"{self.publisher}.{self.name}.{self.version}.{self.digest[:8]}"


def inspect(data: bytes) -> Bundle:
    """Read a bundle without unpacking or importing anything.

    Raises:
        InputError: it holds anything but a description, a licence and their list of hashes, or its
            description asks for anything but the two installed components.
    """
    files = _unzipped(data)
    _require_hashes(files)
    try:
        project = tomllib.loads(within_lines(files["pyproject.toml"], "bundle: pyproject.toml"))
    except (ValueError, RecursionError):
        raise InputError("bundle: pyproject.toml is not valid TOML") from None
    about, app = _tables(project)
    return Bundle(
        publisher=_matching(app, "publisher", _NAME),
        name=_matching(about, "name", _NAME),
        version=_matching(about, "version", _VERSION),
        digest=hashlib.sha256(data).hexdigest(),
        settings=_settings(app),
    )


def install(data: bytes, home: Path) -> Path:
    """Put an inspected bundle under `home`/apps with Flower's own installer; nobody may write there.

    Raises:
        InputError: the bundle is refused, `home` cannot be written, or the bundle's place there is
            taken by something else.
    """
    bundle = inspect(data)
    from flwr.cli.install import install_from_fab  # takes seconds to import

    apps = home / APPS
    place = apps / bundle.folder
    try:
        apps.mkdir(parents=True, exist_ok=True)
        apps.chmod(0o755)
        if not place.exists():
            install_from_fab(data, home, skip_prompt=True)
        if _held(place) != {k: v for k, v in _unzipped(data).items() if k != _MANIFEST}:
            raise InputError(
                f"{place}: holds something else than this bundle; look at it, remove it"
            )
        for path in (*place.rglob("*"), place, apps, home):
            path.chmod(0o555 if path.is_dir() else 0o444)
    except OSError as error:
        raise InputError(f"{home}: cannot be written ({error.strerror}); use its owner") from None
    return place


def _held(place: Path) -> dict[str, bytes]:
    """What lies in an installed bundle's folder, by name."""
    files = (path for path in place.rglob("*") if not path.is_dir() or path.is_symlink())
    return {
        path.relative_to(place).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in files
    }


def _unzipped(data: bytes) -> dict[str, bytes]:
    if len(data) > MOST_BYTES:
        raise InputError("bundle: larger than a description can be")
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            foreign = sorted(set(names) - _FILES - {_MANIFEST})
            if foreign:
                raise InputError(
                    f"bundle: carries {_shown(foreign[0])}; a bundle may hold pyproject.toml and "
                    f"LICENSE only (of {len(names)} files, {len(foreign)} are others)"
                )
            if len(set(names)) != len(names) or not {"pyproject.toml", _MANIFEST} <= set(names):
                raise InputError("bundle: a file is there twice, or pyproject.toml is missing")
            if sum(entry.file_size for entry in entries) > MOST_BYTES:
                raise InputError("bundle: larger than a description can be")
            return {name: _read(archive, name) for name in names}
    except InputError:
        raise
    except Exception:  # zipfile raises a dozen kinds of error on bytes that were made up
        raise InputError("bundle: not a Flower app bundle (.fab)") from None


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file's bytes; not unpacked at once, since the size that it states may be a lie."""
    parts = []
    with archive.open(name) as file:
        while part := file.read(1 << 16):
            parts.append(part)
    return b"".join(parts)


def _require_hashes(files: dict[str, bytes]) -> None:
    lines = files.pop(_MANIFEST).decode("utf-8", "replace").strip().split("\n")
    listed = {line.split(",")[0]: line.split(",")[1:2] for line in lines}
    if listed != {name: [hashlib.sha256(data).hexdigest()] for name, data in files.items()}:
        raise InputError("bundle: its list of hashes does not fit its files")


def _tables(project: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    about, tool = project.get("project", {}), project.get("tool", {})
    flwr = tool.get("flwr", {}) if isinstance(tool, dict) else {}
    app = flwr.get("app", {}) if isinstance(flwr, dict) else {}
    if not isinstance(about, dict) or not isinstance(app, dict):
        raise InputError(
            "bundle: pyproject.toml: expected the tables [project] and [tool.flwr.app]"
        )
    if app.get("components") != COMPONENTS:
        wanted = ", ".join(f'{name} = "{place}"' for name, place in COMPONENTS.items())
        raise InputError(f"bundle: components must be exactly {wanted}")
    for keys, allowed, table in (
        (set(project), {"project", "tool"}, "the top"),
        (set(tool), {"flwr"}, "[tool]"),
        (set(flwr), {"app"}, "[tool.flwr]"),
        (set(app), _APP, "[tool.flwr.app]"),
        (set(about), _PROJECT, "[project]"),
    ):
        if foreign := sorted(keys - allowed):
            raise InputError(f"bundle: pyproject.toml has {_shown(foreign[0])} in {table}")
    needed = about.get("dependencies", [])
    if not isinstance(needed, list):
        needed = [needed]
    for package in needed:
        if not isinstance(package, str) or not _OURS.fullmatch(package):
            raise InputError("bundle: depends on other packages than flwr and fedsynth")
    return about, app


def _settings(app: dict[str, Any]) -> dict[str, Any]:
    settings = app.get("config", {})
    if not isinstance(settings, dict):
        raise InputError("bundle: pyproject.toml: [tool.flwr.app.config] is no table")
    return settings


def _matching(table: dict[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InputError(f"bundle: {key} is missing or has other characters than a {key} may have")
    return value


def _shown(name: str) -> str:
    """A name from a file that others wrote, safe for a terminal."""
    return repr(name[:80])
