"""The Flower app bundle (FAB): a manifest and a licence, no code.

Flower ships the bundle of a run to every site and puts it in front of the import path, so a bundle
with code in it could replace the site's own. A site therefore installs this one beforehand and makes
the folder read-only (`flwr install`); Flower then uses the site's copy and refuses any other. That
works only if the bundle is the same for every study: it is a function of fedsynth's version alone, to
the byte, which is why it is written here (stored, not deflated; one fixed date) and not by `flwr
build`, which also insists that the sites' package be installed at the coordinator. What a study
needs, its folder, comes in the run configuration.
"""

import hashlib
import io
import tomllib
import zipfile
from importlib.resources import files

MANIFEST, LICENSE, CONTENT = "pyproject.toml", "LICENSE", ".info/CONTENT"
_DATE = (2024, 10, 1, 0, 0, 0)
_UNIX = 3


def bundle() -> bytes:
    """The bundle's bytes."""
    folder = files("fedsynth_server.superlink") / "bundle_files"
    members = {name: (folder / name).read_bytes() for name in (MANIFEST, LICENSE)}
    lines = [
        f"{name},{hashlib.sha256(data).hexdigest()},{8 * len(data)}"
        for name, data in members.items()
    ]
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (members | {CONTENT: "\n".join(lines).encode()}).items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system, entry.external_attr = _UNIX, 0o600 << 16
            archive.writestr(entry, data)
    return target.getvalue()


def bundle_name(data: bytes) -> str:
    """The file name that `flwr install` wants: publisher, name, version and 8 digits of the hash."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        manifest = tomllib.loads(archive.read(MANIFEST).decode())
    project, publisher = manifest["project"], manifest["tool"]["flwr"]["app"]["publisher"]
    version = project["version"].replace(".", "-")
    return f"{publisher}.{project['name']}.{version}.{hashlib.sha256(data).hexdigest()[:8]}.fab"
