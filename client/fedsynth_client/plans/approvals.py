"""Adds a plan's digest to the policy file. The comments and the order of the file are kept.

The edited text is read before it is written. If it is anything but the old policy with this one digest
added, nothing is written, and the person is asked to add the digest by hand. The file is replaced
atomically and synced while its folder is locked, so that neither a crash nor a second approval at the
same time loses an approval.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array

from fedsynth_client.budget.policy import Policy
from fedsynth_common.durable import write_durably
from fedsynth_common.errors import InputError
from fedsynth_common.validated import json_of_toml, validated


def add_approval(path: Path, digest: str) -> bool:
    """Approve the plan of this digest in the policy file; False if it was approved before.

    Raises:
        InputError: the policy is faulty or cannot be written, or must be edited by hand.
    """
    path = (
        path.resolve()
    )  # a replaced symbolic link would leave the file that it points to unchanged
    with _alone_in(path.parent):
        policy = Policy.load(path)
        if policy.approved_plans == "any" or digest in policy.approved_plans:
            return False
        expected = policy.model_copy(update={"approved_plans": (digest, *policy.approved_plans)})
        text = path.read_text(encoding="utf-8-sig")
        edited = _edited_json(text, digest) if path.suffix == ".json" else _edited(text, digest)
        if _parsed(edited, path.suffix) != expected:
            raise InputError(
                f"policy {path}: cannot be edited safely; add this digest to its approved_plans "
                f"by hand: {digest}"
            )
        _replace(path, edited)
    return True


def _edited(text: str, digest: str) -> str:
    """The TOML text with the digest added as the first of the list; unchanged if that fails.

    >>> _edited("approved_plans = []  # none yet", "ab")
    'approved_plans = ["ab"]  # none yet'
    """
    try:
        document = tomlkit.parse(text)
    except TOMLKitError:
        return text
    approved = document["approved_plans"]
    if isinstance(approved, Array):
        approved.insert(0, digest)
    return tomlkit.dumps(document)


def _edited_json(text: str, digest: str) -> str:
    fields = json.loads(text)
    fields["approved_plans"] = [digest, *fields["approved_plans"]]
    return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"


def _parsed(text: str, suffix: str) -> Policy | None:
    try:
        content = text if suffix == ".json" else json_of_toml(text, "policy")
        return validated(Policy, content, "policy")
    except InputError:
        return None


def _replace(path: Path, text: str) -> None:
    try:
        write_durably(path, text.encode(), path.stat().st_mode & 0o777)
    except OSError as error:
        raise InputError(f"policy {path}: cannot be written ({error.strerror})") from None


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Allow one approval at a time. At the end, what was renamed in the folder is on disk."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"folder {folder}: cannot be read ({error.strerror})") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
