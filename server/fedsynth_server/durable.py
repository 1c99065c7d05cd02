"""Files that survive a crash: written whole or not at all, and a folder that one process owns.

A file is written under another name, fsynced and renamed; then its folder is fsynced, since a rename
is durable only once its directory is. Whoever reads sees the old bytes or the new ones, never a part.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from fedsynth_common.errors import FedsynthError


def write_durably(path: Path, data: bytes) -> None:
    """Replace or create `path`; on disk when this returns."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FolderLock:
    """Exclusive ownership of a folder while the block runs; the kernel ends it with the process.

    Raises:
        FedsynthError: on entering, when another process owns the folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise FedsynthError(
                f"{self._path.parent}: another run is at work in this folder; wait for it or stop it"
            ) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)
