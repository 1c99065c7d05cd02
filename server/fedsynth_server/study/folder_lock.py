"""A lock that gives a folder to one process at a time."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from fedsynth_common.errors import FedsynthError


class FolderLock:
    """Own a folder while the block runs. The kernel releases the lock when the process ends.

    Attributes:
        folder: what is owned; it need not exist yet.
        path: the file that is locked.

    Raises:
        FedsynthError: on entering, when another process owns the folder.
    """

    def __init__(self, folder: Path, path: Path) -> None:
        self._folder, self._path = folder, path
        self._descriptor = -1

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise FedsynthError(
                f"{self._folder}: another run is at work in this folder; wait for it or stop it"
            ) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)
