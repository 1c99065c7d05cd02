"""Writes files that survive a crash: each is written whole or not at all.

A file is written under another name, fsynced and renamed. Then its folder is fsynced, because a
rename is durable only once its folder is. Whoever reads the file sees the old bytes or the new ones
and never a part of them. Both sides of the trust boundary use this: the site for its witness and
policy, the coordinator for its journal, and every command for the file that it is asked to write.
"""

import os
from contextlib import suppress
from pathlib import Path

from fedsynth_common.errors import InputError


def write_durably(path: Path, data: bytes, mode: int | None = None) -> None:
    """Replace or create `path`; the file is on disk when this returns.

    Args:
        path: The file; its folder exists.
        data: All of its content.
        mode: Its permissions, which it has from the first byte on; by default those of any new file.

    Raises:
        OSError: The file could not be written and is as it was before. If only the folder could not
            be synced, the file is new, and after a power cut it may be the old one again.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    created = 0o666 if mode is None else mode & 0o600
    try:
        partial.unlink(missing_ok=True)  # so that no link that somebody put there is followed
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, created)
        with os.fdopen(descriptor, "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_output(path: Path, text: str | bytes, mode: int | None = None) -> None:
    """Write a file that a command was asked for, as `write_durably` does.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        write_durably(path, text.encode() if isinstance(text, str) else text, mode)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
