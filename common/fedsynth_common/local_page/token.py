"""The token of a page: who has it may look. It lies in a file that only its owner can read."""

import os
import secrets
from pathlib import Path

from fedsynth_common.errors import InputError


def token_of(path: Path) -> str:
    """The token in a file that its owner alone may read; made if there is none.

    Raises:
        InputError: others may read it, or it cannot be read or written.
    """
    try:
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(24))
        if path.stat().st_mode & 0o077:
            raise InputError(f"token {path}: others may read it; close it with: chmod 600")
        return path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InputError(f"token {path}: cannot be used ({reason})") from None
