"""Files that survive a crash: written whole or not at all.

A file is written under another name, fsynced and renamed; then its folder is fsynced, since a rename
is durable only once its directory is. Whoever reads sees the old bytes or the new ones, never a part.
On both sides of the trust boundary: the site's witness and policy, the coordinator's journal.
"""

import os
from contextlib import suppress
from pathlib import Path


def write_durably(path: Path, data: bytes, mode: int | None = None) -> None:
    """Replace or create `path`; on disk when this returns.

    Args:
        path: the file; its folder exists.
        data: all of its content.
        mode: its permissions, of which no others ever hold; without, those of any new file.

    Raises:
        OSError: it is as it was before; if only the folder could not be synced, it is new, and may be
            the old one again after a power cut.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    created = 0o666 if mode is None else mode & 0o600
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, created)
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


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
