"""A folder of results is written beside its place first, and moved there when it is whole."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fedsynth_common.errors import InputError


def check_out(out: Path, force: bool) -> None:
    """Refuse a place that cannot take the result, before anything is computed.

    Raises:
        InputError: `out` is a file, or not empty although `force` is not set.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; expected a folder")
    if out.is_dir() and any(out.iterdir()) and not force:
        raise InputError(f"--out {out}: is not empty; choose another folder or pass --force")


@contextmanager
def draft_folder(out: Path) -> Iterator[Path]:
    """A folder on the same disk as `out`, gone afterwards: nothing half-finished stays behind."""
    above = next(folder for folder in out.absolute().parents if folder.exists())
    try:
        place = tempfile.TemporaryDirectory(prefix=".fedsynth-", dir=above)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror})") from None
    with place as name:
        draft = Path(name) / "result"
        draft.mkdir()
        yield draft


def publish(draft: Path, out: Path, replaced: Sequence[str]) -> None:
    """Move the finished result into place, in one step per entry; what is called `replaced` goes.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for old in (out / name for name in replaced):
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            else:
                old.unlink(missing_ok=True)
        for entry in draft.iterdir():
            entry.replace(out / entry.name)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror})") from None
