"""A backup: one file with the files of a site or of a coordinator, and the hash of each.

It is a tar archive that its owner alone may read, since it holds private keys. Its first member is
`manifest.json`, which says what the others are. The hashes find damage. They do not protect against
somebody who changes the archive: keep it where the keys may lie.
"""

import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from fedsynth_common.errors import InputError
from fedsynth_common.validated import validated

MANIFEST = "manifest.json"
_MOST_MANIFEST, _PIECE = 1 << 24, 1 << 20


class Manifest(BaseModel):
    """What a backup says of itself.

    Attributes:
        kind: whose files these are, and in which format.
        made: when, in seconds since 1970.
        facts: what the restoring command needs besides the files.
        files: SHA-256 by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: str
    made: Annotated[int, Field(ge=0, le=2**53)]
    facts: dict[str, str] = {}
    files: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]

    @property
    def day(self) -> str:
        """When it was made, for people."""
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.made))


def pack(out: Path, kind: str, facts: Mapping[str, str], files: Mapping[str, Path]) -> Manifest:
    """Write a backup of `files`, by the name that each gets in it.

    Raises:
        InputError: `out` exists, or a file cannot be read or written.
    """
    try:
        hashes = {name: _hash(path) for name, path in files.items()}
        made = Manifest(kind=kind, made=int(time.time()), facts=dict(facts), files=hashes)
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
            text = json.dumps(made.model_dump(), indent=1).encode()
            archive.addfile(_member(MANIFEST, len(text)), io.BytesIO(text))
            for name, path in files.items():
                with path.open("rb") as content:
                    archive.addfile(_member(name, path.stat().st_size), content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise InputError(f"{out}: exists, and is not replaced; choose another name") from None
    except OSError as error:
        raise InputError(f"{error.filename or out}: {error.strerror}; no backup was made") from None
    return made


def unpack(path: Path, kind: str, into: Path) -> Manifest:
    """Write the files of a backup below the empty folder `into`; the manifest is returned.

    Raises:
        InputError: it is no such backup, a file is damaged or missing, or one cannot be written.
    """
    try:
        with tarfile.open(path, mode="r:") as archive:
            first = archive.next()
            content = archive.extractfile(first) if first and first.name == MANIFEST else None
            if content is None:
                raise InputError(f"backup {path}: not a backup of fedsynth")
            manifest = validated(Manifest, content.read(_MOST_MANIFEST), f"backup {path}")
            if manifest.kind != kind:
                raise InputError(f"backup {path}: is a {manifest.kind}, expected a {kind}")
            found = {}
            while member := archive.next():
                found[member.name] = _written(archive, member, into, path)
    except tarfile.TarError:
        raise InputError(f"backup {path}: not a backup of fedsynth, or damaged") from None
    except OSError as error:
        raise InputError(f"{error.filename or path}: {error.strerror}") from None
    if found != manifest.files:
        wrong = sorted(name for name, digest in manifest.files.items() if found.get(name) != digest)
        raise InputError(f"backup {path}: damaged ({', '.join(wrong) or 'more files than listed'})")
    return manifest


def _written(archive: tarfile.TarFile, member: tarfile.TarInfo, into: Path, path: Path) -> str:
    """Write one member, for its owner alone; returns its hash."""
    name = PurePosixPath(member.name)
    if not member.isfile() or name.is_absolute() or ".." in name.parts:
        raise InputError(
            f"backup {path}: holds {member.name!r}, which is no plain file of a backup"
        )
    content, place = archive.extractfile(member), into / name
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while content and (piece := content.read(_PIECE)):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
